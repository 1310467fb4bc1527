//! The key service: it creates, lists, revokes and verifies API keys.

use doorward_core::{
    api_key::{ApiKey, Environment},
    clock::Timestamp,
    denial::Denial,
    grant::audience::Apis,
    holder::Owner,
    id::{ApiId, ClientId, KeyId},
    new_api_key::NewApiKey,
    scope::ScopeSet,
};
use doorward_store::keys::{CreateKey, FindKey, KeyRecord, KeyRevocation, ListKeys, RevokeKey};
use serde::Serialize;

pub use doorward_core::new_api_key::Expiry;

use super::{ManageError, roles, times};
use crate::{actor::Actor, app::App};

/// A key to be created.
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
    /// When the key expires, if ever.
    pub expiry: Expiry,
}

/// A key as it is shown: everything except the key itself.
#[derive(Clone, Debug, Serialize)]
pub struct KeyView {
    /// Its id, which is not secret.
    pub id: KeyId,
    /// Its first characters, to be recognised by.
    pub hint: String,
    /// Its name, for people.
    pub name: String,
    /// Whether it can be used, or why not, in a word or two.
    pub state: &'static str,
    /// The APIs that it names, by name.
    pub apis: Vec<String>,
    /// The APIs that it names, by id.
    pub api_ids: Vec<ApiId>,
    /// Of a management key: the APIs that it is limited to, by name; all if empty.
    pub limited_to: Vec<String>,
    /// What it may be used for.
    pub scope: ScopeSet,
    /// Its roles, as `API:ROLE`.
    pub roles: Vec<String>,
    /// Whom it belongs to.
    pub owner: Option<Owner>,
    /// For real use or for tests.
    pub environment: Environment,
    /// When it was created.
    #[serde(serialize_with = "times::serialize")]
    pub created_at: Timestamp,
    /// When it expires, if it does.
    #[serde(serialize_with = "times::optional")]
    pub expires_at: Option<Timestamp>,
    /// Whether it never expires.
    pub never_expires: bool,
    /// When it was revoked, if it was.
    #[serde(serialize_with = "times::optional")]
    pub revoked_at: Option<Timestamp>,
    /// When it was last used, to the minute.
    #[serde(serialize_with = "times::optional")]
    pub last_used_at: Option<Timestamp>,
}

impl KeyView {
    fn of(key: KeyRecord, apis: &Apis, now: Timestamp) -> Self {
        // APIs are never removed, but one can be new since they were read.
        let name = |id: &ApiId| apis.by_id(id).map_or_else(|| "?".to_owned(), |api| api.metadata.name.clone());
        Self {
            state: state(&key, now),
            id: key.id,
            hint: key.hint,
            apis: key.metadata.apis.iter().map(name).collect(),
            limited_to: key.metadata.limited_to.iter().map(name).collect(),
            name: key.metadata.name,
            api_ids: key.metadata.apis,
            scope: key.metadata.scope,
            roles: roles::shown(&key.roles, apis),
            owner: key.owner,
            environment: key.metadata.environment,
            created_at: key.created_at,
            expires_at: key.expires_at,
            never_expires: key.expires_at.is_none(),
            revoked_at: key.revoked_at,
            last_used_at: key.last_used_at,
        }
    }
}

/// A new key; the key itself is shown once.
pub struct CreatedKey {
    /// The key itself, shown only now.
    pub key: ApiKey,
    /// What is shown of it from now on.
    pub view: KeyView,
}

/// Creates a key for APIs and an owner that must exist.
pub async fn create(app: &App, actor: &Actor, new: NewKey) -> Result<CreatedKey, ManageError> {
    create_shown(app, actor, new, |_| Ok(())).await
}

/// Creates a key after `show` has printed it. If that fails, nothing was changed.
pub async fn create_shown<E: From<ManageError>>(
    app: &App,
    actor: &Actor,
    new: NewKey,
    show: impl FnOnce(&CreatedKey) -> Result<(), E>,
) -> Result<CreatedKey, E> {
    let (operation, created) = prepare(app, actor, new).await?;
    show(&created)?;
    app.commit(operation).await.map_err(ManageError::from)?;
    Ok(created)
}

async fn prepare(app: &App, actor: &Actor, new: NewKey) -> Result<(CreateKey, CreatedKey), ManageError> {
    let known = super::apis::all(app).await?;
    let apis = super::apis::all_named(&known, &new.apis)?;
    let limited_to = super::apis::all_named(&known, &new.limited_to)?;
    let asked = NewApiKey {
        name: &new.name,
        apis: &apis,
        limited_to: &limited_to,
        scope: &new.scopes,
        roles: &new.roles,
        environment: new.environment,
    };
    let (metadata, roles) = (asked.metadata()?, asked.roles()?);
    let owner = match &new.owner {
        None => None,
        Some(id) if ClientId::parse(id).is_ok() => Some(Owner::Client(super::clients::find(app, id).await?.id)),
        Some(name) => Some(Owner::User(super::users::find(app, name).await?.id)),
    };
    let now = app.now();
    let expires_at = new.expiry.expires_at(now)?;
    let key = asked.generate(&*app.rng)?;
    let record = KeyRecord {
        id: KeyId::new(now, &*app.rng),
        digest: app.peppers.digest(key.reveal()),
        hint: key.hint(),
        metadata,
        owner,
        roles,
        created_at: now,
        expires_at,
        revoked_at: None,
        last_used_at: None,
        owner_is_disabled: false,
    };
    let audit = app.audit(actor).with("apis", new.apis.join(" "));
    let view = KeyView::of(record.clone(), &known, now);
    Ok((CreateKey { key: record, audit }, CreatedKey { key, view }))
}

/// Keys in order of creation, after one of them.
pub async fn list(app: &App, after: Option<KeyId>, limit: i64) -> Result<Vec<KeyView>, ManageError> {
    let (keys, apis) = (app.store.read(ListKeys { after, limit }).await?, super::apis::all(app).await?);
    Ok(keys.into_iter().map(|key| KeyView::of(key, &apis, app.now())).collect())
}

/// The key with this id, or the key itself.
pub async fn show(app: &App, id: &str) -> Result<KeyView, ManageError> {
    Ok(KeyView::of(find(app, id).await?, &super::apis::all(app).await?, app.now()))
}

pub(super) async fn find(app: &App, id: &str) -> Result<KeyRecord, ManageError> {
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
    let key = find(app, id).await?;
    Ok(app.commit(RevokeKey { id: key.id, now: app.now(), audit: app.audit(actor) }).await?)
}

/// Whether a key can be used at `now`, or why not, in a word or two.
fn state(key: &KeyRecord, now: Timestamp) -> &'static str {
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
