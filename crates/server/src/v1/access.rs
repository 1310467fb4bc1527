//! Who calls the management API and what it may do: decided here, before any handler, by what the OpenAPI description
//! of the operation says. An operation that says nothing is refused.

use std::{collections::HashMap, sync::Arc};

use axum::{
    body::Body,
    extract::{FromRequestParts, MatchedPath, Request, State},
    middleware::Next,
    response::IntoResponse,
};
use doorward_core::{
    api::Role,
    denial::Denial,
    holder::Holder,
    id::{ClientId, KeyId, UserId},
    key_limits::LimitStates,
    policy::Requirement,
    principal::{Principal, PrincipalKind},
    refusal::{MISSING_ROLE, MISSING_SCOPE, PRINCIPAL, Refusal},
    rights::{ADMIN, Power, Rights, is_management},
    scope::{Scope, ScopeSet},
};
use doorward_store::{clients::FindClient, keys::FindKey, roles::RolesOf};
use http::{HeaderName, HeaderValue, Method, Response, request::Parts};
use serde_json::Value;

use super::Management;
use crate::{
    actor::Actor,
    app::App,
    manage::roles,
    origin::Origin,
    web::refused::{ProblemError, Refused},
};

/// The security scheme of operations that this module lets callers into.
pub(super) const SCHEME: &str = "bearer";

/// The layer around the managing operations.
pub(super) struct Access {
    app: Arc<App>,
    management: Management,
    operations: HashMap<(Method, String), ScopeSet>,
}

impl Access {
    pub(super) fn new(app: Arc<App>, management: Management, description: &Value) -> Self {
        let mut operations = HashMap::new();
        for (path, item) in description["paths"].as_object().into_iter().flatten() {
            for (method, operation) in item.as_object().into_iter().flatten() {
                if let (Ok(method), Some(scopes)) =
                    (Method::from_bytes(method.to_uppercase().as_bytes()), demanded(operation))
                {
                    operations.insert((method, path.clone()), scopes);
                }
            }
        }
        Self { app, management, operations }
    }

    async fn actor(&self, head: &Parts) -> Result<(Actor, LimitStates), Response<Body>> {
        let route = head.extensions.get::<MatchedPath>().map_or("", MatchedPath::as_str);
        // HEAD is GET without the body (RFC 9110 section 9.3.2).
        let method = if head.method == Method::HEAD { Method::GET } else { head.method.clone() };
        let Some(scopes) = self.operations.get(&(method, route.to_owned())) else {
            return Err(ProblemError::from(Denial::MethodNotAllowed).into_response());
        };
        let Admitted { subject, rights, limits } = admit(&self.app, &self.management, head, scopes).await?;
        Ok((Origin::of(head).actor_with(subject, rights), limits))
    }
}

/// A caller of the management API.
pub(super) struct Admitted {
    pub(super) subject: String,
    pub(super) rights: Rights,
    /// Those of its key after this use.
    pub(super) limits: LimitStates,
}

/// Accepts a caller of the management API, by its credential and by what is registered of it now.
pub(super) async fn admit(
    app: &App,
    management: &Management,
    head: &Parts,
    scopes: &ScopeSet,
) -> Result<Admitted, Response<Body>> {
    let requirement = Requirement::from(scopes.clone()).into();
    let principal = management.0.authorize(head, &requirement).await.map_err(|problem| problem.into_response())?;
    let refused = |refusal: Refusal| ProblemError::from(refusal.fact(PRINCIPAL, &principal.subject)).into_response();
    let power = present_power(app, &principal).await.map_err(refused)?;
    let missing = scopes.difference(&power.scopes);
    match missing.is_empty() {
        true => Ok(Admitted {
            subject: principal.subject.clone(),
            rights: Rights::Some(power),
            limits: principal.limits().copied().unwrap_or_default(),
        }),
        false => {
            let refusal = Refusal::new(Denial::InsufficientScope).required_scopes(scopes.clone());
            Err(refused(refusal.fact(MISSING_SCOPE, missing)))
        }
    }
}

