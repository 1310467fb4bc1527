//! A key as it is shown.

use doorward_core::{
    api_key::Environment,
    clock::Timestamp,
    denial::Denial,
    grant::audience::Apis,
    holder::Owner,
    id::{ApiId, KeyId},
    json::{Map, Value},
    scope::Scope,
};
use doorward_store::keys::KeyRecord;
use serde::Serialize;
use utoipa::ToSchema;

use crate::manage::{roles, times};

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
    /// Whether it can be used, or why not, in a word or two.
    pub state: &'static str,
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
    /// For real use or for tests.
    pub environment: Environment,
    /// What its service keeps with it.
    pub metadata: Map<String, Value>,
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
}

impl KeyView {
    pub(super) fn of(key: KeyRecord, apis: &Apis, now: Timestamp) -> Self {
        // APIs that were deleted are left out. A limit to one stays: without it the key would look unlimited.
        let known = |id: &&ApiId| apis.by_id(id).is_some();
        let name = |id: &ApiId| Some(apis.by_id(id)?.metadata.name.clone());
        let name_or_id = |id: &ApiId| name(id).unwrap_or_else(|| id.to_string());
        Self {
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
            environment: key.metadata.environment,
            metadata: key.metadata.metadata,
            created_at: key.created_at,
            expires_at: key.expires_at,
            never_expires: key.expires_at.is_none(),
            revoked_at: key.revoked_at,
            disabled_at: key.disabled_at,
            leaked_at: key.leaked_at,
            leak_source: key.leak_source,
            last_used_at: key.last_used_at,
        }
    }
}

/// Whether a key can be used at `now`, or why not, in a word or two.
fn state(key: &KeyRecord, apis: &Apis, now: Timestamp) -> &'static str {
    match key.facts().check(now) {
        Ok(()) if key.metadata.apis.iter().all(|id| apis.by_id(id).is_none()) => "API deleted",
        Ok(()) => "active",
        Err(Denial::KeyExpired) => "expired",
        Err(Denial::KeyOwnerDisabled) if key.owner_is_deleted => "owner deleted",
        Err(Denial::KeyOwnerDisabled) => "owner disabled",
        Err(Denial::KeyDisabled) => "disabled",
        Err(_) => "revoked",
    }
}
