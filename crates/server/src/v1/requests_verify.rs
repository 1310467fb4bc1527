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
    denial::{Class, Denial},
    event::RefusalEvent,
    json::{Map, Value},
    key_limits::LimitStates,
    policy::Requirement,
    principal::Principal,
    refusal::{Mistake, Refusal},
    scope::{Scope, ScopeSet},
    trace::ISSUER_TRACE_HEADER,
};
use doorward_guard::{Verified, problem::Problem};
use http::{Request, Response};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    app::App,
    oauth::client_authentication,
    origin::Origin,
    v1::members::Members,
    verify::request::{self, Presented, Refused},
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
    /// The headers `authorization` and `x-api-key` that the caller sent, each with its value or a list of its values.
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
        /// What the API adds to its own answer, if the caller's key has limits.
        #[serde(skip_serializing_if = "Option::is_none")]
        answer: Option<Additions>,
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
    headers: BTreeMap<String, String>,
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
            return Ok(noting(refused(&app, &origin, &refusal)?, refusal));
        }
        read_or_refused => read(&api, read_or_refused?)?,
    };
    let Refused { refusal, principal } = match request::verify(&app, &api, &presented).await {
        Ok(Verified { principal, limits, .. }) => {
            let headers = |limits: Arc<LimitStates>| {
                limits.headers().into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
            };
            let principal = Box::new(Arc::unwrap_or_clone(principal));
            let answer = limits.map(headers).map(|headers| Additions { headers });
            let verdict = Verdict::Allowed { allowed: true, principal, answer };
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
    Ok(refused(&app, &origin, &refusal)?)
}

/// The verdict on a caller that may not pass.
fn refused(app: &App, origin: &Origin, refusal: &Refusal) -> Result<Response<Body>, Refusal> {
    let verdict = Verdict::Refused {
        allowed: false,
        code: refusal.denial.shown_as(),
        trace_id: origin.trace_id().to_string(),
        answer: Answer::to(refusal, origin, &app.settings.issuer),
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

const EXPECTED: &str = r#"{"headers":{"authorization":"…","x-api-key":"…"},"method":"GET","uri":"/…","scopes":["…"],"roles":["…"],"address":"…"}"#;

fn read(api: &Api, body: Map<String, Value>) -> Result<Presented, Refusal> {
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
    let mut headers = members.headers();
    let (authorization, x_api_key) = (headers.header("authorization"), headers.header("x-api-key"));
    // A header by another name could carry a credential that nobody checks.
    members.finish_part(headers);
    members.finish()?;
    let scopes: ScopeSet = scopes.into_iter().collect();
    let requirement = roles.into_iter().fold(Requirement::from(scopes), Requirement::role);
    Ok(Presented { authorization, x_api_key, method, uri, requirement, address })
}
