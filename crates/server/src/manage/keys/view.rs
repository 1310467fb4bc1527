//! A key as it is shown.

use doorward_core::{
    api_key::Environment,
    clock::Timestamp,
    denial::Denial,
    grant::audience::Apis,
    holder::Owner,
    id::{ApiId, KeyId},
    json::{Map, Value},
    key_kind::KeyKind,
    key_limits::{Quota, RateLimit},
    key_policy::KeyPolicy,
    refusal::Refusal,
    scope::Scope,
};
use doorward_store::keys::{Budget, KeyRecord, KeyRotations, OldUse, ReservedUses, ShownKey};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::rotation::policy_of;
use crate::{
    app::{App, key_limiter},
    manage::{roles, times},
};

/// Whether a key can be used, or why not.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum KeyState {
    /// It can be used.
    Active,
    /// Every API that it names was deleted.
    ApiDeleted,
    /// It is disabled until somebody enables it.
    Disabled,
    /// Its time is over.
    Expired,
    /// The user or client that owns it is gone.
    OwnerDeleted,
    /// The user or client that owns it is disabled.
    OwnerDisabled,
    /// It was revoked for good.
    Revoked,
}

impl KeyState {
    /// Every state.
    pub const ALL: [Self; 7] = [
        Self::Active,
        Self::ApiDeleted,
        Self::Disabled,
        Self::Expired,
        Self::OwnerDeleted,
        Self::OwnerDisabled,
        Self::Revoked,
    ];

    /// The state as it is written in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::ApiDeleted => "api_deleted",
            Self::Disabled => "disabled",
            Self::Expired => "expired",
            Self::OwnerDeleted => "owner_deleted",
            Self::OwnerDisabled => "owner_disabled",
            Self::Revoked => "revoked",
        }
    }

    /// The state in words.
    pub fn in_words(self) -> String {
        self.as_str().replace('_', " ")
    }
}

/// A key as it is shown: everything except the key itself.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Key)]
pub struct KeyView {
    /// Its id, which is not secret.
    pub id: KeyId,
    /// Its first characters, to be recognised by.
    pub hint: String,
    /// Its name, for people.
    pub name: String,
    /// Whether it can be used, or why not.
    pub state: KeyState,
    /// The APIs that it names, by name.
    pub apis: Vec<String>,
    /// The APIs that it names, by id.
    pub api_ids: Vec<ApiId>,
    /// Of a management key: the APIs that it is limited to, by name; all if empty.
    pub limited_to: Vec<String>,
    /// Of a management key: the owners whose things it may manage; all if empty.
    pub limited_to_owners: Vec<Owner>,
    /// What it may be used for.
    pub scopes: Vec<Scope>,
    /// Its roles, as `API:ROLE`.
    pub roles: Vec<String>,
    /// Whom it belongs to.
    pub owner: Option<Owner>,
    /// What kind of key it is.
    pub kind: KeyKind,
    /// For real use or for tests.
    pub environment: Environment,
    /// What its service keeps with it.
    pub metadata: Map<String, Value>,
    /// From which networks it may be used; from everywhere if empty.
    pub allowed_addresses: Vec<String>,
    /// Of a publishable key: the origins of the pages that it may be used from.
    pub allowed_origins: Vec<String>,
    /// At most so many uses at once, refilled evenly, at each server.
    pub rate_limit: Option<RateLimit>,
    /// At most so many uses in a day or month of UTC.
    pub quota: Option<Quota>,
    /// How many uses of the quota are left. Other servers may have some in hand, which are not among them.
    pub quota_left: Option<u64>,
    /// How many uses are left at all, if it has a number of uses; likewise.
    pub uses_left: Option<u64>,
    #[serde(skip)]
    counted: [Option<(Budget, u64)>; 2],
    /// When it was created.
    #[serde(serialize_with = "times::serialize")]
    pub created_at: Timestamp,
    /// Who created it, as the audit has it: the id of a user, client or key, or `os:NAME` for the command line; `null` where
    /// that is not known.
    pub created_by: Option<String>,
    /// When it expires, if it does.
    #[serde(serialize_with = "times::optional")]
    pub expires_at: Option<Timestamp>,
    /// Whether it never expires.
    pub never_expires: bool,
    /// When it was revoked, if it was.
    #[serde(serialize_with = "times::optional")]
    pub revoked_at: Option<Timestamp>,
    /// When it was disabled, if it is.
    #[serde(serialize_with = "times::optional")]
    pub disabled_at: Option<Timestamp>,
    /// When somebody found it where it does not belong and reported it, if so.
    #[serde(serialize_with = "times::optional")]
    pub leaked_at: Option<Timestamp>,
    /// Where it was found, as the reporter said.
    pub leak_source: Option<String>,
    /// When it was last used, to the minute.
    #[serde(serialize_with = "times::optional")]
    pub last_used_at: Option<Timestamp>,
    /// From where it was last used, as far as the server keeps that.
    pub last_used_address: Option<String>,
    /// Its rotation, if it is replaced, replaces another key, or is to be replaced.
    pub rotation: Option<RotationView>,
}

