//! `POST /v1/requests/verify`: may this request pass, and if not, what should the API answer?
//!
//! An API in any language passes on what its caller sent and the scopes that the route needs. A refusal comes back as a
//! whole HTTP answer (status, headers, body), which the API sends to its caller unchanged. Only an answer with the
//! status 200 and `"allowed": true` lets a request pass.

use std::{collections::BTreeMap, sync::Arc};

use axum::{body::Body, extract::State};
use bytes::Bytes;
use doorward_core::{
    api::{Api, Role},
    clock::Timestamp,
    denial::{Class, Denial},
    event::RefusalEvent,
    json::{Map, Value},
    policy::Requirement,
    principal::Principal,
    query_key::{KeysInQuery, QueryKeys},
    refusal::{Mistake, Refusal},
    scope::{Scope, ScopeSet},
    trace::ISSUER_TRACE_HEADER,
};
use doorward_guard::{Verified, problem::Problem};
use http::{Request, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    app::App,
    manage::times,
    oauth::client_authentication,
    origin::Origin,
    v1::{keys_verify::is_true, members::Members},
    verify::{
        local::Found,
        request::{self, Passed, Presented, Refused},
    },
    web::{
        body,
        refused::{ProblemError, noting, traced},
        respond,
    },
};

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(verify_request))
}

/// A request that an API got, and what it demands of the caller.
#[derive(ToSchema)]
#[schema(as = RequestVerification)]
#[allow(dead_code, reason = "the description comes from it")]
struct Described {
    /// The headers `authorization`, `x-api-key`, `origin` and `user-agent` that the caller sent, each with its value or a
    /// list of its values.
    #[schema(value_type = BTreeMap<String, Value>)]
    headers: BTreeMap<String, Value>,
    /// The method of the request.
    method: String,
    /// The target of the request, with its query.
    uri: String,
    /// The scopes that the route needs.
    scopes: Option<Vec<Scope>>,
    /// The roles that the route needs.
    roles: Option<Vec<Role>>,
    /// The caller's address.
    address: Option<String>,
    /// Why the route accepts live API keys from browsers and apps. Without a reason it refuses them.
    #[schema(min_length = 1, max_length = 200)]
    allow_keys_in_browsers: Option<String>,
    /// The conditions under which the route accepts an API key in its query. Without them it refuses every credential there.
    allow_keys_in_query: Option<KeysInQueryDescribed>,
}

/// The conditions under which a route accepts an API key in its query. All but the page must be given.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = KeysInQuery)]
struct KeysInQueryDescribed {
    /// The parameter that holds the key.
    parameter: String,
    /// What the report calls the route.
    route: String,
    /// The networks that callers may come from. `address` must be given, too.
    networks: Vec<String>,
    /// How many requests all callers together may send in a minute.
    #[schema(minimum = 1, maximum = 600)]
    per_minute: u32,
    /// When it stops: a time within a year.
    until: String,
    /// The page for callers about what to do instead.
    migration_page: Option<String>,
}

/// Whether the request may pass.
#[derive(Serialize, ToSchema)]
#[schema(as = RequestVerdict)]
#[serde(untagged)]
enum Verdict {
    /// It may.
    Allowed {
        /// True.
        allowed: bool,
        /// Who calls.
        #[schema(value_type = Principal)]
        principal: Box<Principal>,
        /// The request target without the key, if the key was in its query: log and pass on this one.
        #[serde(skip_serializing_if = "Option::is_none")]
        uri: Option<String>,
        /// What the API adds to its own answer, if the key was in the query or has limits.
        #[serde(skip_serializing_if = "Option::is_none")]
        answer: Option<Additions>,
        /// False if this holds for this request only. Otherwise the answer may be kept for a moment.
        #[serde(skip_serializing_if = "is_true")]
        reusable: bool,
    },
    /// It may not.
    Refused {
        /// False.
        allowed: bool,
        /// Why, for programs.
        code: &'static str,
        /// What the operator looks it up by: `doorward explain`.
        trace_id: String,
        /// What the API answers to its caller.
        answer: Answer,
    },
}

