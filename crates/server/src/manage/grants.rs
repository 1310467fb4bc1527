//! Grants: what users allowed clients.

use std::collections::BTreeMap;

use doorward_core::{
    clock::Timestamp,
    id::{ClientId, UserId},
    refusal::Refusal,
    scope::ScopeSet,
};
use doorward_store::{
    grants::{DisconnectClient, ListClientAccess},
    sessions::SessionRecord,
};

use super::ManageError;
use crate::{actor::Actor, app::App};

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
        client.scopes = client.scopes.union(&access.scopes);
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
