//! API keys, verified by the server that issued them.

use std::{net::IpAddr, sync::Arc, time::Instant};

use doorward_core::{
    api::Api,
    api_key::ApiKey,
    client_side,
    denial::Denial,
    key_limits::LimitStates,
    policy::{self, Requirement},
    principal::{Principal, PrincipalKind},
    refusal::Refusal,
};
use doorward_store::keys::KeyRecord;

use crate::app::{App, key_uses::KeyUse};

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
    /// The origin of the page that sent it, as [`sent`](doorward_core::allowed_origins::sent) found it.
    pub(crate) origin: Option<&'a str>,
    /// What says that a browser or an app sent it, where the asker knows and the route does not allow it.
    pub(crate) sender: Option<Sender<'a>>,
    pub(crate) requirement: &'a Requirement,
    /// How often the asker has used the last answer by itself.
    pub(crate) further_uses: u64,
}

/// The headers of a request that say whether a browser or an app sent it.
pub(crate) struct Sender<'a> {
    pub(crate) origin: Vec<&'a [u8]>,
    pub(crate) user_agent: Vec<&'a [u8]>,
}

impl Sender<'_> {
    /// Refuses a secret API key that a browser or an app sent. A publishable one is meant for browsers.
    fn check(&self, key: &KeyRecord) -> Result<(), Refusal> {
        let (origin, user_agent) = (self.origin.iter().copied(), self.user_agent.iter().copied());
        client_side::check(key.metadata.kind.credential(), key.metadata.environment, origin, user_agent)
    }
}

/// Verifies a key for one API and one use. Counts the outcome, and notes the use.
pub(crate) async fn verify(app: &App, api: &Api, text: &str, asked: Use<'_>) -> Result<Verified, Refusal> {
    let (begun, address, further_uses) = (Instant::now(), asked.address, asked.further_uses);
    let found = of_api(app, api, text).await;
    let verified = match &found {
        Ok(key) => admit(app, api, key, asked).await.map_err(|refusal| refusal.fact("key", &key.id)),
        Err(refusal) => Err(refusal.clone()),
    };
    app.metrics.verified_key(verified.as_ref().map_or_else(|refusal| refusal.denial.code(), |_| "valid"));
    if let Ok(key) = &found {
        let unmet = verified.as_ref().map(|verified| verified.unmet.as_ref()).unwrap_or_else(Some);
        let outcome = unmet.map_or("valid", |refusal| refusal.denial.code());
        let (is_good, took) = (verified.is_ok(), begun.elapsed());
        app.note_unusual_use(api, key, address, is_good);
        app.note_use(&KeyUse { key, secret: text, address, is_good, outcome, took, further_uses });
    }
    verified
}

/// A key of an API, in whatever state.
async fn of_api(app: &App, api: &Api, text: &str) -> Result<Arc<KeyRecord>, Refusal> {
    let key = ApiKey::parse(text).ok_or(Denial::KeyMistyped)?;
    let key = app.key_for(&api.id, key.reveal()).await?.ok_or_else(|| unknown(&key))?;
    match key.metadata.apis.contains(&api.id) {
        true => Ok(key),
        false => Err(of_another_api(&key)),
    }
}

async fn admit(app: &App, api: &Api, key: &Arc<KeyRecord>, asked: Use<'_>) -> Result<Verified, Refusal> {
    key.facts().check(app.now())?;
    key.metadata.check_address(asked.address)?;
    key.metadata.check_origin(asked.origin)?;
    asked.sender.map_or(Ok(()), |sender| sender.check(key))?;
    let principal = principal(app, api, key);
    let unmet = policy::authorize(&principal, asked.requirement).err();
    let limits = match unmet {
        None => app.take_use(key).await?,
        Some(_) => LimitStates::default(),
    };
    Ok(Verified { key: key.clone(), principal, unmet, limits })
}

/// Whose key it is, and what it may do at this API.
fn principal(app: &App, api: &Api, key: &KeyRecord) -> Principal {
    let kind = key.metadata.kind;
    Principal {
        kind: PrincipalKind::Key,
        subject: key.id.to_string(),
        client_id: None,
        owner: key.owner.as_ref().map(ToString::to_string),
        name: Some(key.metadata.name.clone()),
        credential: kind.credential(),
        credential_id: Some(key.id.to_string()),
        grant_id: None,
        audience: api.metadata.identifier.clone(),
        scopes: kind.scopes_at(api, &app.snapshots.apis().living(&key.metadata.scope, key.scope_given_at)),
        roles: kind.roles_at(api, &key.roles),
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