/// The scopes that an operation demands, by its description.
fn demanded(operation: &Value) -> Option<ScopeSet> {
    let alternatives = operation["security"].as_array()?;
    let scopes = alternatives.iter().find_map(|alternative| alternative[SCHEME].as_array())?;
    scopes.iter().map(|scope| Scope::parse(scope.as_str()?).ok()).collect()
}

/// What a principal may do at this moment: what its credential says, as far as its key, its client and its user still have
/// it. A token outlives the withdrawal of a role or a scope by minutes, in which it could give everything back.
async fn present_power(app: &App, principal: &Principal) -> Result<Power, Refusal> {
    let granted = principal.scopes.filtered(is_management);
    if principal.kind == PrincipalKind::Key {
        let id = KeyId::parse(&principal.subject).map_err(|_| Denial::InsufficientPermission)?;
        let key = app.read(FindKey { id }).await?.ok_or(Denial::KeyUnknown)?;
        key.facts().check(app.now())?;
        let registered = app.snapshots.apis().living(&key.metadata.scope, key.scope_given_at);
        let scopes = granted.filtered(|scope| registered.contains(scope.as_str()));
        let (limits, addresses) = (key.metadata.limits(), key.metadata.allowed_addresses.clone());
        return Ok(Power { scopes, limits, addresses, expires_at: principal.expires_at });
    }
    let id = principal.client_id.as_deref().and_then(|id| ClientId::parse(id).ok());
    let id = id.ok_or(Denial::InsufficientPermission)?;
    let client = app.read(FindClient { id }).await?.ok_or(Denial::TokenRevoked)?;
    if principal.kind == PrincipalKind::User {
        check_is_administrator(app, &principal.subject).await?;
    }
    let registered = client.registered_scope(&app.snapshots.apis());
    let scopes = granted.filtered(|scope| registered.contains(scope.as_str()));
    // A token is gone in minutes, but the client that got it lasts: what it gives may last as well.
    Ok(Power { scopes, limits: client.metadata.limits(), ..Power::default() })
}

/// Refuses a user who does not have the role at the management API.
async fn check_is_administrator(app: &App, subject: &str) -> Result<(), Refusal> {
    let id = UserId::parse(subject).map_err(|_| Denial::InsufficientPermission)?;
    let held = app.read(RolesOf { holder: Holder::User(id) }).await?;
    if roles::include_admin(&app.snapshots.apis(), &held) {
        return Ok(());
    }
    let admin = Role::parse(ADMIN).map_err(|_| Denial::InsufficientPermission)?;
    Err(Refusal::new(Denial::InsufficientPermission).fact(MISSING_ROLE, &admin).required_roles([admin].into()))
}

pub(super) async fn authorize(State(access): State<Arc<Access>>, request: Request, next: Next) -> Response<Body> {
    let (mut head, body) = request.into_parts();
    match access.actor(&head).await {
        Ok((actor, limits)) => {
            let (uri, id) = (head.uri.clone(), actor.id.clone().unwrap_or_default());
            head.extensions.insert(actor);
            let mut response = next.run(Request::from_parts(head, body)).await;
            if let Some(refused) = response.extensions_mut().get_mut::<Refused>() {
                refused.name(&id, &uri);
            }
            for (name, value) in limits.headers() {
                response
                    .headers_mut()
                    .extend(HeaderValue::try_from(value).ok().map(|value| (HeaderName::from_static(name), value)));
            }
            response
        }
        Err(refused) => refused,
    }
}

/// The caller, which the layer around the managing operations accepted.
pub(super) struct Caller(pub(super) Actor);

impl FromRequestParts<Arc<App>> for Caller {
    type Rejection = ProblemError;

    async fn from_request_parts(head: &mut Parts, _: &Arc<App>) -> Result<Self, ProblemError> {
        Ok(Self(head.extensions.get::<Actor>().cloned().ok_or(Denial::CredentialMissing)?))
    }
}