/// What the API adds to its answer.
#[derive(Serialize, ToSchema)]
#[schema(as = RequestAdditions)]
struct Additions {
    /// The headers, by name.
    headers: BTreeMap<&'static str, String>,
}

/// The answer for the API's caller, to be sent as it is.
#[derive(Serialize, ToSchema)]
#[schema(as = RequestAnswer)]
struct Answer {
    /// The status.
    status: u16,
    /// The headers, by name.
    headers: BTreeMap<String, String>,
    /// The body.
    body: String,
}

/// Verify a request
#[utoipa::path(post, path = "/v1/requests/verify", tag = "verification", security(("api_credential" = [])),
    request_body = Described, responses((status = 200, description = "Whether it may pass", body = Verdict)))]
pub(crate) async fn verify_request(
    State(app): State<Arc<App>>,
    request: Request<Body>,
) -> Result<Response<Body>, ProblemError> {
    let (head, body) = request.into_parts();
    let origin = Origin::of(&head);
    let api = client_authentication::api(&app, &origin, &head).await?;
    let presented = match body::json(&app, &head, body, EXPECTED).await {
        // The caller's headers are too large for any answer but one: the API must not take that for an outage.
        Err(refusal) if refusal.denial == Denial::BodyTooLarge => {
            let refusal = Refusal { denial: Denial::HeadTooLarge, ..refusal };
            return Ok(noting(refused(&app, &origin, &refusal, &[])?, refusal));
        }
        read_or_refused => read(&api, read_or_refused?, app.now())?,
    };
    let of_the_way = presented.way_headers(&Denial::CredentialInQuery.page(&app.settings.issuer));
    let Refused { refusal, principal } = match request::verify(&app, &api, &presented).await {
        Ok(Passed { found: Found { verified: Verified { principal, limits, .. }, is_reusable: reusable }, uri }) => {
            let of_limits = limits.iter().flat_map(|limits| limits.headers());
            let headers: BTreeMap<_, _> = of_the_way.into_iter().chain(of_limits).collect();
            let principal = Box::new(Arc::unwrap_or_clone(principal));
            let answer = (!headers.is_empty()).then_some(Additions { headers });
            let verdict = Verdict::Allowed { allowed: true, principal, uri, answer, reusable };
            return Ok(respond::json_no_store(&verdict)?);
        }
        Err(refused) => refused,
    };
    if refusal.denial.class() == Class::Outage {
        return Err(refusal.into());
    }
    // The API refuses its caller, and the audit says so: it is the API's refusal and not one of this request.
    let (identifier, path) = (api.metadata.identifier.as_str(), presented.path());
    let event = RefusalEvent::new(origin.trace_id(), app.now(), &refusal, identifier, &presented.method, path);
    let address = presented.address.map(|address| address.to_string());
    app.note_delivered(vec![RefusalEvent { address, principal, ..event }]);
    Ok(refused(&app, &origin, &refusal, &of_the_way)?)
}