/// How a key is replaced, and which one it replaces.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = KeyRotation)]
pub struct RotationView {
    /// Where its replacement is: `waiting_for_first_use`, `both_in_use` or `done`.
    pub state: Option<&'static str>,
    /// The key that replaces it.
    pub successor: Option<KeyId>,
    /// The key that it replaces.
    pub predecessor: Option<KeyId>,
    /// When it ends at the latest, since it is replaced.
    #[serde(serialize_with = "times::optional")]
    pub deadline: Option<Timestamp>,
    /// Since when a successor is due, by the policy of one of its APIs.
    #[serde(serialize_with = "times::optional")]
    pub due_since: Option<Timestamp>,
    /// Who used it since its rotation, the latest first: at most 10. Lists leave it out.
    pub old_uses: Vec<OldUseView>,
}

/// A use of a key that is being replaced.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = OldKeyUse)]
pub struct OldUseView {
    /// The caller's address, if the API said it.
    pub address: Option<String>,
    /// The caller's user agent, if the API said it.
    pub user_agent: Option<String>,
    /// When it was last used so.
    #[serde(serialize_with = "times::serialize")]
    pub last_used_at: Timestamp,
}

impl From<OldUse> for OldUseView {
    fn from(OldUse { address, user_agent, last_used_at }: OldUse) -> Self {
        let said = |text: String| (!text.is_empty()).then_some(text);
        Self { address: said(address), user_agent: said(user_agent), last_used_at }
    }
}

impl RotationView {
    fn of(key: &KeyRecord, rotations: KeyRotations, apis: &Apis, now: Timestamp) -> Option<Self> {
        let KeyRotations { replaced, predecessor, due_since, old_uses, .. } = rotations;
        // A policy that was removed or relaxed meanwhile demands nothing.
        let demands = |policy: KeyPolicy| policy.due_at(key.created_at, key.expires_at) <= now;
        let is_due = due_since.is_some() && policy_of(key, apis).is_some_and(demands) && key.facts().check(now).is_ok();
        let due_since = due_since.filter(|_| is_due);
        let has_any = replaced.is_some() || predecessor.is_some() || due_since.is_some();
        has_any.then(|| Self {
            state: replaced.as_ref().map(|replaced| replaced.of(key).state(now).as_str()),
            deadline: replaced.as_ref().map(|replaced| replaced.deadline),
            successor: replaced.map(|replaced| replaced.successor),
            predecessor,
            due_since,
            old_uses: old_uses.into_iter().map(OldUseView::from).collect(),
        })
    }
}

