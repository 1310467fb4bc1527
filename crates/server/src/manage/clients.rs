//! Clients of the authorization server.

use std::collections::BTreeSet;

use doorward_core::{
    checksummed::{self, CLIENT_SECRET_PREFIX},
    client::{AuthenticationMethod, Client, GrantType},
    digest::KeyedDigest,
    id::ClientId,
    jwk::Algorithm,
    redirect_uri::RedirectUri,
    registration,
    scope::ScopeSet,
    secret::{ExposeSecret, SecretString},
};
use doorward_store::clients::{ChangeClient, ClientChange, CreateClient, FindClient, ListClients};

use super::ManageError;
use crate::{actor::Actor, app::App};

/// A client that is to be made.
#[derive(Clone, Debug)]
pub struct NewClient {
    /// Its name, shown to users.
    pub name: String,
    /// How it authenticates.
    pub authentication: AuthenticationMethod,
    /// The ways that it may get tokens.
    pub grant_types: BTreeSet<GrantType>,
    /// Where it may be returned to.
    pub redirect_uris: Vec<String>,
    /// What it may ask for.
    pub scopes: ScopeSet,
    /// What a client_credentials request without `scope` asks for.
    pub default_scopes: ScopeSet,
    /// What its id_tokens are signed with.
    pub id_token_algorithm: Algorithm,
    /// Its public keys as a JWK set, for `private_key_jwt`.
    pub jwks: Option<String>,
    /// Whether its assertions may name the token endpoint instead of the issuer.
    pub assertion_for_token_endpoint: bool,
}

/// A client, and its secret if it has one; the secret is shown once.
pub struct CreatedClient {
    /// The client.
    pub client: Client,
    /// Its secret.
    pub secret: Option<SecretString>,
}

/// Makes a client.
pub async fn create(app: &App, actor: &Actor, new: NewClient) -> Result<CreatedClient, ManageError> {
    let name = registration::display_name("name", &new.name)?;
    let mut redirect_uris = Vec::new();
    for text in &new.redirect_uris {
        let uri = RedirectUri::parse(text);
        redirect_uris.push(uri.map_err(|error| ManageError::invalid("redirect_uri", format!("{text}: {error}")))?);
    }
    let (secret, digest) = match new.authentication.has_secret() {
        true => {
            let (secret, digest) = new_secret(app);
            (Some(secret), Some(digest))
        }
        false => (None, None),
    };
    let now = app.now();
    let client = Client {
        id: ClientId::new(now, &*app.rng),
        name,
        authentication: new.authentication,
        secret: digest,
        jwks: new.jwks,
        assertion_for_token_endpoint: new.assertion_for_token_endpoint,
        grant_types: new.grant_types,
        redirect_uris,
        scopes: new.scopes,
        default_scopes: new.default_scopes,
        id_token_algorithm: new.id_token_algorithm,
        roles: Vec::new(),
        api: None,
        created_at: now,
        disabled_at: None,
        tokens_ended_at: None,
    };
    registration::check_client(&client, &super::apis::all(app).await?)?;
    super::signing_keys::ensure(app, client.id_token_algorithm).await?;
    app.commit(CreateClient { client: client.clone(), audit: app.audit(actor) }).await?;
    Ok(CreatedClient { client, secret })
}

/// Clients in the order that they were made, after one of them, without the credentials of APIs.
pub async fn list(app: &App, after: Option<ClientId>, limit: i64) -> Result<Vec<Client>, ManageError> {
    Ok(app.store.read(ListClients { after, limit }).await?)
}

/// One client, with its roles.
pub async fn show(app: &App, id: &str) -> Result<Client, ManageError> {
    let found = app.store.read(FindClient { id: parse(id)? }).await?;
    found.ok_or_else(|| ManageError::NotFound { kind: "client", name: id.to_owned() })
}

/// Gives a client, or the credential of an API, another secret. The old one is refused from now on.
pub async fn rotate_secret(app: &App, actor: &Actor, id: &str) -> Result<SecretString, ManageError> {
    if !show(app, id).await?.authentication.has_secret() {
        return Err(ManageError::invalid("client", "this client has no secret"));
    }
    let (secret, digest) = new_secret(app);
    change(app, actor, id, ClientChange::Secret(digest)).await?;
    Ok(secret)
}

/// Refuses a client from now on, and ends its grants.
pub async fn disable(app: &App, actor: &Actor, id: &str) -> Result<(), ManageError> {
    change(app, actor, id, ClientChange::Disable).await
}

/// Lets a disabled client in again.
pub async fn enable(app: &App, actor: &Actor, id: &str) -> Result<(), ManageError> {
    change(app, actor, id, ClientChange::Enable).await
}

/// Removes a client, and ends its grants.
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
