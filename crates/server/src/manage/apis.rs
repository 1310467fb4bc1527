//! APIs: resource servers that take our credentials.

use std::sync::Arc;

use doorward_core::{
    api::{Api, ApiMetadata, DescribedScope},
    api_key::KeyPrefix,
    client::Client,
    client_metadata::ClientMetadata,
    clock::Timestamp,
    grant::audience::Apis,
    id::{ApiId, ClientId},
    registration,
    scope::Scope,
    secret::SecretString,
};
use doorward_store::{
    apis::{AddApiScopes, CreateApi, ListApis},
    clients::FindCredential,
};
use serde::Serialize;

pub use doorward_core::api::MANAGEMENT;

use super::{ManageError, times};
use crate::{actor::Actor, app::App};

/// Lets a key ask whether other keys are valid.
pub const KEYS_VERIFY: &str = "keys:verify";

/// An API as it is shown.
#[derive(Clone, Debug, Serialize)]
pub struct ApiView {
    /// The id, which never changes.
    pub id: ApiId,
    /// What is registered of it.
    #[serde(flatten)]
    pub metadata: ApiMetadata,
    /// `client_id` of its credential, where one API is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<ClientId>,
    /// When it was created.
    #[serde(serialize_with = "times::serialize")]
    pub created_at: Timestamp,
}

impl From<Api> for ApiView {
    fn from(Api { id, metadata, created_at }: Api) -> Self {
        Self { id, metadata, client_id: None, created_at }
    }
}

/// An API with the credential that it authenticates with; the secret is shown once.
pub struct CreatedApi {
    /// The API as it was created.
    pub api: ApiView,
    /// `client_id` of its credential.
    pub client_id: ClientId,
    /// The secret of its credential.
    pub client_secret: SecretString,
}

/// Creates an API and its credential.
pub async fn create(app: &App, actor: &Actor, metadata: ApiMetadata) -> Result<CreatedApi, ManageError> {
    create_shown(app, actor, metadata, |_| Ok(())).await
}

/// Creates an API and its credential after `show` has printed them. If that fails, nothing was changed.
pub async fn create_shown<E: From<ManageError>>(
    app: &App,
    actor: &Actor,
    metadata: ApiMetadata,
    show: impl FnOnce(&CreatedApi) -> Result<(), E>,
) -> Result<CreatedApi, E> {
    let (operation, created) = prepare(app, actor, metadata).await?;
    show(&created)?;
    let meanwhile =
        || "another process has just created an API with this name, this identifier or one of the scopes".to_owned();
    app.commit(operation).await.map_err(ManageError::conflict(meanwhile))?;
    // The first key of an algorithm signs at once, so that the new API's tokens can be signed.
    super::signing_keys::rotate_due(app).await?;
    Ok(created)
}

async fn prepare(app: &App, actor: &Actor, metadata: ApiMetadata) -> Result<(CreateApi, CreatedApi), ManageError> {
    let others = all(app).await?;
    registration::check_api(&metadata, &others, app.settings.signing.retire_after)?;
    if let Some(taken) = registration::taken_by_another_api(&metadata, &others) {
        return Err(ManageError::Conflict(taken));
    }
    let now = app.now();
    let (client_secret, digest) = super::clients::new_secret(app);
    let client_name = format!("API {}", metadata.name);
    let api = Api { id: ApiId::new(now, &*app.rng), metadata, created_at: now };
    let credential = Client {
        secret: Some(digest),
        api: Some(api.id.clone()),
        ..Client::new(ClientId::new(now, &*app.rng), ClientMetadata { client_name, ..ClientMetadata::default() }, now)
    };
    let client_id = credential.id.clone();
    let operation = CreateApi { api: api.clone(), credential, audit: app.audit(actor) };
    let api = ApiView { client_id: Some(client_id.clone()), ..api.into() };
    Ok((operation, CreatedApi { api, client_id, client_secret }))
}

/// APIs in order of creation, after one of them.
pub async fn list(app: &App, after: Option<ApiId>, limit: i64) -> Result<Vec<ApiView>, ManageError> {
    Ok(app.store.read(ListApis { after, limit }).await?.into_iter().map(ApiView::from).collect())
}

/// Every API as it is now, even one that another process has just created.
pub async fn all(app: &App) -> Result<Apis, ManageError> {
    Ok(Apis::new(app.store.read(ListApis::ALL).await?.into_iter().map(Arc::new).collect()))
}

/// The API of this name, id or identifier, with the `client_id` of its credential.
pub async fn show(app: &App, name: &str) -> Result<ApiView, ManageError> {
    let api = find(app, name).await?;
    let client_id = app.store.read(FindCredential { api: api.id.clone() }).await?;
    Ok(ApiView { client_id, ..Arc::unwrap_or_clone(api).into() })
}

/// The API of this name, id or identifier.
pub(super) async fn find(app: &App, name: &str) -> Result<Arc<Api>, ManageError> {
    named(&all(app).await?, name).cloned()
}

/// The APIs of these names, in their order, each once.
pub(super) fn all_named(apis: &Apis, names: &[String]) -> Result<Vec<Arc<Api>>, ManageError> {
    let mut found: Vec<Arc<Api>> = Vec::new();
    for name in names {
        let api = named(apis, name)?;
        if found.iter().all(|known| known.id != api.id) {
            found.push(api.clone());
        }
    }
    Ok(found)
}

fn named<'a>(apis: &'a Apis, name: &str) -> Result<&'a Arc<Api>, ManageError> {
    let is_meant =
        |api: &&Arc<Api>| api.metadata.name == name || api.id.as_str() == name || api.metadata.identifier.matches(name);
    apis.iter().find(is_meant).ok_or_else(|| ManageError::NotFound { kind: "API", name: name.to_owned() })
}

/// Creates the management API if it is not there, and gives it the scopes that this program knows and it lacks.
pub async fn ensure_management(app: &App) -> Result<(), ManageError> {
    let known = management(app)?;
    let Some(present) = all(app).await?.by_name(MANAGEMENT).cloned() else {
        return match create(app, &Actor::default(), known).await {
            // Another process was faster.
            Ok(_) | Err(ManageError::Conflict(_)) => Ok(()),
            Err(error) => Err(error),
        };
    };
    let missing: Vec<_> = known.scopes.into_iter().filter(|known| !present.has_scope(&known.scope)).collect();
    if !missing.is_empty() {
        let audit = app.audit(&Actor::default());
        let names = missing.iter().map(|missing| missing.scope.to_string()).collect::<Vec<_>>().join(" ");
        let taken = || format!("the API {MANAGEMENT:?} needs the scopes {names}, and another API has one of them");
        let operation = AddApiScopes { id: present.id.clone(), scopes: missing, now: app.now(), audit };
        app.commit(operation).await.map_err(ManageError::conflict(taken))?;
    }
    Ok(())
}

/// The management API: an API with an audience of its own.
fn management(app: &App) -> Result<ApiMetadata, ManageError> {
    let scope = Scope::parse(KEYS_VERIFY).map_err(|why| ManageError::invalid("scopes", why))?;
    let description = "Ask whether API keys are valid".to_owned();
    Ok(ApiMetadata {
        scopes: vec![DescribedScope { scope, description }],
        key_prefix: KeyPrefix::parse("mk").map_err(|why| ManageError::invalid("key_prefix", why))?,
        // Its tokens live as long as all others, which the keys that sign them outlive.
        access_token_ttl: app.settings.tokens.access_token_ttl,
        ..ApiMetadata::new(MANAGEMENT, app.management_audience())
    })
}
