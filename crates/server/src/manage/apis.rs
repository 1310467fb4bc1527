//! APIs: resource servers that take our credentials.

mod changes;
mod management;

use std::sync::Arc;

use doorward_core::{
    api::{Api, ApiMetadata},
    client::Client,
    client_metadata::ClientMetadata,
    clock::Timestamp,
    denial::Denial,
    grant::audience::Apis,
    id::{ApiId, ClientId},
    refusal::Refusal,
    registration,
    rights::{Belongs, Power},
    secret::SecretString,
};
use doorward_store::{
    IfUnchanged, Updated,
    apis::{CreateApi, ListApis, RotateApiSecret},
    clients::{ChangeClient, ClientChange, FindCredential},
    idempotency::KeptAnswer,
};
use serde::Serialize;
use utoipa::ToSchema;

pub(super) use self::changes::{ends_of, of_all, prepare_update};
pub use self::{
    changes::{delete, ends_of_deletion, preview_update, update},
    management::ensure_management,
};
pub use doorward_core::{api::MANAGEMENT, rights::KEYS_VERIFY};

use super::{
    ManageError,
    page::{Page, page},
    times,
};
use crate::{
    actor::Actor,
    app::{self, App},
};

/// An API as it is shown.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Api)]
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
    create_shown(app, actor, metadata, |_| Ok(None)).await
}

/// Creates an API and its credential after `show` has printed them, and keeps the answer that it returns. If that fails,
/// nothing was changed.
pub async fn create_shown<E: From<ManageError>>(
    app: &App,
    actor: &Actor,
    metadata: ApiMetadata,
    show: impl FnOnce(&CreatedApi) -> Result<Option<KeptAnswer>, E>,
) -> Result<CreatedApi, E> {
    let (operation, created) = prepare(app, actor, metadata).await?;
    let answer = show(&created)?;
    app.commit_kept(operation, answer).await.map_err(ManageError::conflict(taken_meanwhile))?;
    // The first key of an algorithm signs at once, so that the new API's tokens can be signed.
    super::signing_keys::rotate_due(app).await?;
    Ok(created)
}

fn taken_meanwhile() -> String {
    "another process has just created an API with this name, this identifier or one of the scopes".to_owned()
}

async fn prepare(app: &App, actor: &Actor, metadata: ApiMetadata) -> Result<(CreateApi, CreatedApi), ManageError> {
    prepare_creation(app, actor, ApiId::new(app.now(), &*app.rng), metadata, &all(app).await?)
}

