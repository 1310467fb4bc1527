//! The key service: making, listing, revoking and verifying API keys.

use std::time::Duration;

use doorward_core::{
    api::Role,
    api_key::{ApiKey, Environment},
    clock::Timestamp,
    denial::Denial,
    holder::Owner,
    id::{ClientId, KeyId},
    registration,
    scope::ScopeSet,
};
use doorward_store::keys::{CreateKey, FindKey, KeyRecord, KeyRevocation, ListKeys, RevokeKey};

use crate::{actor::Actor, app::App, manage::ManageError};

/// How long a key lives unless said otherwise.
pub const DEFAULT_LIFETIME: Duration = Duration::from_secs(90 * 86_400);

/// When a new key ends.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Expiry {
    /// After this time.
    After(Duration),
    /// After [`DEFAULT_LIFETIME`].
    #[default]
    Default,
    /// Never: must be asked for by name, and is flagged in lists.
    Never,
}

/// A key that is to be made.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// Its name, for people.
    pub name: String,
    /// The APIs that it names, by name; the first gives its prefix.
    pub apis: Vec<String>,
    /// What it may be used for: scopes of those APIs.
    pub scopes: ScopeSet,
    /// Its roles, as `api:role`, or `role` alone where it names one API.
    pub roles: Vec<String>,
    /// Whom it belongs to: a client's id, or a user's id or name.
    pub owner: Option<String>,
    /// Of a management key: the APIs that it is limited to, by name; all if empty.
    pub limited_to: Vec<String>,
    /// For real use or for tests.
    pub environment: Environment,
    /// When it ends.
    pub expiry: Expiry,
}

/// A new key; the key itself is shown once.
pub struct CreatedKey {
    /// The key.
    pub key: ApiKey,
    /// What is remembered of it.
    pub record: KeyRecord,
}

/// Makes a key.
pub async fn create(app: &App, actor: &Actor, new: NewKey) -> Result<CreatedKey, ManageError> {
    let name = registration::display_name("name", &new.name)?;
    let apis = super::apis::find_all(app, &new.apis).await?;
    let first = apis.first().ok_or_else(|| ManageError::invalid("api", "a key names at least one API"))?;
    let limited_to = super::apis::find_all(app, &new.limited_to).await?;
    if !limited_to.is_empty() && !apis.iter().any(|api| api.name == super::apis::MANAGEMENT) {
        return Err(ManageError::invalid(
            "limit-to",
            format!("only keys of the API {:?} can be limited", super::apis::MANAGEMENT),
        ));
    }
    let foreign = new.scopes.filtered(|scope| !apis.iter().any(|api| api.has_scope(scope)));
    if !foreign.is_empty() {
        return Err(ManageError::invalid("scope", format!("{foreign} is no scope of the named APIs")));
    }
    let mut roles = Vec::new();
    for text in &new.roles {
        let (api, role) = match (text.split_once(':'), &apis[..]) {
            (Some((api, role)), _) => (apis.iter().find(|known| known.name == api), role),
            (None, [only]) => (Some(only), text.as_str()),
            (None, _) => (None, text.as_str()),
        };
        let api = api.ok_or_else(|| ManageError::invalid("role", "write API:ROLE, with an API that the key names"))?;
        let role = Role::parse(role).map_err(|error| ManageError::invalid("role", error))?;
        if !api.roles.contains(&role) {
            return Err(ManageError::NotFound { kind: "role", name: format!("{role} at {}", api.name) });
        }
        roles.push((api.id.clone(), role));
    }
    let owner = match &new.owner {
        None => None,
        Some(id) if ClientId::parse(id).is_ok() => Some(Owner::Client(super::clients::show(app, id).await?.id)),
        Some(name) => Some(Owner::User(super::users::show(app, name).await?.id)),
    };
    let now = app.now();
    let expires_at = match new.expiry {
        Expiry::Never => None,
        Expiry::Default => Some(now.plus(DEFAULT_LIFETIME)),
        Expiry::After(lifetime) if lifetime < Duration::from_secs(1) => {
            return Err(ManageError::invalid("expires-in", "at least a second"));
        }
        Expiry::After(lifetime) => Some(now.plus(lifetime)),
    };
    let key = ApiKey::generate(&first.key_prefix, new.environment, &*app.rng);
    let record = KeyRecord {
        id: KeyId::new(now, &*app.rng),
        digest: app.peppers.digest(key.reveal()),
        hint: key.hint(),
        name,
        owner,
        apis: apis.iter().map(|api| api.id.clone()).collect(),
        limited_to: limited_to.iter().map(|api| api.id.clone()).collect(),
        scopes: new.scopes,
        roles,
        environment: new.environment,
        created_at: now,
        expires_at,
        revoked_at: None,
        last_used_at: None,
        owner_is_disabled: false,
    };
    let audit = app.audit(actor).with("apis", new.apis.join(" "));
    app.commit(CreateKey { key: record.clone(), audit }).await?;
    Ok(CreatedKey { key, record })
}

/// Keys in the order that they were made, after one of them.
pub async fn list(app: &App, after: Option<KeyId>, limit: i64) -> Result<Vec<KeyRecord>, ManageError> {
    Ok(app.store.read(ListKeys { after, limit }).await?)
}

/// The key with this id; the key itself will do as well.
pub async fn show(app: &App, id: &str) -> Result<KeyRecord, ManageError> {
    let not_found = || ManageError::NotFound { kind: "key", name: shown(id) };
    if let Some(key) = ApiKey::parse(id) {
        let candidates = app.candidates(key.reveal());
        let found = app.store.read(doorward_store::keys::FindKeyByDigest { candidates }).await?;
        return found.ok_or_else(not_found);
    }
    let id = KeyId::parse(id).map_err(|_| not_found())?;
    app.store.read(FindKey { id }).await?.ok_or_else(not_found)
}

/// Revokes a key, by its id or by the key itself.
pub async fn revoke(app: &App, actor: &Actor, id: &str) -> Result<KeyRevocation, ManageError> {
    let key = show(app, id).await?;
    Ok(app.commit(RevokeKey { id: key.id, now: app.now(), audit: app.audit(actor) }).await?)
}

/// Whether a key can be used at `now`, or why not, in a word or two.
pub fn state(key: &KeyRecord, now: Timestamp) -> &'static str {
    match key.facts().check(now) {
        Ok(()) => "active",
        Err(Denial::KeyExpired) => "expired",
        Err(Denial::KeyOwnerDisabled) => "owner disabled",
        Err(_) => "revoked",
    }
}

/// What was looked for, without showing a mistyped key.
fn shown(id: &str) -> String {
    match doorward_core::api_key::looks_like_key(id) {
        true => "(a key that is not known here)".to_owned(),
        false => id.chars().take(40).collect(),
    }
}
