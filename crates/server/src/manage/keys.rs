//! The key service: it creates, lists, revokes and verifies API keys.

use doorward_core::{
    api::Role,
    api_key::{ApiKey, Environment, KeyMetadata},
    clock::Timestamp,
    denial::Denial,
    grant::audience::Apis,
    holder::Owner,
    id::{ApiId, KeyId},
    new_api_key::NewApiKey,
    refusal::{Mistake, Refusal},
    rights::{Belongs, Power},
    scope::{Scope, ScopeSet},
};
use doorward_store::{
    idempotency::KeptAnswer,
    keys::{CreateKey, FindKey, KeyFilter, KeyRecord, KeyRevocation, ListKeys, RevokeKey, UpdateKey},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use doorward_core::new_api_key::Expiry;

pub use self::view::KeyView;

use super::{
    ManageError,
    attempts::{outcome, until_done},
    holders::{self, Named},
    page::{Page, page},
    roles,
};
use crate::{actor::Actor, app::App};

mod view;

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
    /// Of a management key: the owners whose things it may manage, by id or a user's name; all if empty.
    pub limited_to_owners: Vec<String>,
    /// For real use or for tests.
    pub environment: Environment,
    /// When the key expires, if ever.
    pub expiry: Expiry,
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
    create_shown(app, actor, new, |_| Ok(None)).await
}

/// Creates a key after `show` has printed it, and keeps the answer that it returns. If that fails, nothing was changed.
pub async fn create_shown<E: From<ManageError>>(
    app: &App,
    actor: &Actor,
    new: NewKey,
    show: impl FnOnce(&CreatedKey) -> Result<Option<KeptAnswer>, E>,
) -> Result<CreatedKey, E> {
    let (operation, created) = prepare(app, actor, new).await?;
    let answer = show(&created)?;
    app.commit_kept(operation, answer).await.map_err(ManageError::from)?;
    Ok(created)
}

async fn prepare(app: &App, actor: &Actor, new: NewKey) -> Result<(CreateKey, CreatedKey), ManageError> {
    let mut named = Named::new(app, actor).await?;
    let apis = named.apis("apis", &new.apis);
    let are_all_known = named.are_all_known();
    let limited_to = named.apis("limited_to", &new.limited_to);
    let mut limited_to_owners = Vec::new();
    for (index, name) in new.limited_to_owners.iter().enumerate() {
        let at = |why| Mistake::at_element("limited_to_owners", index, why);
        limited_to_owners.extend(named.owner(name, at).await?);
    }
    let owner = match &new.owner {
        Some(name) => named.owner(name, |why| Mistake::at("owner", why)).await?,
        None => None,
    };
    let asked = NewApiKey {
        name: &new.name,
        apis: &apis,
        are_all_known,
        limited_to: &limited_to,
        limited_to_owners: &limited_to_owners,
        scope: &new.scopes,
        roles: &new.roles,
        environment: new.environment,
    };
    let now = app.now();
    let expires_at = new.expiry.expires_at(now).map_err(|mistake| vec![mistake]);
    let checked = Mistake::none_in_both(asked.checked(), expires_at);
    let (known, ((metadata, roles), expires_at)) = Mistake::none_in_both(named.finish(), checked)?;
    let expires_at = match new.expiry {
        Expiry::Default => actor.rights.end_by_default(&power(&metadata, expires_at)),
        Expiry::After(_) | Expiry::Never | Expiry::Contradictory => expires_at,
    };
    actor.rights.check_gives(&power(&metadata, expires_at))?;
    check_gives_roles(actor, &roles, &known)?;
    if !actor.rights.reach(&Belongs { apis: metadata.apis.clone(), owner: owner.as_ref().map(Owner::as_str) }) {
        return Err(Refusal::new(Denial::RightsExceeded).fact("limits", "another API or owner").into());
    }
    let key = asked.generate(&*app.rng)?;
    let scope_given_at = known.given_again(&metadata.scope, now);
    let record = KeyRecord {
        id: KeyId::new(now, &*app.rng),
        digest: app.peppers.digest(key.reveal()),
        hint: key.hint(),
        metadata,
        owner,
        roles,
        created_at: now,
        scope_given_at,
        expires_at,
        revoked_at: None,
        last_used_at: None,
        owner_is_disabled: false,
        owner_is_deleted: false,
    };
    let audit = app.audit(actor).with("apis", new.apis.join(" "));
    let view = KeyView::of(record.clone(), &known, now);
    Ok((CreateKey { key: record, audit }, CreatedKey { key, view }))
}

