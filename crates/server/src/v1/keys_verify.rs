//! `POST /v1/keys/verify`: is this key good, for what, and whose is it?
//!
//! An API asks by its own credential about keys that name it; a management key with `keys:verify` asks about keys of
//! the APIs that it is limited to. A key of another API is answered exactly as one that does not exist.

use std::{net::IpAddr, sync::Arc};

use axum::{Extension, body::Body, extract::State};
use doorward_core::{
    allowed_origins,
    api::Api,
    denial::Class,
    holder::Owner,
    id::ApiId,
    json::{Map, Value},
    key_limits::LimitStates,
    policy::Requirement,
    principal::Principal,
    refusal::{Mistake, Refusal},
    rights::Rights,
    scope::{Scope, ScopeSet},
};
use http::{Request, Response, header::AUTHORIZATION, request::Parts};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    app::App,
    manage::apis::KEYS_VERIFY,
    oauth::client_authentication,
    origin::{Origin, header},
    v1::{
        Management,
        access::{self, Admitted},
        members::Members,
    },
    verify::api_key::{self, Use, Verified},
    web::{
        body,
        refused::{ProblemError, explained},
        respond,
    },
};

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(verify_key))
}

/// A key, and what it is needed for. A member that is `null` counts as absent, and white space around the key does not count.
#[derive(ToSchema)]
#[schema(as = KeyVerification)]
struct VerifyRequest {
    /// The key that a caller sent.
    key: String,
    /// The scopes that it needs.
    #[schema(value_type = Option<Vec<Scope>>)]
    scopes: ScopeSet,
    /// The address that the caller sent it from. Without it, a key that is bound to addresses is refused.
    #[schema(value_type = Option<String>)]
    address: Option<IpAddr>,
    /// The header `Origin` that the caller sent. Without it, a publishable key is refused.
    origin: Option<String>,
    /// How often the asker has used the last answer about the key for further requests. They count as `valid`.
    #[schema(value_type = Option<u64>, maximum = 1_000_000)]
    uses: u64,
}

/// The most uses of one answer that are believed.
const MOST_USES: u64 = 1_000_000;

impl VerifyRequest {
    fn read(body: Map<String, Value>) -> Result<Self, Refusal> {
        let mut members = Members::of(body, EXPECTED);
        let (key, scopes, address) = (members.text("key"), members.scopes(), members.address());
        let origin = members.optional("origin");
        let uses = members.optional("uses").unwrap_or(0);
        if uses > MOST_USES {
            members.note(Mistake::at("uses", format!("at most {MOST_USES}")));
        }
        members.finish()?;
        Ok(Self { key: key.trim().to_owned(), scopes: scopes.into_iter().collect(), address, origin, uses })
    }
}

const EXPECTED: &str = r#"{"key":"…","scopes":["…"],"address":"…","origin":"…"}"#;

/// The answer about a key.
#[derive(Serialize, ToSchema)]
#[schema(as = KeyVerdict)]
pub(crate) struct Verdict {
    /// Whether it may be used so.
    valid: bool,
    /// `valid`, or the caller's code of the denial.
    code: &'static str,
    /// Whose key it is; also where only a scope is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    principal: Option<Principal>,
    /// False if this holds for this use of the key only: ask again about the next one. Otherwise the answer may be kept
    /// for a moment.
    #[serde(skip_serializing_if = "is_true")]
    reusable: bool,
    /// The limits of the key, with what is left of each.
    #[serde(skip_serializing_if = "Option::is_none")]
    limits: Option<LimitStates>,
    /// In how many seconds the key can be used again, if a limit is reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u64>,
}

pub(super) fn is_true(value: &bool) -> bool {
    *value
}

/// Who asks, and about the keys of which APIs.
enum Asker {
    Api(Arc<Api>),
    /// A caller of the management API, with its limits.
    Management(Rights),
}

/// Verify an API key
#[utoipa::path(post, path = "/v1/keys/verify", tag = "verification",
    security(("api_credential" = []), ("bearer" = ["keys:verify"])), request_body = VerifyRequest,
    responses((status = 200, description = "Whether the key may be used so", body = Verdict)))]
