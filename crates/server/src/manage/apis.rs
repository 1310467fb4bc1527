//! APIs: resource servers that take our credentials.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use doorward_core::{
    api::{Api, DescribedScope, ResourceIdentifier, Role, TokenFormat},
    api_key::KeyPrefix,
    client::{AuthenticationMethod, Client},
    grant::audience::Apis,
    id::{ApiId, ClientId},
    jwk::Algorithm,
    registration,
    scope::ScopeSet,
    secret::SecretString,
};
use doorward_store::{
    apis::{CreateApi, ListApis},
    clients::FindCredential,
};

use super::ManageError;
use crate::{actor::Actor, app::App};

/// The name of the API that manages Doorward itself.
pub const MANAGEMENT: &str = "doorward";
/// Lets a key ask whether other keys are valid.
pub const KEYS_VERIFY: &str = "keys:verify";

/// An API that is to be made.
#[derive(Clone, Debug)]
pub struct NewApi {
    /// Its name, unique.
    pub name: String,
    /// Its identifier: an absolute URI, usually its own URL.
    pub identifier: String,
    /// Its scopes with their descriptions.
    pub scopes: Vec<DescribedScope>,
    /// Its roles.
    pub roles: BTreeSet<Role>,
    /// The form of its access tokens.
    pub token_format: TokenFormat,
    /// What its JWTs are signed with.
    pub signing_algorithm: Algorithm,
    /// How long its access tokens live.
    pub access_token_ttl: Duration,
    /// What its keys begin with.
    pub key_prefix: KeyPrefix,
}

impl NewApi {
    /// An API with the defaults: JWTs by EdDSA for five minutes, keys that begin with `sk`.
    pub fn new(name: impl Into<String>, identifier: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            identifier: identifier.into(),
            scopes: Vec::new(),
            roles: BTreeSet::new(),
            token_format: TokenFormat::Jwt,
            signing_algorithm: Algorithm::EdDSA,
            access_token_ttl: Duration::from_secs(300),
            key_prefix: KeyPrefix::default(),
        }
    }
}

/// An API with the credential that it authenticates with; the secret is shown once.
pub struct CreatedApi {
    /// The API.
    pub api: Api,
    /// `client_id` of its credential.
    pub client_id: ClientId,
    /// The secret of its credential.
    pub client_secret: SecretString,
}

/// Makes an API and its credential.
pub async fn create(app: &App, actor: &Actor, new: NewApi) -> Result<CreatedApi, ManageError> {
    let identifier = ResourceIdentifier::parse(&new.identifier);
    let identifier = identifier.map_err(|error| ManageError::invalid("identifier", error))?;
    let now = app.now();
    let (client_secret, secret) = super::clients::new_secret(app);
    let api = Api {
        id: ApiId::new(now, &*app.rng),
        name: new.name,
        identifier,
        scopes: new.scopes,
        roles: new.roles,
        token_format: new.token_format,
        signing_algorithm: new.signing_algorithm,
        access_token_ttl: new.access_token_ttl,
        key_prefix: new.key_prefix,
        created_at: now,
    };
    let others = all(app).await?;
    registration::check_api(&api, &others, app.settings.signing.retire_after)?;
    if let Some(taken) = registration::taken_by_another_api(&api, &others) {
        return Err(ManageError::Conflict(taken));
    }
    let credential = Client {
        id: ClientId::new(now, &*app.rng),
        name: format!("API {}", api.name),
        authentication: AuthenticationMethod::ClientSecret,
        secret: Some(secret),
        jwks: None,
        assertion_for_token_endpoint: false,
        grant_types: BTreeSet::new(),
        redirect_uris: Vec::new(),
        scopes: ScopeSet::default(),
        default_scopes: ScopeSet::default(),
        id_token_algorithm: Algorithm::RS256,
        roles: Vec::new(),
        api: Some(api.id.clone()),
        created_at: now,
        disabled_at: None,
        tokens_ended_at: None,
    };
    let audit = app.audit(actor);
    let client_id = credential.id.clone();
    let operation = CreateApi { api: api.clone(), credential, audit };
    let meanwhile =
        || "an API with this name, this identifier or one of the scopes was made at the same time".to_owned();
    app.commit(operation).await.map_err(ManageError::conflict(meanwhile))?;
    // The first key of an algorithm signs at once, so that the new API's tokens can be signed.
    super::signing_keys::rotate_due(app).await?;
    Ok(CreatedApi { api, client_id, client_secret })
}

/// APIs in the order that they were made, after one of them.
pub async fn list(app: &App, after: Option<ApiId>, limit: i64) -> Result<Vec<Api>, ManageError> {
    Ok(app.store.read(ListApis { after, limit }).await?)
}

/// Every API as it is now, also one that another process made a moment ago, to be asked for one.
pub async fn all(app: &App) -> Result<Apis, ManageError> {
    Ok(Apis::new(app.store.read(ListApis::ALL).await?.into_iter().map(Arc::new).collect()))
}

/// The API of this name, id or identifier, with the `client_id` of its credential.
pub async fn show(app: &App, name: &str) -> Result<(Api, Option<ClientId>), ManageError> {
    let api = find(app, name).await?;
    let credential = app.store.read(FindCredential { api: api.id.clone() }).await?;
    Ok((api, credential))
}

/// The API of this name, id or identifier.
pub(crate) async fn find(app: &App, name: &str) -> Result<Api, ManageError> {
    let is_meant = |api: &Api| api.name == name || api.id.as_str() == name || api.identifier.matches(name);
    let found = app.store.read(ListApis::ALL).await?.into_iter().find(is_meant);
    found.ok_or_else(|| ManageError::NotFound { kind: "API", name: name.to_owned() })
}

/// The APIs of these names, in their order.
pub(crate) async fn find_all(app: &App, names: &[String]) -> Result<Vec<Arc<Api>>, ManageError> {
    let mut apis = Vec::new();
    for name in names {
        let api = find(app, name).await?;
        if apis.iter().all(|known: &Arc<Api>| known.id != api.id) {
            apis.push(Arc::new(api));
        }
    }
    Ok(apis)
}

/// Makes the management API if it is not there: an API with an audience of its own.
pub async fn ensure_management(app: &App) -> Result<(), ManageError> {
    if all(app).await?.by_name(MANAGEMENT).is_some() {
        return Ok(());
    }
    let scope = doorward_core::scope::Scope::parse(KEYS_VERIFY).map_err(|why| ManageError::invalid("scope", why))?;
    let description = "Ask whether API keys are valid".to_owned();
    let new = NewApi {
        scopes: vec![DescribedScope { scope, description }],
        key_prefix: KeyPrefix::parse("mk").map_err(|why| ManageError::invalid("key_prefix", why))?,
        ..NewApi::new(MANAGEMENT, app.settings.url("/v1"))
    };
    match create(app, &Actor::default(), new).await {
        // Another process was faster.
        Ok(_) | Err(ManageError::Conflict(_)) => Ok(()),
        Err(error) => Err(error),
    }
}
