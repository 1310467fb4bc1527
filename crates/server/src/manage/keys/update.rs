//! Changing a key.

use std::time::Duration;

use doorward_core::{
    api::Role,
    api_key::KeyMetadata,
    clock::Timestamp,
    grant::audience::Apis,
    id::{ApiId, KeyId},
    json::{Map, Value},
    key_limits::{KeyLimits, Quota, RateLimit, Uses},
    new_api_key::NewApiKey,
    scope::Scope,
};
use doorward_store::{
    Updated,
    keys::{IfKeyUnchanged, KeyRecord, ShownKey, UpdateKey},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{KeyView, creation::check_gives_roles, find_to_change, power, shown};
use crate::{
    actor::Actor,
    app::App,
    manage::{
        ManageError, apis,
        attempts::{outcome, until_done},
    },
};

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
    /// What its service keeps with it; Doorward only shows it. A merge patch changes its members one by one.
    #[serde(default)]
    pub metadata: Map<String, Value>,
    /// From which addresses and networks it may be used; from everywhere if empty.
    #[serde(default)]
    pub allowed_addresses: Vec<String>,
    /// Of a publishable key: the origins of the pages that it may be used from.
    #[serde(default)]
    pub allowed_origins: Vec<String>,
    /// At most so many uses at once, refilled evenly.
    pub rate_limit: Option<RateLimit>,
    /// At most so many uses in a day or month of UTC.
    pub quota: Option<Quota>,
    /// How many uses are left. Naming it sets it again.
    #[schema(maximum = 1_000_000_000_000_i64)]
    pub uses: Option<u64>,
}

impl KeySettings {
    /// Those of a key as it is shown.
    pub fn of(key: &KeyView) -> Self {
        Self {
            name: key.name.clone(),
            scopes: key.scopes.clone(),
            roles: key.roles.clone(),
            metadata: key.metadata.clone(),
            allowed_addresses: key.allowed_addresses.clone(),
            allowed_origins: key.allowed_origins.clone(),
            rate_limit: key.rate_limit,
            quota: key.quota,
            uses: key.uses_left,
        }
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
        let (found, apis) = (find_to_change(app, actor, id).await?, apis::all(app).await?);
        let mut before = KeyView::of(found.clone(), &apis, now);
        before.show_what_is_left(app).await?;
        let ShownKey { key, rotations } = found;
        let settings = edit(&before)?;
        if settings == KeySettings::of(&before) {
            return Ok(Some(before));
        }
        let (to, roles_to) = changed(actor, &key, &before, settings, &apis, now)?;
        let scope_given_at = apis.given_at(&to.scope, &key.metadata.scope, key.scope_given_at, now);
        let after = KeyRecord { metadata: to.clone(), scope_given_at, roles: roles_to.clone(), ..key.clone() };
        let (id_of_key, seen) = (key.id.clone(), key.seen());
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
        let after = KeyView::of(ShownKey { key: after, rotations }, &apis, now);
        let operation = IfKeyUnchanged { id: id_of_key, from: seen, change: operation };
        let outcome = outcome(app.commit(operation).await?.unwrap_or(Updated::Changed), after, unknown)?;
        match outcome {
            Some(mut after) => {
                after.show_what_is_left(app).await?;
                Ok(Some(after))
            }
            None => Ok(None),
        }
    })
    .await
}

/// The operation that changes the name and the scopes of a key, beside these APIs as they were at `now`, and what is
/// registered of it before.
pub(in crate::manage) async fn prepare_update(
    app: &App,
    actor: &Actor,
    id: &KeyId,
    to: &KeyMetadata,
    apis: &Apis,
    now: Timestamp,
) -> Result<(UpdateKey, KeyMetadata), ManageError> {
    let found = find_to_change(app, actor, id.as_str()).await?;
    let before = KeyView::of(found.clone(), apis, now);
    let key = found.key;
    let scopes = to.scope.iter().cloned().collect();
    let settings = KeySettings { name: to.name.clone(), scopes, roles: Vec::new(), ..KeySettings::of(&before) };
    let (to, _) = changed(actor, &key, &before, settings, apis, now)?;
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
    now: Timestamp,
) -> Result<(KeyMetadata, Vec<(ApiId, Role)>), ManageError> {
    let living = |ids: &[ApiId]| ids.iter().filter_map(|id| apis.by_id(id).cloned()).collect::<Vec<_>>();
    let (named, limited_to) = (living(&key.metadata.apis), living(&key.metadata.limited_to));
    let uses = match settings.uses {
        same if same == before.uses_left => key.metadata.use_limits.uses,
        other => other.map(|granted| Uses { granted, since: later_than(key.metadata.use_limits.uses, now) }),
    };
    let asked = NewApiKey {
        name: &settings.name,
        apis: &named,
        are_all_known: true,
        limited_to: &limited_to,
        limited_to_owners: &key.metadata.limited_to_owners,
        scope: &settings.scopes.into_iter().collect(),
        roles: &settings.roles,
        kind: key.metadata.kind,
        environment: key.metadata.environment,
        metadata: &settings.metadata,
        allowed_addresses: &settings.allowed_addresses,
        allowed_origins: &settings.allowed_origins,
        use_limits: KeyLimits { rate_limit: settings.rate_limit, quota: settings.quota, uses },
    };
    let (metadata, roles) = asked.checked()?;
    let to = KeyMetadata {
        name: metadata.name,
        scope: metadata.scope,
        metadata: metadata.metadata,
        allowed_addresses: metadata.allowed_addresses,
        allowed_origins: metadata.allowed_origins,
        use_limits: metadata.use_limits,
        ..key.metadata.clone()
    };
    let has_more_scopes = !to.scope.iter().all(|scope| before.scopes.contains(scope));
    if has_more_scopes || !to.allowed_addresses.are_within(&key.metadata.allowed_addresses) {
        actor.rights.check_gives(&power(&to, key.expires_at))?;
    }
    let given: Vec<_> = roles.iter().filter(|role| !key.roles.contains(role)).cloned().collect();
    check_gives_roles(actor, &given, apis)?;
    Ok((to, roles))
}

/// A time for a number of uses that is set at `now`: each has another one, also where two come in a millisecond.
fn later_than(before: Option<Uses>, now: Timestamp) -> Timestamp {
    let next = before.map(|uses| uses.since.plus(Duration::from_millis(1)));
    next.map_or(now, |next| next.max(now))
}
