//! The demo's API, clients, users and keys: made once, found again at the next start.

use std::{collections::BTreeSet, path::Path};

use doorward_core::{
    api::{ApiMetadata, DescribedScope, ResourceIdentifier, Role},
    checksummed,
    client::{AuthenticationMethod, GrantType},
    client_metadata::ClientMetadata,
    redirect_uri::RedirectUri,
    rights::{self, ADMIN},
    scope::{Scope, ScopeSet},
    secret::ExposeSecret,
    user::UserMetadata,
};
use doorward_server::{
    App,
    actor::Actor,
    manage::{
        apis::{self, MANAGEMENT},
        clients,
        keys::{self, NewKey},
        roles, users,
    },
};
use serde::{Deserialize, Serialize};

use crate::{data, failure::Failure};

/// The file in the data folder that holds the demo's secrets.
const FILE: &str = "demo.json";

const SCOPES: &str = "openid profile email offline_access notes:read notes:write";

/// Everything that a person or a script needs to use the demo.
#[derive(Clone, Deserialize, Serialize)]
pub(super) struct Seed {
    pub(super) issuer: String,
    pub(super) api: String,
    pub(super) api_audience: String,
    pub(super) api_client_id: String,
    pub(super) api_client_secret: String,
    pub(super) api_key: String,
    pub(super) api_key_read_only: String,
    pub(super) client_id: String,
    pub(super) client_secret: String,
    pub(super) public_client_id: String,
    pub(super) redirect_uri: String,
    pub(super) username: String,
    pub(super) password: String,
    pub(super) admin_username: String,
    pub(super) admin_password: String,
    pub(super) admin_key: String,
    pub(super) data: String,
}

impl Seed {
    /// The port of the authorization server.
    pub(super) fn port(&self) -> u16 {
        port_of(&self.issuer)
    }

    /// The port of the sample API.
    pub(super) fn api_port(&self) -> u16 {
        port_of(&self.api)
    }
}

fn port_of(url: &str) -> u16 {
    url.rsplit(':').next().and_then(|port| port.parse().ok()).unwrap_or(0)
}

/// Reads what an earlier start made.
pub(super) fn read(folder: &Path) -> Result<Option<Seed>, Failure> {
    let path = folder.join(FILE);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Failure::system(&path.display().to_string(), error)),
    };
    let seed: Seed =
        serde_json::from_str(&text).map_err(|error| Failure::system(&path.display().to_string(), error))?;
    Ok(Some(Seed { data: folder.display().to_string(), ..seed }))
}