impl KeyView {
    pub(super) fn of(found: ShownKey, apis: &Apis, now: Timestamp) -> Self {
        let ShownKey { key, rotations } = found;
        // APIs that were deleted are left out. A limit to one stays: without it the key would look unlimited.
        let known = |id: &&ApiId| apis.by_id(id).is_some();
        let name = |id: &ApiId| Some(apis.by_id(id)?.metadata.name.clone());
        let counted = key_limiter::budgets(key.counted_as(), &key.metadata.use_limits, now);
        let name_or_id = |id: &ApiId| name(id).unwrap_or_else(|| id.to_string());
        Self {
            rotation: RotationView::of(&key, rotations, apis, now),
            state: state(&key, apis, now),
            id: key.id,
            hint: key.hint,
            apis: key.metadata.apis.iter().filter_map(name).collect(),
            limited_to: key.metadata.limited_to.iter().map(name_or_id).collect(),
            name: key.metadata.name,
            api_ids: key.metadata.apis.iter().filter(known).cloned().collect(),
            limited_to_owners: key.metadata.limited_to_owners,
            scopes: apis.living(&key.metadata.scope, key.scope_given_at).iter().cloned().collect(),
            roles: roles::shown(&key.roles, apis),
            owner: key.owner,
            kind: key.metadata.kind,
            environment: key.metadata.environment,
            metadata: key.metadata.metadata,
            allowed_addresses: key.metadata.allowed_addresses.texts(),
            allowed_origins: key.metadata.allowed_origins.texts(),
            rate_limit: key.metadata.use_limits.rate_limit,
            quota: key.metadata.use_limits.quota,
            quota_left: key.metadata.use_limits.quota.map(|quota| quota.requests),
            uses_left: key.metadata.use_limits.uses.map(|uses| uses.granted),
            counted,
            created_at: key.created_at,
            created_by: key.created_by,
            expires_at: key.expires_at,
            never_expires: key.expires_at.is_none(),
            revoked_at: key.revoked_at,
            disabled_at: key.disabled_at,
            leaked_at: key.leaked_at,
            leak_source: key.leak_source,
            last_used_at: key.last_used_at,
            last_used_address: key.last_used_address,
        }
    }
}

impl KeyView {
    /// Shows how many uses of its limits are left. Before, it shows them as unused.
    pub(super) async fn show_what_is_left(&mut self, app: &App) -> Result<(), Refusal> {
        Self::show_what_is_left_of(std::slice::from_mut(self), app).await
    }

    /// The same for several keys, by one read of the store.
    pub(super) async fn show_what_is_left_of(keys: &mut [Self], app: &App) -> Result<(), Refusal> {
        let (mut shown, mut budgets) = (Vec::new(), Vec::new());
        for key in keys {
            let [quota, uses] = key.counted.clone();
            for (left, counted) in [(&mut key.quota_left, quota), (&mut key.uses_left, uses)] {
                let Some((budget, max)) = counted else { continue };
                shown.push((left, max));
                budgets.push(budget);
            }
        }
        if budgets.is_empty() {
            return Ok(());
        }
        let held = app.held_uses(&budgets).await;
        let reserved = app.read(ReservedUses { budgets }).await?;
        for (((left, max), held), reserved) in shown.into_iter().zip(held).zip(reserved) {
            *left = Some((max.saturating_sub(reserved) + held).min(max));
        }
        Ok(())
    }
}

/// Whether a key can be used at `now`, or why not.
fn state(key: &KeyRecord, apis: &Apis, now: Timestamp) -> KeyState {
    match key.facts().check(now) {
        Ok(()) if key.metadata.apis.iter().all(|id| apis.by_id(id).is_none()) => KeyState::ApiDeleted,
        Ok(()) => KeyState::Active,
        Err(Denial::KeyExpired) => KeyState::Expired,
        Err(Denial::KeyOwnerDisabled) if key.owner_is_deleted => KeyState::OwnerDeleted,
        Err(Denial::KeyOwnerDisabled) => KeyState::OwnerDisabled,
        Err(Denial::KeyDisabled) => KeyState::Disabled,
        Err(_) => KeyState::Revoked,
    }
}
