//! `POST /v1/keys/verify`: is this key good, for what, and whose is it?
//!
//! An API asks by its own credential about keys that name it; a management key with `keys:verify` asks about keys of
//! the APIs that it is limited to. A key of another API is answered exactly as one that does not exist.

use std::sync::Arc;

use axum::{Extension, body::Body, extract::State};
use doorward_core::{
    api::Api,
    api_key::ApiKey,
    denial::{Class, Denial},
    id::{ApiId, KeyId},
    json,
    policy::{self, Requirement},
    principal::{CredentialKind, Principal, PrincipalKind},
    refusal::Refusal,
    scope::{Scope, ScopeSet},
};
use doorward_store::keys::{FindKey, KeyRecord};
use http::{Request, Response, StatusCode, header::AUTHORIZATION, request::Parts};
use serde::{Deserialize, Serialize};

use crate::{
    admin::apis::KEYS_VERIFY,
    app::App,
    http::{Origin, body, header, respond},
    oauth::client_authentication,
    verifier::Management,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct VerifyRequest {
    key: String,
    #[serde(default)]
    scopes: Vec<Scope>,
}

/// The answer about a key.
#[derive(Serialize)]
pub(crate) struct Verdict {
    /// Whether it may be used so.
    valid: bool,
    /// `valid`, or the caller's code of the denial.
    code: &'static str,
    /// Who it stands for; also where only a scope is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    principal: Option<Principal>,
}

/// Who asks, and about the keys of which APIs.
enum Asker {
    Api(Arc<Api>),
    /// A management key, and the APIs that it is limited to; all if empty.
    Management(Vec<ApiId>),
}

pub(crate) async fn handle(
    State(app): State<Arc<App>>,
    Extension(management): Extension<Management>,
    request: Request<Body>,
) -> Response<Body> {
    let origin = Origin::of(&request);
    let (head, body) = request.into_parts();
    let asker = if uses_basic(&head) {
        client_authentication::api(&app, &origin, &head).await.map(Asker::Api)
    } else {
        let scope = Scope::parse(KEYS_VERIFY).expect("a constant that is a scope");
        let requirement = Requirement::authenticated().scope(scope).into();
        match management.0.authorize(&head, &requirement).await {
            Ok(principal) => limits_of(&app, &principal).await.map(Asker::Management),
            Err(problem) => return problem.into_response(),
        }
    };
    let verdict = async { answer(&app, &asker?, &head, body).await };
    match verdict.await {
        Ok(Ok(principal)) => {
            let verdict = Verdict { valid: true, code: "valid", principal: Some(principal) };
            respond::json_no_store(StatusCode::OK, &verdict)
        }
        Ok(Err((refusal, principal))) => {
            let verdict = Verdict { valid: false, code: refusal.denial.shown_as(), principal };
            respond::no(&app, &origin, &refusal, &verdict)
        }
        Err(refusal) => respond::problem(&app, &origin, &refusal),
    }
}

/// Whose the key is, or why it may not be used so and whose it is all the same.
type Found = Result<Principal, (Refusal, Option<Principal>)>;

async fn answer(app: &App, asker: &Asker, head: &Parts, body: Body) -> Result<Found, Refusal> {
    app.check_sight()?;
    let bytes = body::json(app, head, body).await?;
    let malformed = |_| Refusal::new(Denial::BodyMalformed).fact("expected", r#"{"key":"…","scopes":["…"]}"#);
    let request: VerifyRequest = json::parse_as(&bytes).map_err(malformed)?;
    let needed: ScopeSet = request.scopes.into_iter().collect();
    match verify(app, asker, &request.key, &needed).await {
        Err(refusal) if refusal.denial.class() == Class::Outage => Err(refusal),
        Err(refusal) => Ok(Err((refusal, None))),
        Ok(principal) => {
            let requirement = needed.iter().cloned().fold(Requirement::authenticated(), Requirement::scope);
            Ok(match policy::authorize(&principal, &requirement) {
                Ok(()) => Ok(principal),
                Err(refusal) => Err((refusal.fact("key", &principal.subject), Some(principal))),
            })
        }
    }
}

fn uses_basic(head: &Parts) -> bool {
    header(&head.headers, AUTHORIZATION.as_str())
        .and_then(|value| value.split_once(' '))
        .is_some_and(|(scheme, _)| scheme.eq_ignore_ascii_case("basic"))
}

/// The APIs that a management key is limited to; all if empty.
async fn limits_of(app: &App, principal: &Principal) -> Result<Vec<ApiId>, Refusal> {
    let id = KeyId::parse(&principal.subject).map_err(|_| Denial::InsufficientPermission)?;
    let key = app.read(FindKey { id }).await?;
    Ok(key.ok_or(Denial::KeyUnknown)?.limited_to)
}

async fn verify(app: &App, asker: &Asker, text: &str, needed: &ScopeSet) -> Result<Principal, Refusal> {
    match asker {
        Asker::Api(api) => check(app, api, text).await,
        Asker::Management(limited_to) => {
            let key = find(app, text).await?;
            let is_allowed = |id: &&ApiId| limited_to.is_empty() || limited_to.contains(id);
            let apis = app.snapshots.apis();
            let allowed: Vec<_> = key.apis.iter().filter(is_allowed).filter_map(|id| apis.by_id(id)).collect();
            // Of several APIs the scopes say which is meant, since their names are unique across all.
            let meant = allowed.iter().find(|api| needed.iter().all(|scope| api.has_scope(scope)));
            let api = meant.or(allowed.first()).ok_or_else(|| of_another_api(&key))?;
            check(app, api, text).await
        }
    }
}

/// Verifies a key for one API.
pub(crate) async fn check(app: &App, api: &Api, text: &str) -> Result<Principal, Refusal> {
    let key = find(app, text).await?;
    if !key.apis.contains(&api.id) {
        return Err(of_another_api(&key));
    }
    key.facts().check(app.now()).map_err(|denial| Refusal::new(denial).fact("key", &key.id))?;
    app.note_use(&key, text);
    Ok(Principal {
        kind: PrincipalKind::Key,
        subject: key.id.to_string(),
        client_id: None,
        owner: key.owner.clone(),
        name: Some(key.name.clone()),
        credential: CredentialKind::ApiKey,
        credential_id: Some(key.id.to_string()),
        grant_id: None,
        audience: api.identifier.clone(),
        scopes: key.scopes.filtered(|scope| api.has_scope(scope)),
        roles: key.roles.iter().filter(|(at, _)| *at == api.id).map(|(_, role)| role.clone()).collect(),
        expires_at: key.expires_at,
    })
}

/// Finds a key. A text that is none, or fails its checksum, is refused without a look-up.
async fn find(app: &App, text: &str) -> Result<Arc<KeyRecord>, Refusal> {
    let key = ApiKey::parse(text).ok_or(Denial::KeyMistyped)?;
    let found = app.key(key.reveal()).await?;
    found.ok_or_else(|| Refusal::new(Denial::KeyUnknown).fact("hint", key.hint()))
}

fn of_another_api(key: &KeyRecord) -> Refusal {
    Refusal::new(Denial::KeyOfAnotherApi).fact("key", &key.id)
}
