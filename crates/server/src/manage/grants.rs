//! Grants: what users allowed clients.

use std::collections::BTreeMap;

use doorward_core::{
    api::ResourceIdentifier,
    clock::Timestamp,
    grant::audience::Apis,
    id::{ClientId, GrantId, UserId},
    refusal::Refusal,
    rights::Belongs,
    scope::ScopeSet,
};
use doorward_store::{
    grants::{
        DisconnectClient, FindGrant, GrantFilter, GrantPage, GrantRecord, ListClientAccess, ListGrants, RevokeGrant,
    },
    sessions::SessionRecord,
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    ManageError,
    page::{MOST_LOOKED_AT, Page},
    times,
};
use crate::{actor::Actor, app::App};

/// A live grant as it is shown.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Grant)]
pub struct GrantView {
    /// Its id.
    pub id: GrantId,
    /// The user who gave it.
    pub user_id: UserId,
    /// The client that has it.
    pub client_id: ClientId,
    /// What the user allowed.
    pub scopes: ScopeSet,
    /// The resources that were named in the request; empty if none was.
    pub resources: Vec<ResourceIdentifier>,
    /// When it was given.
    #[serde(serialize_with = "times::serialize")]
    pub created_at: Timestamp,
    /// When the client last used its code or a refresh token.
    #[serde(serialize_with = "times::optional")]
    pub last_used_at: Option<Timestamp>,
    /// When nothing that came from it can be valid any more.
    #[serde(serialize_with = "times::serialize")]
    pub expires_at: Timestamp,
}

impl GrantView {
    fn of(grant: GrantRecord, apis: &Apis) -> Self {
        Self {
            scopes: living(&grant, apis),
            id: grant.id,
            user_id: grant.user_id,
            client_id: grant.client_id,
            resources: grant.resources,
            created_at: grant.created_at,
            last_used_at: grant.last_used_at,
            expires_at: grant.expires_at,
        }
    }
}

/// A page of the live grants, oldest first. It can have fewer than `limit`, or none, where many have ended or are beyond
/// the caller's rights.
pub async fn list(
    app: &App,
    actor: &Actor,
    filter: GrantFilter,
    after: Option<GrantId>,
    limit: usize,
) -> Result<Page<GrantView, GrantId>, ManageError> {
    let apis = super::apis::all(app).await?;
    let (mut items, mut next, mut looked_at) = (Vec::new(), after, 0);
    loop {
        let wanted = i64::try_from(limit - items.len()).unwrap_or(i64::MAX);
        let list = ListGrants { filter: filter.clone(), now: app.now(), after: next, limit: wanted };
        let page: GrantPage = app.store.read(list).await?;
        // A page of the store looks at a bounded number of rows, and each counts here.
        looked_at += page.grants.len().max(100);
        items.extend(
            page.grants
                .into_iter()
                .filter(|grant| reaches(actor, grant, &apis))
                .map(|grant| GrantView::of(grant, &apis)),
        );
        next = page.next;
        if next.is_none() || items.len() >= limit || looked_at >= MOST_LOOKED_AT {
            return Ok(Page { items, next });
        }
    }
}

/// The live grant with this id, or an error that names it.
pub async fn show(app: &App, actor: &Actor, id: &str) -> Result<GrantView, ManageError> {
    let find = FindGrant { id: GrantId::parse(id).map_err(|_| unknown(id))? };
    let found = app.store.read(find).await?.filter(|grant| grant.is_live(app.now())).ok_or_else(|| unknown(id))?;
    let apis = super::apis::all(app).await?;
    match reaches(actor, &found, &apis) {
        true => Ok(GrantView::of(found, &apis)),
        false => Err(unknown(id)),
    }
}

/// Revokes a live grant, with all tokens that came from it.
pub async fn revoke(app: &App, actor: &Actor, id: &str) -> Result<(), ManageError> {
    let GrantView { id: found, .. } = show(app, actor, id).await?;
    match app.commit(RevokeGrant { id: found, now: app.now(), audit: app.audit(actor) }).await? {
        true => Ok(()),
        false => Err(unknown(id)),
    }
}

/// Whether somebody's rights reach a grant: it belongs to its user, and is for the APIs of its scopes.
fn reaches(actor: &Actor, grant: &GrantRecord, apis: &Apis) -> bool {
    let of_scopes = apis.of_scopes(&living(grant, apis)).into_iter().map(|api| api.id.clone());
    actor.rights.reach(&Belongs { apis: of_scopes.collect(), owner: Some(grant.user_id.as_str()) })
}

/// What a grant still allows.
fn living(grant: &GrantRecord, apis: &Apis) -> ScopeSet {
    apis.living(&grant.scopes, grant.created_at)
}

fn unknown(id: &str) -> ManageError {
    ManageError::NotFound { kind: "grant", name: id.to_owned() }
}

/// The most entries that are looked at. A client has one for each set of scopes that it was ever allowed.
const MOST: i64 = 1_000;

/// A client that a user allowed something, in however many grants, also where none of them lives: it may come back
/// without asking.
#[derive(Clone, Debug)]
pub struct ConnectedClient {
    /// The client that has access.
    pub client_id: ClientId,
    /// Its name; `None` if it was deleted.
    pub name: Option<String>,
    /// What it may do.
    pub scopes: ScopeSet,
    /// When the user first allowed it.
    pub since: Timestamp,
    /// When a live grant was last used.
    pub last_used_at: Option<Timestamp>,
}

/// The clients that a user allowed something, the last used first.
pub async fn connected_clients(app: &App, user_id: &UserId) -> Result<Vec<ConnectedClient>, ManageError> {
    let apis = app.snapshots.apis();
    let list = ListClientAccess { user_id: user_id.clone(), now: app.now(), limit: MOST };
    let mut by_client: BTreeMap<ClientId, ConnectedClient> = BTreeMap::new();
    for access in app.store.read(list).await? {
        let client = by_client.entry(access.client_id.clone()).or_insert_with(|| ConnectedClient {
            client_id: access.client_id,
            name: None,
            scopes: ScopeSet::default(),
            since: access.since,
            last_used_at: None,
        });
        client.scopes = client.scopes.union(&apis.living(&access.scopes, access.newest));
        client.since = client.since.min(access.since);
        client.last_used_at = client.last_used_at.max(access.last_used_at);
    }
    let mut clients: Vec<_> = by_client.into_values().collect();
    for client in &mut clients {
        client.name = app.client_name(client.client_id.as_str()).await?;
    }
    clients.sort_by_key(|client| std::cmp::Reverse(client.last_used_at.max(Some(client.since))));
    Ok(clients)
}

/// Ends all that the user of a session allowed a client, and forgets the consent. Returns how many grants were ended.
pub async fn disconnect(
    app: &App,
    actor: &Actor,
    SessionRecord { user_id, id, .. }: &SessionRecord,
    client_id: &ClientId,
) -> Result<u64, ManageError> {
    let (user_id, within, client_id) = (user_id.clone(), id.clone(), client_id.clone());
    let operation = DisconnectClient { user_id, within, client_id, now: app.now(), audit: app.audit(actor) };
    Ok(app.commit(operation).await?.map_err(Refusal::from)?)
}