fn check_gives_roles(actor: &Actor, given: &[(ApiId, Role)], apis: &Apis) -> Result<(), Refusal> {
    match roles::include_admin(apis, given) {
        true => actor.rights.check_covers(&Power::of_admin()),
        false => Ok(()),
    }
}

/// Which keys are listed.
#[derive(Clone, Debug, Default)]
pub struct WhichKeys {
    /// Only those of this owner: a client's id, or a user's id or name.
    pub owner: Option<String>,
    /// Only those that were revoked, or only those that were not.
    pub revoked: Option<bool>,
}

/// A page of the keys, in the order of their creation.
pub async fn list(
    app: &App,
    actor: &Actor,
    which: WhichKeys,
    after: Option<KeyId>,
    limit: usize,
) -> Result<Page<KeyView, KeyId>, ManageError> {
    let owner = match &which.owner {
        Some(name) => match holders::owner(app, name).await {
            Ok(owner) => Some(owner),
            // What is not there has no keys.
            Err(ManageError::NotFound { .. }) => return Ok(Page { items: Vec::new(), next: None }),
            Err(error) => return Err(error),
        },
        None => None,
    };
    let (filter, apis, now) = (KeyFilter { owner, revoked: which.revoked }, super::apis::all(app).await?, app.now());
    let read = |after, limit| {
        let list = ListKeys { filter: filter.clone(), after, limit };
        async move { Ok(app.store.read(list).await?) }
    };
    let show = |key: KeyRecord| reaches(actor, &key).then(|| KeyView::of(key, &apis, now));
    page(after, limit, read, |key: &KeyRecord| key.id.clone(), show).await
}

/// Whether somebody's rights reach a key.
pub(super) fn reaches(actor: &Actor, key: &KeyRecord) -> bool {
    actor.rights.reach(&Belongs { apis: key.metadata.apis.clone(), owner: key.owner.as_ref().map(Owner::as_str) })
}

/// The key with this id, or the key itself.
pub async fn show(app: &App, actor: &Actor, id: &str) -> Result<KeyView, ManageError> {
    let key = find_reached(app, actor, id).await?;
    Ok(KeyView::of(key, &super::apis::all(app).await?, app.now()))
}

async fn find_reached(app: &App, actor: &Actor, id: &str) -> Result<KeyRecord, ManageError> {
    let key = find(app, id).await?;
    match reaches(actor, &key) {
        true => Ok(key),
        false => Err(ManageError::NotFound { kind: "key", name: shown(id) }),
    }
}

/// The same to be changed, which needs the rights that the key has itself.
async fn find_to_change(app: &App, actor: &Actor, id: &str) -> Result<KeyRecord, ManageError> {
    let key = find_reached(app, actor, id).await?;
    actor.rights.check_covers(&power(&key.metadata, key.expires_at))?;
    Ok(key)
}