/// The verdict on a caller that may not pass. `of_the_way` are headers about the legacy way that it came by.
fn refused(
    app: &App,
    origin: &Origin,
    refusal: &Refusal,
    of_the_way: &[(&'static str, String)],
) -> Result<Response<Body>, Refusal> {
    let mut answer = Answer::to(refusal, origin, &app.settings.issuer);
    for (name, value) in of_the_way {
        // A refusal is stored nowhere, which says more.
        answer.headers.entry((*name).to_owned()).or_insert_with(|| value.clone());
    }
    let verdict = Verdict::Refused {
        allowed: false,
        code: refusal.denial.shown_as(),
        trace_id: origin.trace_id().to_string(),
        answer,
    };
    Ok(traced(origin, respond::json_no_store(&verdict)?))
}

impl Answer {
    fn to(refusal: &Refusal, origin: &Origin, issuer: &str) -> Self {
        // No metadata: this API may not serve any, and a challenge must not lead nowhere.
        let response: Response<Bytes> = Problem::new(refusal.clone(), origin.trace_id(), issuer, None).into_response();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let headers = response.headers().iter().map(|(name, value)| (name.to_string(), text(value.as_bytes())));
        let trace_id = (ISSUER_TRACE_HEADER.to_owned(), origin.trace_id().to_string());
        Self {
            status: response.status().as_u16(),
            headers: headers.chain([trace_id]).collect(),
            body: text(response.body()),
        }
    }
}

const EXPECTED: &str = r#"{"headers":{"authorization":"…","x-api-key":"…","origin":"…","user-agent":"…"},"method":"GET","uri":"/…","scopes":["…"],"roles":["…"],"address":"…","allow_keys_in_browsers":"…","allow_keys_in_query":{…}}"#;

impl KeysInQueryDescribed {
    fn checked(&self, now: Timestamp) -> Result<QueryKeys, String> {
        let until = times::read(&self.until).map_err(|error| format!("until: {error}"))?;
        let networks: Vec<_> = self.networks.iter().map(String::as_str).collect();
        let asked = KeysInQuery {
            parameter: &self.parameter,
            route: &self.route,
            networks: &networks,
            per_minute: self.per_minute,
            until,
            migration_page: self.migration_page.as_deref(),
        };
        asked.checked(now).map_err(|error| error.to_string())
    }
}

/// The longest reason, in characters.
const MAX_REASON: usize = 200;

fn read(api: &Api, body: Map<String, Value>, now: Timestamp) -> Result<Presented, Refusal> {
    let mut members = Members::of(body, EXPECTED);
    let (method, uri) = (members.text("method"), members.text("uri"));
    let (scopes, roles, address) = (members.scopes(), members.roles(), members.address());
    // A scope or role that the API does not have is a mistake of the API: no caller could do anything about it.
    let unknown_scope = scopes.iter().enumerate().filter(|(_, scope)| !api.has_scope(scope));
    for (index, scope) in unknown_scope {
        members.note(Mistake::at_element("scopes", index, format!("this API has no scope {scope}")));
    }
    let unknown_role = roles.iter().enumerate().filter(|(_, role)| !api.metadata.roles.contains(*role));
    for (index, role) in unknown_role {
        members.note(Mistake::at_element("roles", index, format!("this API has no role {role}")));
    }
    let reason: Option<String> = members.optional("allow_keys_in_browsers");
    if reason.as_deref().is_some_and(|reason| !(1..=MAX_REASON).contains(&reason.trim().chars().count())) {
        let detail = format!("must be a reason of 1 to {MAX_REASON} characters");
        members.note(Mistake::at("allow_keys_in_browsers", detail));
    }
    let asked: Option<KeysInQueryDescribed> = members.optional("allow_keys_in_query");
    let query_keys = asked.map(|asked| asked.checked(now)).transpose();
    let query_keys = query_keys.unwrap_or_else(|why| {
        members.note(Mistake::at("allow_keys_in_query", why));
        None
    });
    let mut headers = members.headers();
    let (authorization, x_api_key) = (headers.header("authorization"), headers.header("x-api-key"));
    let (origin, user_agent) = (headers.header("origin"), headers.header("user-agent"));
    // A header by another name could carry a credential that nobody checks.
    members.finish_part(headers);
    members.finish()?;
    let scopes: ScopeSet = scopes.into_iter().collect();
    let requirement = roles.into_iter().fold(Requirement::from(scopes), Requirement::role);
    let keys_in_browsers = reason.is_some();
    Ok(Presented {
        authorization,
        x_api_key,
        origin,
        user_agent,
        keys_in_browsers,
        query_keys,
        method,
        uri,
        requirement,
        address,
    })
}
