//! Clients of the authorization server.

use doorward_core::{
    checksummed::{self, CLIENT_SECRET_PREFIX},
    client::Client,
    client_metadata::{ClientKeys, ClientMetadata},
    clock::Timestamp,
    digest::KeyedDigest,
    grant::audience::Apis,
    id::ClientId,
    registration,
    secret::{ExposeSecret, SecretString},
};
use doorward_store::clients::{ChangeClient, ClientChange, CreateClient, FindClient, ListClients};
use serde::Serialize;

use super::{ManageError, roles, times};
use crate::{actor::Actor, app::App};

/// A client as it is shown: everything except its secret.
#[derive(Clone, Debug, Serialize)]
pub struct ClientView {
    /// The id that the client sends as `client_id`.
    pub client_id: ClientId,
    /// What is registered of it.
    #[serde(flatten)]
    pub metadata: ClientMetadata,
    /// The names of its public keys; of one without a name, its thumbprint (RFC 7638).
    pub key_ids: Vec<String>,
    /// Its roles, as `API:ROLE`.
    pub roles: Vec<String>,
    /// When it was created.
    #[serde(serialize_with = "times::serialize")]
    pub created_at: Timestamp,
    /// When it was disabled, if it is.
    #[serde(serialize_with = "times::optional")]
    pub disabled_at: Option<Timestamp>,
}

impl ClientView {
    fn of(client: Client, apis: &Apis) -> Self {
        Self {
            key_ids: client.metadata.jwks.as_ref().map(ClientKeys::ids).unwrap_or_default(),
            roles: roles::shown(&client.roles, apis),
            client_id: client.id,
            metadata: client.metadata,
            created_at: client.created_at,
            disabled_at: client.disabled_at,
        }
    }
}

/// A client, and its secret if it has one; the secret is shown once.
pub struct CreatedClient {
    /// The client as it was created.
    pub client: ClientView,
    /// The new secret, shown only now; `None` for clients without one.
    pub secret: Option<SecretString>,
}

/// Creates a client, with a secret if its method of authentication needs one.
pub async fn create(app: &App, actor: &Actor, metadata: ClientMetadata) -> Result<CreatedClient, ManageError> {
    create_shown(app, actor, metadata, |_| Ok(())).await
}

/// Creates a client after `show` has printed it. If that fails, nothing was changed.
pub async fn create_shown<E: From<ManageError>>(
    app: &App,
    actor: &Actor,
    metadata: ClientMetadata,
    show: impl FnOnce(&CreatedClient) -> Result<(), E>,
) -> Result<CreatedClient, E> {
    let (operation, created) = prepare(app, actor, metadata).await?;
    show(&created)?;
    app.commit(operation).await.map_err(ManageError::from)?;
    Ok(created)
}

async fn prepare(
    app: &App,
    actor: &Actor,
    mut metadata: ClientMetadata,
) -> Result<(CreateClient, CreatedClient), ManageError> {
    metadata.client_name = registration::display_name("client_name", &metadata.client_name)?;
    let apis = super::apis::all(app).await?;
    registration::check_client(&metadata, &apis)?;
    super::signing_keys::ensure(app, metadata.id_token_signed_response_alg).await?;
    let (secret, digest) = match metadata.token_endpoint_auth_method.has_secret() {
        true => Some(new_secret(app)).unzip(),
        false => (None, None),
    };
    let now = app.now();
    let client = Client { secret: digest, ..Client::new(ClientId::new(now, &*app.rng), metadata, now) };
    let operation = CreateClient { client: client.clone(), audit: app.audit(actor) };
    Ok((operation, CreatedClient { client: ClientView::of(client, &apis), secret }))
}

/// Clients in order of creation, after one of them, without the credentials of APIs.
pub async fn list(app: &App, after: Option<ClientId>, limit: i64) -> Result<Vec<ClientView>, ManageError> {
    let (clients, apis) = (app.store.read(ListClients { after, limit }).await?, super::apis::all(app).await?);
    Ok(clients.into_iter().map(|client| ClientView::of(client, &apis)).collect())
}

/// The client with this id, or an error that names it.
pub async fn show(app: &App, id: &str) -> Result<ClientView, ManageError> {
    Ok(ClientView::of(find(app, id).await?, &super::apis::all(app).await?))
}

pub(super) async fn find(app: &App, id: &str) -> Result<Client, ManageError> {
    let found = app.store.read(FindClient { id: parse(id)? }).await?;
    found.ok_or_else(|| ManageError::NotFound { kind: "client", name: id.to_owned() })
}

/// Replaces the secret of a client or of an API's credential. The old one stops working at once.
pub async fn rotate_secret(app: &App, actor: &Actor, id: &str) -> Result<SecretString, ManageError> {
    rotate_secret_shown(app, actor, id, |_| Ok(())).await
}

/// The same, after `show` has printed the new secret. If that fails, nothing was changed.
pub async fn rotate_secret_shown<E: From<ManageError>>(
    app: &App,
    actor: &Actor,
    id: &str,
    show: impl FnOnce(&SecretString) -> Result<(), E>,
) -> Result<SecretString, E> {
    if !find(app, id).await?.metadata.token_endpoint_auth_method.has_secret() {
        return Err(ManageError::invalid("token_endpoint_auth_method", "this client has no secret").into());
    }
    let (secret, digest) = new_secret(app);
    show(&secret)?;
    change(app, actor, id, ClientChange::Secret(digest)).await?;
    Ok(secret)
}

/// Disables a client, and ends its grants.
pub async fn disable(app: &App, actor: &Actor, id: &str) -> Result<(), ManageError> {
    change(app, actor, id, ClientChange::Disable).await
}

/// Enables a disabled client again. Its old tokens stay ended.
pub async fn enable(app: &App, actor: &Actor, id: &str) -> Result<(), ManageError> {
    change(app, actor, id, ClientChange::Enable).await
}

/// Deletes a client, and ends its grants.
pub async fn delete(app: &App, actor: &Actor, id: &str) -> Result<(), ManageError> {
    change(app, actor, id, ClientChange::Delete).await
}

async fn change(app: &App, actor: &Actor, id: &str, change: ClientChange) -> Result<(), ManageError> {
    let operation = ChangeClient { id: parse(id)?, change, now: app.now(), audit: app.audit(actor) };
    match app.commit(operation).await? {
        true => Ok(()),
        false => Err(ManageError::NotFound { kind: "client", name: id.to_owned() }),
    }
}

/// A new client secret and its digest.
pub(crate) fn new_secret(app: &App) -> (SecretString, KeyedDigest) {
    let secret = checksummed::generate(CLIENT_SECRET_PREFIX, &*app.rng);
    let digest = app.peppers.digest(secret.expose_secret());
    (secret, digest)
}

fn parse(id: &str) -> Result<ClientId, ManageError> {
    ClientId::parse(id).map_err(|_| ManageError::NotFound { kind: "client", name: id.to_owned() })
}
