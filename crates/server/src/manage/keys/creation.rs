//! New keys.

use super::{KeyView, power};
use crate::{
    actor::Actor,
    app::App,
    manage::{ManageError, holders::Named, roles},
};
use doorward_core::{
    api::Role,
    api_key::{ApiKey, Environment},
    denial::Denial,
    grant::audience::Apis,
    holder::Owner,
    id::{ApiId, KeyId},
    json::{Map, Value},
    key_kind::KeyKind,
    key_limits::{KeyLimits, Quota, RateLimit, Uses},
    key_policy::KeyPolicy,
    new_api_key::{Expiry, NewApiKey},
    refusal::{Mistake, Refusal},
    rights::{Belongs, Power},
    scope::ScopeSet,
};
use doorward_store::{
    idempotency::KeptAnswer,
    keys::{CreateKey, KeyRecord, KeyRotations, ShownKey},
};

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
    /// Whom it belongs to: a client's id, a user's id, `user:NAME`, or the API's own id of a customer.
    pub owner: Option<String>,
    /// Of a management key: the APIs that it is limited to, by name; all if empty.
    pub limited_to: Vec<String>,
    /// Of a management key: the owners whose things it may manage, named likewise; all if empty.
    pub limited_to_owners: Vec<String>,
    /// What kind of key it is.
    pub kind: KeyKind,
    /// For real use or for tests.
    pub environment: Environment,
    /// When the key expires, if ever.
    pub expiry: Expiry,
    /// What its service keeps with it.
    pub metadata: Map<String, Value>,
    /// From which addresses and networks it may be used; from everywhere if empty.
    pub allowed_addresses: Vec<String>,
    /// Of a publishable key: the origins of the pages that it may be used from.
    pub allowed_origins: Vec<String>,
    /// At most so many uses at once.
    pub rate_limit: Option<RateLimit>,
    /// At most so many uses in a day or month.
    pub quota: Option<Quota>,
    /// At most so many uses in all.
    pub uses: Option<u64>,
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

pub(super) async fn prepare(app: &App, actor: &Actor, new: NewKey) -> Result<(CreateKey, CreatedKey), ManageError> {
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
    let now = app.now();
    let uses = new.uses.map(|granted| Uses { granted, since: now });
    let asked = NewApiKey {
        name: &new.name,
        apis: &apis,
        are_all_known,
        limited_to: &limited_to,
        limited_to_owners: &limited_to_owners,
        scope: &new.scopes,
        roles: &new.roles,
        kind: new.kind,
        environment: new.environment,
        metadata: &new.metadata,
        allowed_addresses: &new.allowed_addresses,
        allowed_origins: &new.allowed_origins,
        use_limits: KeyLimits { rate_limit: new.rate_limit, quota: new.quota, uses },
    };
    let policy = KeyPolicy::strictest(apis.iter().filter_map(|api| api.metadata.key_policy.as_ref()));
    let most = policy.and_then(|policy| policy.max_lifetime());
    let expires_at = new.expiry.expires_at_within(now, most).map_err(|mistake| vec![mistake]);
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
        created_by: actor.id.clone(),
        scope_given_at,
        expires_at,
        revoked_at: None,
        disabled_at: None,
        leaked_at: None,
        leak_source: None,
        last_used_at: None,
        last_used_address: None,
        owner_is_disabled: false,
        owner_is_deleted: false,
    };
    let audit = app.audit(actor).with("apis", new.apis.join(" "));
    let view = KeyView::of(ShownKey { key: record.clone(), rotations: KeyRotations::default() }, &known, now);
    Ok((CreateKey { key: record, audit }, CreatedKey { key, view }))
}

pub(super) fn check_gives_roles(actor: &Actor, given: &[(ApiId, Role)], apis: &Apis) -> Result<(), Refusal> {
    match roles::include_admin(apis, given) {
        true => actor.rights.check_covers(&Power::of_admin()),
        false => Ok(()),
    }
}
