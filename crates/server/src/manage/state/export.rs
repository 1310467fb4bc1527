//! What exists, as the state that a file declares.

use doorward_core::{
    api::MANAGEMENT,
    client_settings::ClientSettings,
    desired_state::{DesiredClient, DesiredKey, DesiredRole, DesiredState},
};
use doorward_store::{
    clients::{ClientFilter, ListClients},
    keys::{KeyFilter, ListKeys},
};

use super::{check_unlimited, present::all_roles};
use crate::{
    actor::Actor,
    app::App,
    manage::{ManageError, apis, page::every},
};

/// The state of the server, without secrets, users and the management API. Keys are those that can be used.
/// Scopes are those that an API has: a client or key may have had others.
pub async fn export(app: &App, actor: &Actor) -> Result<DesiredState, ManageError> {
    check_unlimited(actor)?;
    let apis = apis::all(app).await?;
    let clients = every(
        |after, limit| async move {
            Ok(app.store.read(ListClients { filter: ClientFilter::default(), after, limit }).await?)
        },
        |client| client.id.clone(),
    );
    let clients = clients.await?.into_iter().map(|client| DesiredClient {
        settings: ClientSettings::of(&client, &apis),
        client_id: Some(client.id),
        disabled: client.disabled_at.map(|_| true),
    });
    let filter = || KeyFilter { revoked: Some(false), ..KeyFilter::default() };
    let keys = every(
        |after, limit| async move { Ok(app.store.read(ListKeys { filter: filter(), after, limit }).await?) },
        |key| key.id.clone(),
    );
    let now = app.now();
    let keys = keys.await?.into_iter().filter(|key| key.expires_at.is_none_or(|at| at > now));
    let mut roles: Vec<_> = all_roles(app, &apis)
        .await?
        .into_iter()
        .map(|held| DesiredRole { holder: held.name, api: held.api.metadata.name.clone(), role: held.role })
        .collect();
    roles.sort();
    let own = apis.iter().filter(|api| api.metadata.name != MANAGEMENT);
    Ok(DesiredState {
        api: Some(own.map(|api| api.metadata.clone()).collect()),
        client: Some(clients.collect()),
        role: Some(roles),
        key: Some(
            keys.map(|key| DesiredKey {
                id: key.id,
                name: key.metadata.name,
                scopes: apis.living(&key.metadata.scope, key.scope_given_at).iter().cloned().collect(),
            })
            .collect(),
        ),
    })
}