/// Makes everything, and writes the secrets into the folder at the end: a start that was killed before leaves no such
/// file.
pub(super) async fn plant(app: &App, folder: &Path, issuer: &str, api_url: &str) -> Result<Seed, Failure> {
    let actor = Actor::command_line("demo");
    let api = notes_api(app, &actor, api_url).await?;
    let redirect_uri = format!("{api_url}/callback");
    let client = ClientMetadata {
        grant_types: GrantType::ALL.into(),
        default_scope: scopes("notes:read"),
        ..client_metadata("Notes Sync", &redirect_uri)?
    };
    let client = clients::create(app, &actor, client).await?;
    let public = ClientMetadata {
        token_endpoint_auth_method: AuthenticationMethod::None,
        grant_types: [GrantType::AuthorizationCode, GrantType::RefreshToken].into(),
        ..client_metadata("Notes App", &redirect_uri)?
    };
    let public = clients::create(app, &actor, public).await?;
    let secret = |length| checksummed::random_text(length, &*app.rng).expose_secret().to_owned();
    let (password, admin_password) = (secret(20), secret(20));
    users::create(app, &actor, user_metadata("alice", "Alice Example"), password.as_str().into()).await?;
    let admin = user_metadata("admin", "Ada Admin");
    let admin = users::create(app, &actor, admin, admin_password.as_str().into()).await?;
    roles::grant(app, &actor, admin.id.as_str(), "notes", "admin").await?;
    roles::grant(app, &actor, admin.id.as_str(), MANAGEMENT, ADMIN).await?;
    let api_key = keys::create(app, &actor, new_key("demo key", "notes", doorward_notes::SCOPES)).await?;
    let read_only = keys::create(app, &actor, new_key("demo key, read only", "notes", "notes:read")).await?;
    let admin_key =
        keys::create(app, &actor, new_key("demo management key", MANAGEMENT, &every_management_scope())).await?;
    let seed = Seed {
        issuer: issuer.to_owned(),
        api: api_url.to_owned(),
        api_audience: api.api.metadata.identifier.to_string(),
        api_client_id: api.client_id.to_string(),
        api_client_secret: api.client_secret.expose_secret().to_owned(),
        api_key: api_key.key.reveal().to_owned(),
        api_key_read_only: read_only.key.reveal().to_owned(),
        client_id: client.client.client_id.to_string(),
        client_secret: client.secret.map(|secret| secret.expose_secret().to_owned()).unwrap_or_default(),
        public_client_id: public.client.client_id.to_string(),
        redirect_uri,
        username: "alice".to_owned(),
        password,
        admin_username: "admin".to_owned(),
        admin_password,
        admin_key: admin_key.key.reveal().to_owned(),
        data: folder.display().to_string(),
    };
    let text = serde_json::to_string_pretty(&seed).map_err(|error| Failure::System(error.to_string()))?;
    data::write_secret(&folder.join(FILE), &text)?;
    Ok(seed)
}

fn every_management_scope() -> String {
    rights::SCOPES.map(|(scope, _)| scope).join(" ")
}

async fn notes_api(app: &App, actor: &Actor, url: &str) -> Result<apis::CreatedApi, Failure> {
    let described = |scope: &str, description: &str| DescribedScope {
        scope: Scope::parse(scope).expect("a constant that is a scope"),
        description: description.to_owned(),
    };
    let identifier = ResourceIdentifier::parse(url).map_err(|error| Failure::Usage(format!("{url}: {error}")))?;
    let scopes = vec![described("notes:read", "Read your notes"), described("notes:write", "Write and delete notes")];
    let metadata = ApiMetadata {
        user_key_scopes: scopes.iter().map(|described| described.scope.clone()).collect(),
        scopes,
        roles: BTreeSet::from([Role::parse("admin").expect("a constant that is a role")]),
        ..ApiMetadata::new("notes", identifier)
    };
    Ok(apis::create(app, actor, metadata).await?)
}

fn client_metadata(name: &str, redirect_uri: &str) -> Result<ClientMetadata, Failure> {
    let uri = RedirectUri::parse(redirect_uri);
    Ok(ClientMetadata {
        client_name: name.to_owned(),
        redirect_uris: vec![uri.map_err(|error| Failure::Usage(format!("{redirect_uri}: {error}")))?],
        scope: scopes(SCOPES),
        ..ClientMetadata::default()
    })
}

fn user_metadata(username: &str, name: &str) -> UserMetadata {
    UserMetadata {
        username: username.to_owned(),
        name: Some(name.to_owned()),
        email: Some(format!("{username}@example.com")),
        email_verified: false,
    }
}

fn new_key(name: &str, api: &str, scope: &str) -> NewKey {
    NewKey {
        metadata: serde_json::Map::new(),
        allowed_addresses: Vec::new(),
        rate_limit: None,
        quota: None,
        uses: None,
        name: name.to_owned(),
        apis: vec![api.to_owned()],
        scopes: scopes(scope),
        roles: Vec::new(),
        owner: None,
        limited_to: Vec::new(),
        limited_to_owners: Vec::new(),
        kind: Default::default(),
        allowed_origins: Vec::new(),
        environment: Default::default(),
        expiry: Default::default(),
    }
}

fn scopes(text: &str) -> ScopeSet {
    ScopeSet::parse(text).expect("a constant list of scopes")
}
