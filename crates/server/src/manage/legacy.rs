//! Which keys still come by a legacy way, from where and when last: what a migration waits for.

use doorward_core::{
    clock::Timestamp,
    id::{ApiId, KeyId},
    legacy::LegacyWay,
};
use doorward_store::legacy::{LegacyPlace, LegacyUseRecord, ListLegacyUses};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    ManageError,
    page::{Page, page},
    times,
};
use crate::{actor::Actor, app::App};

/// A key on one route from one network, as the report shows it.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = LegacyUseReport)]
pub struct LegacyUseView {
    /// The key, by id.
    pub key: KeyId,
    /// The name of the key.
    pub name: String,
    /// The part of the key that may be shown.
    pub hint: String,
    /// The id of the key's owner, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// The API, by id.
    pub api_id: ApiId,
    /// The API, by name.
    pub api: String,
    /// How the key came.
    pub way: LegacyWay,
    /// The name that the API gave its route.
    pub route: String,
    /// The first address of the caller's network; absent where several are counted together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
    /// How many requests.
    pub count: i64,
    /// The first one.
    #[serde(serialize_with = "times::serialize")]
    pub first_used_at: Timestamp,
    /// The last one.
    #[serde(serialize_with = "times::serialize")]
    pub last_used_at: Timestamp,
    /// Whether the key is neither revoked nor expired, so that its holder still has to change something.
    pub is_left: bool,
}

/// Lists what was reported in the last 90 days, in the order of keys. `api` is an API's name, id or identifier. For a
/// caller whose rights have limits the list is empty, as the audit log is.
pub async fn list(
    app: &App,
    actor: &Actor,
    api: Option<&str>,
    after: Option<LegacyPlace>,
    limit: usize,
) -> Result<Page<LegacyUseView, LegacyPlace>, ManageError> {
    let (now, apis) = (app.now(), super::apis::all(app).await?);
    let api = match api.map(|name| super::apis::named(&apis, name)).transpose() {
        Ok(api) if actor.rights.are_unlimited() => api.map(|api| api.id.clone()),
        // What is not there has no uses.
        Ok(_) | Err(ManageError::NotFound { .. }) => return Ok(Page { items: Vec::new(), next: None }),
        Err(error) => return Err(error),
    };
    let read = |after, limit| {
        let list = ListLegacyUses { api: api.clone(), after, limit };
        async move { Ok(app.store.read(list).await?) }
    };
    let show = |record: LegacyUseRecord| {
        let is_left = record.revoked_at.is_none() && record.expires_at.is_none_or(|end| now < end);
        Some(LegacyUseView {
            key: record.key,
            name: record.metadata.name,
            hint: record.hint,
            owner: record.owner,
            api: apis.by_id(&record.api)?.metadata.name.clone(),
            api_id: record.api,
            way: record.way,
            route: record.route,
            network: Some(record.network).filter(|network| !network.is_empty()),
            count: record.uses,
            first_used_at: record.first_at,
            last_used_at: record.last_at,
            is_left,
        })
    };
    page(after, limit, read, LegacyUseRecord::place, show).await
}
