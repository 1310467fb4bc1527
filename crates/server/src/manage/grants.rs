//! Grants: what users allowed clients.

use std::collections::BTreeMap;

use doorward_core::{
    clock::Timestamp,
    id::{ClientId, UserId},
    scope::ScopeSet,
};
use doorward_store::grants::{DisconnectClient, ListGrants};

use super::ManageError;
use crate::{actor::Actor, app::App};

/// The most grants of a user that are looked at, the newest.
const MOST: i64 = 500;

/// A client that a user allowed something, in however many grants.
#[derive(Clone, Debug)]
pub struct ConnectedClient {
    /// The client.
    pub client_id: ClientId,
    /// Its name; `None` if it was deleted.
    pub name: Option<String>,
    /// What it may do.
    pub scopes: ScopeSet,
    /// When the first grant was given.
    pub since: Timestamp,
    /// When one of them was last used.
    pub last_used_at: Option<Timestamp>,
}

/// The clients that a user allowed something, the last used first.
pub async fn connected_clients(app: &App, user_id: &UserId) -> Result<Vec<ConnectedClient>, ManageError> {
    let grants =
        app.store.read(ListGrants { user_id: user_id.clone(), now: app.now(), after: None, limit: MOST }).await?;
    let mut by_client: BTreeMap<ClientId, ConnectedClient> = BTreeMap::new();
    for grant in grants {
        let client = by_client.entry(grant.client_id.clone()).or_insert_with(|| ConnectedClient {
            client_id: grant.client_id,
            name: None,
            scopes: ScopeSet::default(),
            since: grant.created_at,
            last_used_at: None,
        });
        client.scopes = client.scopes.union(&grant.scopes);
        client.since = client.since.min(grant.created_at);
        client.last_used_at = client.last_used_at.max(grant.last_used_at);
    }
    let mut clients: Vec<_> = by_client.into_values().collect();
    for client in &mut clients {
        client.name = app.client(client.client_id.as_str()).await?.map(|found| found.metadata.client_name.clone());
    }
    clients.sort_by_key(|client| std::cmp::Reverse(client.last_used_at.max(Some(client.since))));
    Ok(clients)
}

/// Ends all that a user allowed a client, and forgets the consent. Returns how many grants were ended.
pub async fn disconnect(app: &App, actor: &Actor, user_id: &UserId, client_id: &ClientId) -> Result<u64, ManageError> {
    let audit = app.audit(actor);
    let (user_id, client_id) = (user_id.clone(), client_id.clone());
    Ok(app.commit(DisconnectClient { user_id, client_id, now: app.now(), audit }).await?)
}
