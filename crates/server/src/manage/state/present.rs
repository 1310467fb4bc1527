//! What exists, as far as a desired state is about it.
//!
//! Easy to get wrong: a client without `client_id` is looked for among all clients, since names have no index. Only those
//! of a wanted name are kept in memory.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use doorward_core::{
    client::Client,
    desired_state::DesiredState,
    grant::audience::Apis,
    holder::{Holder, Owner},
    id::ClientId,
    state_plan::{HeldRole, PresentKey, PresentState},
};
use doorward_store::{
    clients::{ClientFilter, FindClient, ListClients},
    keys::FindKey,
    roles::{ListRoleGrants, RoleFilter, RolesOf},
};

use super::How;
use crate::{
    app::App,
    manage::{ManageError, apis, holders, page::every},
};

/// Reads what exists. What is to be skipped is taken out of the desired state.
pub(super) async fn read(
    app: &App,
    desired: &mut DesiredState,
    how: How,
    skipped: &mut Vec<String>,
) -> Result<PresentState, ManageError> {
    let apis = apis::all(app).await?;
    let clients = clients(app, desired, how).await?;
    let mut keys = Vec::new();
    for key in desired.key.iter().flatten() {
        let Some(key) = app.store.read(FindKey { id: key.id.clone() }).await? else { continue };
        keys.push(PresentKey { id: key.id, metadata: key.metadata, scope_given_at: key.scope_given_at });
    }
    let mut holders = BTreeMap::new();
    for name in desired.role.iter().flatten().map(|role| &role.holder).collect::<BTreeSet<_>>() {
        match holders::holder(app, name).await {
            Ok(holder) => drop(holders.insert(name.clone(), holder)),
            Err(ManageError::NotFound { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    let owners = owners(app, desired, how).await?;
    if how.skips_missing {
        let created = |holder: &str| {
            let mut ids = desired.client.iter().flatten().filter_map(|client| client.client_id.as_ref());
            ids.any(|id| id.as_str() == holder)
        };
        let is_there = |holder: &str| holders.contains_key(holder) || created(holder);
        let (there, missing) =
            desired.role.take().unwrap_or_default().into_iter().partition::<Vec<_>, _>(|role| is_there(&role.holder));
        let skip = |role: &doorward_core::desired_state::DesiredRole| {
            format!("role {}:{} of {:?}, who does not exist", role.api, role.role, role.holder)
        };
        skipped.extend(missing.iter().map(skip));
        desired.role = Some(there);
        let exists = |key: &doorward_core::desired_state::DesiredKey| keys.iter().any(|present| present.id == key.id);
        let (there, missing) = desired.key.take().unwrap_or_default().into_iter().partition::<Vec<_>, _>(exists);
        skipped.extend(missing.iter().map(|key| format!("key {} ({:?}), which does not exist", key.id, key.name)));
        desired.key = Some(there);
    }
    let roles = match (how.prunes, &desired.role) {
        (_, None) => Vec::new(),
        (true, Some(_)) => all_roles(app, &apis).await?,
        (false, Some(_)) => {
            let mut held = Vec::new();
            for (name, holder) in &holders {
                for (api, role) in app.store.read(RolesOf { holder: holder.clone() }).await? {
                    let api = apis.by_id(&api).cloned();
                    held.extend(api.map(|api| HeldRole { holder: holder.clone(), name: name.clone(), api, role }));
                }
            }
            held
        }
    };
    Ok(PresentState { apis, clients, holders, owners, keys, roles })
}

/// The owners that clients are limited to. Where what is missing is left out, a limit to somebody who is missing stays:
/// without it the client would reach more than it is to reach.
async fn owners(app: &App, desired: &DesiredState, how: How) -> Result<BTreeMap<String, Owner>, ManageError> {
    let clients = desired.client.iter().flatten();
    let names: BTreeSet<_> = clients.flat_map(|client| &client.settings.limited_to_owners).collect();
    let mut owners = BTreeMap::new();
    for name in names {
        match (holders::owner(app, name).await, name.parse()) {
            (Ok(owner), _) => drop(owners.insert(name.clone(), owner)),
            (Err(ManageError::NotFound { .. }), Ok(missing)) if how.skips_missing => {
                owners.insert(name.clone(), missing);
            }
            (Err(ManageError::NotFound { .. }), _) => {}
            (Err(error), _) => return Err(error),
        }
    }
    Ok(owners)
}

/// The clients that the desired state is about.
async fn clients(app: &App, desired: &DesiredState, how: How) -> Result<Vec<Client>, ManageError> {
    let Some(wanted) = &desired.client else { return Ok(Vec::new()) };
    let mut clients: BTreeMap<ClientId, Client> = BTreeMap::new();
    for id in wanted.iter().filter_map(|client| client.client_id.clone()) {
        clients.extend(app.store.read(FindClient { id }).await?.map(|client| (client.id.clone(), client)));
    }
    let nameless = wanted.iter().filter(|client| client.client_id.is_none());
    let names: BTreeSet<_> = nameless.map(|client| client.settings.metadata.client_name.trim()).collect();
    if how.prunes || !names.is_empty() {
        let mut after = None;
        loop {
            let list = ListClients { filter: ClientFilter::default(), after: after.clone(), limit: PAGE };
            let page = app.store.read(list).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.id.clone());
            let is_wanted = |client: &Client| how.prunes || names.contains(client.metadata.client_name.as_str());
            clients.extend(page.into_iter().filter(is_wanted).map(|client| (client.id.clone(), client)));
        }
    }
    Ok(clients.into_values().collect())
}

/// How many clients are read at once.
const PAGE: i64 = 500;

/// Every role that somebody has.
pub(super) async fn all_roles(app: &App, apis: &Apis) -> Result<Vec<HeldRole>, ManageError> {
    let grants = every(
        |after, limit| async move {
            Ok(app.store.read(ListRoleGrants { filter: RoleFilter::default(), after, limit }).await?)
        },
        |grant| (grant.holder.clone(), grant.api.clone(), grant.role.clone()),
    );
    let held = grants.await?.into_iter().filter_map(|grant| {
        let api: Arc<_> = apis.by_id(&grant.api)?.clone();
        let name = grant.username.unwrap_or_else(|| Holder::as_str(&grant.holder).to_owned());
        Some(HeldRole { holder: grant.holder, name, api, role: grant.role })
    });
    Ok(held.collect())
}