pub(crate) async fn verify_key(
    State(app): State<Arc<App>>,
    Extension(management): Extension<Management>,
    request: Request<Body>,
) -> Result<Response<Body>, ProblemError> {
    let (head, body) = request.into_parts();
    let origin = Origin::of(&head);
    let asker = if uses_basic(&head) {
        Asker::Api(client_authentication::api(&app, &origin, &head).await?)
    } else {
        let scope = Scope::parse(KEYS_VERIFY).expect("a constant that is a scope");
        match access::admit(&app, &management, &head, &ScopeSet::from_iter([scope])).await {
            Ok(Admitted { rights, .. }) => Asker::Management(rights),
            Err(refused) => return Ok(refused),
        }
    };
    match answer(&app, &asker, &head, body).await? {
        Ok(Verified { key, principal, limits, .. }) => {
            let reusable = key.metadata.is_reusable();
            let limits = (limits != LimitStates::default()).then_some(limits);
            let principal = Some(principal);
            let verdict = Verdict { valid: true, code: "valid", principal, reusable, limits, retry_after: None };
            Ok(respond::json_no_store(&verdict)?)
        }
        Err((refusal, found)) => {
            let reusable = !refusal.denial.is_about_one_use()
                && found.as_ref().is_none_or(|found| found.key.metadata.is_reusable());
            let principal = found.map(|found| found.principal);
            let (code, limits) = (refusal.denial.shown_as(), refusal.limits.as_deref().copied());
            let retry_after = refusal.retry_after_secs();
            let verdict = Verdict { valid: false, code, principal, reusable, limits, retry_after };
            Ok(explained(&origin, respond::json_no_store(&verdict)?, refusal))
        }
    }
}

/// Whose the key is, or why it may not be used so and whose it is.
type Found = Result<Verified, (Refusal, Option<Verified>)>;

async fn answer(app: &App, asker: &Asker, head: &Parts, body: Body) -> Result<Found, Refusal> {
    app.ensure_fresh()?;
    let asked = VerifyRequest::read(body::json(app, head, body, EXPECTED).await?)?;
    let found = verify(app, asker, &asked).await;
    if let (Ok(found), Some(_)) = (&found, asked.address) {
        app.note_caller(found.key.id.as_str(), asked.address, None);
    }
    match found {
        Err(refusal) if refusal.denial.class() == Class::Outage => Err(refusal),
        Err(refusal) => Ok(Err((refusal, None))),
        Ok(mut found) => Ok(match found.unmet.take() {
            None => Ok(found),
            Some(refusal) => Err((refusal.fact("key", &found.key.id), Some(found))),
        }),
    }
}

fn uses_basic(head: &Parts) -> bool {
    header(&head.headers, AUTHORIZATION.as_str())
        .and_then(|value| value.split_once(' '))
        .is_some_and(|(scheme, _)| scheme.eq_ignore_ascii_case("basic"))
}

async fn verify(app: &App, asker: &Asker, asked: &VerifyRequest) -> Result<Verified, Refusal> {
    let VerifyRequest { key: text, scopes: needed, address, origin, uses } = asked;
    let origin = allowed_origins::sent(origin.iter().map(String::as_bytes));
    let requirement = Requirement::from(needed.clone());
    let used = Use { address: *address, origin, sender: None, requirement: &requirement, further_uses: *uses };
    match asker {
        Asker::Api(api) => api_key::verify(app, api, text, used).await,
        Asker::Management(rights) => {
            let key = api_key::find(app, text).await?;
            if !rights.reach_owner(key.owner.as_ref().map_or("", Owner::as_str)) {
                return Err(api_key::of_another_api(&key));
            }
            let is_allowed = |id: &&ApiId| rights.reach_api(id);
            let apis = app.snapshots.apis();
            let allowed: Vec<_> = key.metadata.apis.iter().filter(is_allowed).filter_map(|id| apis.by_id(id)).collect();
            // Of several APIs the scopes say which is meant, since their names are unique across all.
            let meant = allowed.iter().find(|api| needed.iter().all(|scope| api.has_scope(scope)));
            let api = meant.or(allowed.first()).ok_or_else(|| api_key::of_another_api(&key))?;
            api_key::verify(app, api, text, used).await
        }
    }
}
