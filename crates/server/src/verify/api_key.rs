//! API keys, verified by the server that issued them.

use std::{net::IpAddr, sync::Arc};

use doorward_core::{
    api::Api,
    api_key::ApiKey,
    denial::Denial,
    key_limits::LimitStates,
    policy::{self, Requirement},
    principal::{CredentialKind, Principal, PrincipalKind},
    refusal::Refusal,
};
use doorward_store::keys::KeyRecord;

use crate::app::App;

/// A key that may be used at an API, and what it may do there.
pub(crate) struct Verified {
    pub(crate) key: Arc<KeyRecord>,
    pub(crate) principal: Principal,
    /// Why it does not meet the requirement. Nothing was taken out of its limits then.
    pub(crate) unmet: Option<Refusal>,
    /// Its limits after this use.
    pub(crate) limits: LimitStates,
}

/// What a key is used for.
pub(crate) struct Use<'a> {
    /// The caller's address, if it is known.
    pub(crate) address: Option<IpAddr>,
    pub(crate) requirement: &'a Requirement,
}

/// Verifies a key for one API and one use. Counts the outcome, and notes the use.
pub(crate) async fn verify(app: &App, api: &Api, text: &str, asked: Use<'_>) -> Result<Verified, Refusal> {
    let verified = check(app, api, text, asked).await;
    app.metrics.verified_key(verified.as_ref().map_or_else(|refusal| refusal.denial.code(), |_| "valid"));
    verified
}

async fn check(app: &App, api: &Api, text: &str, asked: Use<'_>) -> Result<Verified, Refusal> {
    let key = ApiKey::parse(text).ok_or(Denial::KeyMistyped)?;
    let key = app.key_for(&api.id, key.reveal()).await?.ok_or_else(|| unknown(&key))?;
    if !key.metadata.apis.contains(&api.id) {
        return Err(of_another_api(&key));
    }
    key.facts().check(app.now()).map_err(|denial| Refusal::new(denial).fact("key", &key.id))?;
    key.metadata.check_address(asked.address).map_err(|refusal| refusal.fact("key", &key.id))?;
    let principal = principal(app, api, &key);
    let unmet = policy::authorize(&principal, asked.requirement).err();
    let limits = match unmet {
        None => app.take_use(&key).await.map_err(|refusal| refusal.fact("key", &key.id))?,
        Some(_) => LimitStates::default(),
    };
    app.note_use(&key, text);
    Ok(Verified { key, principal, unmet, limits })
}

/// Whose key it is, and what it may do at this API.
fn principal(app: &App, api: &Api, key: &KeyRecord) -> Principal {
    Principal {
        kind: PrincipalKind::Key,
        subject: key.id.to_string(),
        client_id: None,
        owner: key.owner.as_ref().map(ToString::to_string),
        name: Some(key.metadata.name.clone()),
        credential: CredentialKind::ApiKey,
        credential_id: Some(key.id.to_string()),
        grant_id: None,
        audience: api.metadata.identifier.clone(),
        scopes: app
            .snapshots
            .apis()
            .living(&key.metadata.scope, key.scope_given_at)
            .filtered(|scope| api.has_scope(scope)),
        roles: api.roles_among(&key.roles),
        expires_at: key.expires_at,
        claims: Default::default(),
    }
}

/// Finds a key. A text that is none, or fails its checksum, is refused without a look-up.
pub(crate) async fn find(app: &App, text: &str) -> Result<Arc<KeyRecord>, Refusal> {
    let key = ApiKey::parse(text).ok_or(Denial::KeyMistyped)?;
    app.key(key.reveal()).await?.ok_or_else(|| unknown(&key))
}

fn unknown(key: &ApiKey) -> Refusal {
    Refusal::new(Denial::KeyUnknown).fact("hint", key.hint())
}

pub(crate) fn of_another_api(key: &KeyRecord) -> Refusal {
    Refusal::new(Denial::KeyOfAnotherApi).fact("key", &key.id)
}