/// The operation that creates an API with an id, beside the others.
pub(super) fn prepare_creation(
    app: &App,
    actor: &Actor,
    id: ApiId,
    metadata: ApiMetadata,
    others: &Apis,
) -> Result<(CreateApi, CreatedApi), ManageError> {
    if !actor.rights.are_unlimited() {
        return Err(Refusal::new(Denial::RightsExceeded).fact("limits", "only who has none creates APIs").into());
    }
    registration::check_api(&metadata, others, app.settings.signing.retire_after)?;
    if let Some(taken) = registration::taken_by_another_api(&metadata, others) {
        return Err(ManageError::Conflict(taken));
    }
    if let Some(same) = registration::identified_alike(&metadata.identifier, others) {
        return Err(ManageError::Conflict(same));
    }
    registration::check_identifier(&metadata.identifier, &app.settings.issuer)
        .map_err(|mistake| ManageError::Mistakes(vec![mistake]))?;
    let now = app.now();
    let (client_secret, digest) = super::clients::new_secret(app);
    let client_name = format!("API {}", metadata.name);
    let api = Api { id, metadata, created_at: now };
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

/// A page of the APIs, in the order of their creation.
pub async fn list(
    app: &App,
    actor: &Actor,
    after: Option<ApiId>,
    limit: usize,
) -> Result<Page<ApiView, ApiId>, ManageError> {
    let read = |after, limit| async move { Ok(app.store.read(ListApis { after, limit }).await?) };
    let show = |api: Api| reaches(actor, &api).then(|| api.into());
    page(after, limit, read, |api: &Api| api.id.clone(), show).await
}

/// Whether somebody's rights reach an API, which nobody owns.
fn reaches(actor: &Actor, api: &Api) -> bool {
    actor.rights.reach(&Belongs { apis: vec![api.id.clone()], owner: None })
}

/// Every API as it is now, even one that another process has just created.
pub async fn all(app: &App) -> Result<Apis, ManageError> {
    Ok(app::read_apis(&app.store).await?)
}

/// The API of this name, id or identifier, with the `client_id` of its credential.
pub async fn show(app: &App, actor: &Actor, name: &str) -> Result<ApiView, ManageError> {
    let api = find_reached(app, actor, name).await?;
    shown(app, Arc::unwrap_or_clone(api)).await
}

async fn shown(app: &App, api: Api) -> Result<ApiView, ManageError> {
    let client_id = app.store.read(FindCredential { api: api.id.clone() }).await?;
    Ok(ApiView { client_id, ..api.into() })
}

/// The credential of an API: `client_id`, and a secret.
pub type Credential = (ClientId, SecretString);

/// Replaces the secret of an API's credential. The old one stops working at once. `check` may refuse what is shown of the API.
pub async fn rotate_secret(
    app: &App,
    actor: &Actor,
    name: &str,
    check: impl Fn(&ApiView) -> Result<(), ManageError>,
) -> Result<Credential, ManageError> {
    rotate_secret_shown(app, actor, name, check, |_| Ok(())).await
}

/// The same, after `show` has printed the credential. If that fails, nothing was changed.
pub async fn rotate_secret_shown<E: From<ManageError>>(
    app: &App,
    actor: &Actor,
    name: &str,
    check: impl Fn(&ApiView) -> Result<(), ManageError>,
    show: impl FnOnce(&Credential) -> Result<(), E>,
) -> Result<Credential, E> {
    let api = find_reached(app, actor, name).await?;
    check_may_change(actor, &api).map_err(ManageError::from)?;
    let api = shown(app, Arc::unwrap_or_clone(api)).await?;
    check(&api)?;
    let id = api.client_id.ok_or_else(|| unknown(name))?;
    let (secret, digest) = super::clients::new_secret(app);
    let credential = (id.clone(), secret);
    show(&credential)?;
    let credential_change =
        ChangeClient { id, change: ClientChange::Secret(digest), now: app.now(), audit: app.audit(actor) };
    let change = RotateApiSecret { api: api.id, credential: credential_change };
    match app.commit(IfUnchanged { from: api.metadata, change }).await.map_err(ManageError::from)? {
        Updated::Done => Ok(credential),
        Updated::Unknown => Err(unknown(name).into()),
        // The secret was shown, so this is not tried again by itself.
        Updated::Changed => {
            Err(ManageError::Conflict("others change this API at the same time; try again".into()).into())
        }
    }
}

/// Refuses changes of the management API, which everybody's rights rest on, to those who lack one of its rights.
pub(super) fn check_may_change(actor: &Actor, api: &Api) -> Result<(), Refusal> {
    match api.metadata.name == MANAGEMENT {
        true => actor.rights.check_covers(&Power::of_admin()),
        false => Ok(()),
    }
}

/// The API of this name, id or identifier, if somebody's rights reach it.
async fn find_reached(app: &App, actor: &Actor, name: &str) -> Result<Arc<Api>, ManageError> {
    let api = find(app, name).await?;
    match reaches(actor, &api) {
        true => Ok(api),
        false => Err(unknown(name)),
    }
}

pub(super) fn unknown(name: &str) -> ManageError {
    ManageError::NotFound { kind: "API", name: name.to_owned() }
}

/// The API of this name, id or identifier.
pub(super) async fn find(app: &App, name: &str) -> Result<Arc<Api>, ManageError> {
    named(&all(app).await?, name).cloned()
}

/// The API of this name, id or identifier, among these.
pub(super) fn named<'a>(apis: &'a Apis, name: &str) -> Result<&'a Arc<Api>, ManageError> {
    apis.named(name).ok_or_else(|| unknown(name))
}