/// What a key could do at the management API.
fn power(metadata: &KeyMetadata, expires_at: Option<Timestamp>) -> Power {
    Power { limits: metadata.limits(), expires_at, ..Power::of_scopes(&metadata.scope) }
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

/// What may change of a key.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
pub struct KeySettings {
    /// Its name, for people.
    pub name: String,
    /// What it may be used for: scopes of the APIs that it names.
    #[serde(default)]
    pub scopes: Vec<Scope>,
    /// Its roles, as `API:ROLE`, or `ROLE` alone where it names one API.
    #[serde(default)]
    pub roles: Vec<String>,
}

impl KeySettings {
    /// Those of a key as it is shown.
    pub fn of(key: &KeyView) -> Self {
        Self { name: key.name.clone(), scopes: key.scopes.clone(), roles: key.roles.clone() }
    }
}

/// Changes a key, by its id or by the key itself: `edit` makes the settings from what is shown. It is called again if
/// somebody else changed the key meanwhile.
pub async fn update(
    app: &App,
    actor: &Actor,
    id: &str,
    edit: impl Fn(&KeyView) -> Result<KeySettings, ManageError>,
) -> Result<KeyView, ManageError> {
    until_done("this key", || async {
        let now = app.now();
        let (key, apis) = (find_to_change(app, actor, id).await?, super::apis::all(app).await?);
        let before = KeyView::of(key.clone(), &apis, now);
        let settings = edit(&before)?;
        if settings == KeySettings::of(&before) {
            return Ok(Some(before));
        }
        let (to, roles_to) = changed(actor, &key, &before, settings, &apis)?;
        let scope_given_at = apis.given_at(&to.scope, &key.metadata.scope, key.scope_given_at, now);
        let after = KeyRecord { metadata: to.clone(), scope_given_at, roles: roles_to.clone(), ..key.clone() };
        let operation = UpdateKey {
            id: key.id,
            from: key.metadata,
            to,
            given_at_from: key.scope_given_at,
            given_at_to: scope_given_at,
            roles_from: key.roles,
            roles_to,
            now,
            audit: app.audit(actor),
        };
        let unknown = || ManageError::NotFound { kind: "key", name: shown(id) };
        outcome(app.commit(operation).await?, KeyView::of(after, &apis, now), unknown)
    })
    .await
}

/// The operation that changes the name and the scopes of a key, beside these APIs as they were at `now`, and what is
/// registered of it before.
pub(super) async fn prepare_update(
    app: &App,
    actor: &Actor,
    id: &KeyId,
    to: &KeyMetadata,
    apis: &Apis,
    now: Timestamp,
) -> Result<(UpdateKey, KeyMetadata), ManageError> {
    let key = find_to_change(app, actor, id.as_str()).await?;
    let before = KeyView::of(key.clone(), apis, now);
    let scopes = to.scope.iter().cloned().collect();
    let settings = KeySettings { name: to.name.clone(), scopes, roles: Vec::new() };
    let (to, _) = changed(actor, &key, &before, settings, apis)?;
    let (from, given_at_from) = (key.metadata, key.scope_given_at);
    let given_at_to = apis.given_at(&to.scope, &from.scope, given_at_from, now);
    let registered = KeyMetadata { scope: apis.living(&from.scope, given_at_from), ..from.clone() };
    let (roles_from, roles_to) = (key.roles.clone(), key.roles);
    let (id, audit) = (key.id, app.audit(actor));
    Ok((UpdateKey { id, from, to, given_at_from, given_at_to, roles_from, roles_to, now, audit }, registered))
}

/// What is registered of a key with these settings, and its roles. Giving it more needs the rights for that.
fn changed(
    actor: &Actor,
    key: &KeyRecord,
    before: &KeyView,
    settings: KeySettings,
    apis: &Apis,
) -> Result<(KeyMetadata, Vec<(ApiId, Role)>), ManageError> {
    let living = |ids: &[ApiId]| ids.iter().filter_map(|id| apis.by_id(id).cloned()).collect::<Vec<_>>();
    let (named, limited_to) = (living(&key.metadata.apis), living(&key.metadata.limited_to));
    let asked = NewApiKey {
        name: &settings.name,
        apis: &named,
        are_all_known: true,
        limited_to: &limited_to,
        limited_to_owners: &key.metadata.limited_to_owners,
        scope: &settings.scopes.into_iter().collect(),
        roles: &settings.roles,
        environment: key.metadata.environment,
    };
    let (metadata, roles) = asked.checked()?;
    let to = KeyMetadata { name: metadata.name, scope: metadata.scope, ..key.metadata.clone() };
    if !to.scope.iter().all(|scope| before.scopes.contains(scope)) {
        actor.rights.check_gives(&power(&to, key.expires_at))?;
    }
    let given: Vec<_> = roles.iter().filter(|role| !key.roles.contains(role)).cloned().collect();
    check_gives_roles(actor, &given, apis)?;
    Ok((to, roles))
}

/// Revokes a key, by its id or by the key itself.
pub async fn revoke(app: &App, actor: &Actor, id: &str) -> Result<KeyRevocation, ManageError> {
    let key = find_to_change(app, actor, id).await?;
    Ok(app.commit(RevokeKey { id: key.id, now: app.now(), audit: app.audit(actor) }).await?)
}

/// What was looked for, without showing a mistyped key.
fn shown(id: &str) -> String {
    match doorward_core::api_key::looks_like_key(id) {
        true => "(a key that is not known here)".to_owned(),
        false => id.chars().take(40).collect(),
    }
}
