//! Clients of the authorization server.

use doorward_core::{
    checksummed::{self, CLIENT_SECRET_PREFIX},
    client::Client,
    client_metadata::ClientMetadata,
    client_settings::ClientSettings,
    clock::Timestamp,
    denial::Denial,
    digest::KeyedDigest,
    grant::audience::Apis,
    holder::Owner,
    id::ClientId,
    refusal::{Mistake, Refusal},
    registration,
    rights::{Belongs, Power, Rights},
    secret::{ExposeSecret, SecretString},
};
use doorward_store::{
    Seen,
    clients::{ChangeClient, ClientChange, ClientFilter, CreateClient, FindClient, ListClients, UpdateClient},
    idempotency::KeptAnswer,
    keys::{KeyFilter, ListKeys},
    uses::{Count, MOST, Used, Uses},
};

use super::{
    ManageError,
    attempts::{outcome, until_done},
    departure::{Departure, Disabling, Planned},
    holders,
    page::{Page, page},
    uses::{self, Preview},
};
use crate::{actor::Actor, app::App};

mod view;

pub use self::view::ClientView;

/// A client, and its secret if it has one; the secret is shown once.
pub struct CreatedClient {
    /// The client as it was created.
    pub client: ClientView,
    /// The new secret, shown only now; `None` for clients without one.
    pub secret: Option<SecretString>,
}

/// Creates a client, with a secret if its method of authentication needs one.
pub async fn create(
    app: &App,
    actor: &Actor,
    settings: impl Into<ClientSettings>,
) -> Result<CreatedClient, ManageError> {
    create_shown(app, actor, settings.into(), |_| Ok(None)).await
}

/// Creates a client after `show` has printed it, and keeps the answer that it returns. If that fails, nothing was changed.
pub async fn create_shown<E: From<ManageError>>(
    app: &App,
    actor: &Actor,
    settings: ClientSettings,
    show: impl FnOnce(&CreatedClient) -> Result<Option<KeptAnswer>, E>,
) -> Result<CreatedClient, E> {
    let (operation, created) = prepare(app, actor, settings).await?;
    let answer = show(&created)?;
    app.commit_kept(operation, answer).await.map_err(ManageError::from)?;
    Ok(created)
}

async fn prepare(
    app: &App,
    actor: &Actor,
    settings: ClientSettings,
) -> Result<(CreateClient, CreatedClient), ManageError> {
    let apis = super::apis::all(app).await?;
    let metadata = to_register(app, actor, &settings, &ClientMetadata::default(), &apis).await?;
    let (operation, created) = prepare_creation(app, actor, ClientId::new(app.now(), &*app.rng), metadata, &apis)?;
    super::signing_keys::ensure(app, created.client.metadata.id_token_signed_response_alg).await?;
    Ok((operation, created))
}

/// The metadata to register by these settings. What the caller's rights don't reach is answered as unknown.
async fn to_register(
    app: &App,
    actor: &Actor,
    settings: &ClientSettings,
    before: &ClientMetadata,
    apis: &Apis,
) -> Result<ClientMetadata, ManageError> {
    let (owners, visible) = (holders::owners(app, actor, &settings.limited_to_owners).await?, visible(actor, apis));
    match settings.to_register(before, &visible, &owners) {
        Ok(metadata) => Ok(metadata),
        // With all that is wrong beside.
        unknown => {
            let checked = registration::checked_client(settings.metadata.clone(), &visible);
            Ok(Mistake::none_in_both(checked, unknown)?.1)
        }
    }
}

/// The operation that creates a client with an id, beside these APIs.
pub(super) fn prepare_creation(
    app: &App,
    actor: &Actor,
    id: ClientId,
    metadata: ClientMetadata,
    apis: &Apis,
) -> Result<(CreateClient, CreatedClient), ManageError> {
    actor.rights.check_covers(&Power::of_client(&metadata))?;
    let metadata = registration::checked_client(metadata, &visible(actor, apis))?;
    check_will_be_reached(actor, &id, &metadata, apis)?;
    let (secret, digest) = match metadata.token_endpoint_auth_method.has_secret() {
        true => Some(new_secret(app)).unzip(),
        false => (None, None),
    };
    let now = app.now();
    let given_at = apis.given_again(&metadata.scope, now);
    let scope_given_at = Some(given_at).filter(|at| *at != now);
    let client = Client { secret: digest, scope_given_at, ..Client::new(id, metadata, now) };
    let operation = CreateClient { client: client.clone(), audit: app.audit(actor) };
    Ok((operation, CreatedClient { client: ClientView::of(client, apis), secret }))
}

/// The APIs that a caller reaches: a scope of another one is answered as one that no API has.
fn visible(actor: &Actor, apis: &Apis) -> Apis {
    apis.only(|api| actor.rights.reach_api(&api.id))
}

/// Refuses to make a client that the caller would not reach.
fn check_will_be_reached(
    actor: &Actor,
    id: &ClientId,
    metadata: &ClientMetadata,
    apis: &Apis,
) -> Result<(), ManageError> {
    let of_scopes = apis.of_scopes(&metadata.scope).into_iter().map(|api| api.id.clone());
    match actor.rights.reach(&Belongs { apis: of_scopes.collect(), owner: Some(id.as_str()) }) {
        true => Ok(()),
        false => Err(Refusal::new(Denial::RightsExceeded).fact("limits", "another API or owner").into()),
    }
}

/// A page of the clients, in the order of their creation, without the credentials of APIs.
pub async fn list(
    app: &App,
    actor: &Actor,
    filter: ClientFilter,
    after: Option<ClientId>,
    limit: usize,
) -> Result<Page<ClientView, ClientId>, ManageError> {
    let apis = super::apis::all(app).await?;
    let read = |after, limit| {
        let list = ListClients { filter: filter.clone(), after, limit };
        async move { Ok(app.store.read(list).await?) }
    };
    let show = |client: Client| reaches(actor, &client, &apis).then(|| ClientView::of(client, &apis));
    page(after, limit, read, |client| client.id.clone(), show).await
}

/// The client with this id, or an error that names it.
pub async fn show(app: &App, actor: &Actor, id: &str) -> Result<ClientView, ManageError> {
    let apis = super::apis::all(app).await?;
    Ok(ClientView::of(find_reached(app, actor, id, &apis).await?, &apis))
}

/// Whether somebody's rights reach a client: it is its own owner, and is for the APIs of its scopes and its roles.
fn reaches(actor: &Actor, client: &Client, apis: &Apis) -> bool {
    let of_scopes = apis.of_scopes(&client.registered_scope(apis)).into_iter().map(|api| api.id.clone());
    let of_roles = client.roles.iter().map(|(api, _)| api.clone()).filter(|api| apis.by_id(api).is_some());
    actor.rights.reach(&Belongs { apis: of_scopes.chain(of_roles).collect(), owner: Some(client.id.as_str()) })
}

async fn find_reached(app: &App, actor: &Actor, id: &str, apis: &Apis) -> Result<Client, ManageError> {
    let client = find(app, id).await?;
    // The credential of an API is managed with the API. The command line also takes it by its id.
    let is_managed_with_its_api = client.api.is_some() && actor.rights != Rights::All;
    match !is_managed_with_its_api && reaches(actor, &client, apis) {
        true => Ok(client),
        false => Err(unknown(id)),
    }
}

/// The same to be changed, which needs the rights that the client has itself.
async fn find_to_change(app: &App, actor: &Actor, id: &str) -> Result<Client, ManageError> {
    let apis = super::apis::all(app).await?;
    let client = find_reached(app, actor, id, &apis).await?;
    actor.rights.check_covers(&Power::of_client(&client.registered(&apis)))?;
    // The credential of an API speaks for it.
    if let Some(api) = client.api.as_ref().and_then(|api| apis.by_id(api)) {
        super::apis::check_may_change(actor, api)?;
    }
    Ok(client)
}

/// The same to be disabled or deleted, which ends its keys: none of them is beyond the caller's limits.
async fn find_to_end(app: &App, actor: &Actor, id: &str) -> Result<Client, ManageError> {
    let client = find_to_change(app, actor, id).await?;
    if actor.rights.are_unlimited() {
        return Ok(client);
    }
    let filter = KeyFilter { owner: Some(Owner::Client(client.id.clone())), revoked: Some(false) };
    let limit = i64::try_from(MOST + 1).unwrap_or(i64::MAX);
    let owned = app.store.read(ListKeys { filter, after: None, limit }).await?;
    // Of more keys than that, nobody knows.
    match owned.len() <= MOST && owned.iter().all(|key| super::keys::reaches(actor, key)) {
        true => Ok(client),
        false => Err(Refusal::new(Denial::RightsExceeded).fact("limits", "its keys are of other APIs").into()),
    }
}

/// Changes what is registered of a client: `edit` makes it from what is shown. It is called again if somebody else changed
/// the client meanwhile. What takes something from a client in use has to be confirmed.
pub async fn update(
    app: &App,
    actor: &Actor,
    id: &str,
    is_confirmed: bool,
    edit: impl Fn(&ClientView) -> Result<ClientSettings, ManageError>,
) -> Result<ClientView, ManageError> {
    until_done("this client", || async {
        let Update { operation, before, after, ends, .. } = plan(app, actor, id, &edit).await?;
        if operation.to == before {
            return Ok(Some(after));
        }
        uses::check_ends(ends, is_confirmed)?;
        super::signing_keys::ensure(app, operation.to.id_token_signed_response_alg).await?;
        outcome(app.commit(operation).await?, after, || unknown(id))
    })
    .await
}

/// The operation that changes what is registered of a client, beside these APIs as they were at `now`.
pub(super) fn prepare_update(
    app: &App,
    actor: &Actor,
    client: &Client,
    to: ClientMetadata,
    apis: &Apis,
    now: Timestamp,
) -> Result<UpdateClient, ManageError> {
    actor.rights.check_covers(&Power::of_client(&to))?;
    let to = registration::checked_client_update(&client.metadata, to, &visible(actor, apis))?;
    check_will_be_reached(actor, &client.id, &to, apis)?;
    let (id, from, since) = (client.id.clone(), client.metadata.clone(), client.scope_given_at());
    let given_at = apis.given_at(&to.scope, &from.scope, since, now);
    let given_at_from = client.scope_given_at;
    let given_at_to = if given_at == since { given_at_from } else { Some(given_at) };
    let (now, audit) = (app.now(), app.audit(actor));
    Ok(UpdateClient { id, from, to, given_at_from, given_at_to, roles_from: None, now, audit })
}

/// What a change would do.
pub async fn preview_update(
    app: &App,
    actor: &Actor,
    id: &str,
    edit: impl Fn(&ClientView) -> Result<ClientSettings, ManageError>,
) -> Result<Preview<ClientView>, ManageError> {
    let Update { shown: before, after, ends, .. } = plan(app, actor, id, &edit).await?;
    Ok(Preview { before, after, ends })
}

/// A change that may be applied.
struct Update {
    operation: UpdateClient,
    before: ClientMetadata,
    shown: ClientView,
    after: ClientView,
    ends: Uses,
}

async fn plan(
    app: &App,
    actor: &Actor,
    id: &str,
    edit: impl Fn(&ClientView) -> Result<ClientSettings, ManageError>,
) -> Result<Update, ManageError> {
    let now = app.now();
    let client = find_to_change(app, actor, id).await?;
    let apis = super::apis::all(app).await?;
    let (before, shown) = (client.registered(&apis), ClientView::of(client.clone(), &apis));
    let settings = edit(&shown)?;
    let to = to_register(app, actor, &settings, &client.metadata, &apis).await?;
    let mut operation = prepare_update(app, actor, &client, to, &apis, now)?;
    operation.roles_from = Some(client.roles.clone());
    let ends = ends_of(app, &before, &operation).await?;
    let (metadata, scope_given_at) = (operation.to.clone(), operation.given_at_to);
    let after = ClientView::of(Client { metadata, scope_given_at, ..client }, &apis);
    Ok(Update { operation, before, shown, after, ends })
}

/// What a prepared change of what is registered now ends.
pub(super) async fn ends_of(
    app: &App,
    before: &ClientMetadata,
    UpdateClient { id, to, .. }: &UpdateClient,
) -> Result<Uses, ManageError> {
    match registration::narrows_client(before, to) {
        // The client keeps its keys and roles.
        true => Ok(Uses { grants: uses::of(app, Used::Client(id.clone())).await?.grants, ..Uses::default() }),
        false => Ok(Uses::default()),
    }
}

pub(super) async fn find(app: &App, id: &str) -> Result<Client, ManageError> {
    app.store.read(FindClient { id: parse(id)? }).await?.ok_or_else(|| unknown(id))
}

fn unknown(id: &str) -> ManageError {
    ManageError::NotFound { kind: "client", name: id.to_owned() }
}

/// Replaces the secret of a client or of an API's credential. The old one stops working at once. `check` may refuse what is
/// shown of the client; it is called again if somebody else changed the client meanwhile.
pub async fn rotate_secret(
    app: &App,
    actor: &Actor,
    id: &str,
    check: impl Fn(&ClientView) -> Result<(), ManageError>,
) -> Result<SecretString, ManageError> {
    rotate_secret_shown(app, actor, id, check, |_| Ok(())).await
}

/// The same, after `show` has printed the new secret. If that fails, nothing was changed.
pub async fn rotate_secret_shown<E: From<ManageError>>(
    app: &App,
    actor: &Actor,
    id: &str,
    check: impl Fn(&ClientView) -> Result<(), ManageError>,
    show: impl FnOnce(&SecretString) -> Result<(), E>,
) -> Result<SecretString, E> {
    let client = find_to_change(app, actor, id).await?;
    check_view(app, &client, &check).await?;
    if !client.metadata.token_endpoint_auth_method.has_secret() {
        return Err(ManageError::invalid("token_endpoint_auth_method", "this client has no secret").into());
    }
    let (secret, digest) = new_secret(app);
    show(&secret)?;
    change(app, actor, id, ClientChange::Secret(digest), check).await?;
    Ok(secret)
}

/// What ends if a client is disabled, and all that it holds. Its roles stay.
pub async fn disabling(app: &App, actor: &Actor, id: &str, departure: &Departure) -> Result<Disabling, ManageError> {
    let client = find_to_end(app, actor, id).await?;
    let planned = Planned::of(app, actor, &Owner::Client(client.id.clone()), departure).await?;
    let ends = ends_of_switching_off(app, &client, departure).await?;
    Ok(Disabling { ends: planned.ends(ends), holds: uses::of(app, Used::Client(client.id)).await? })
}

async fn ends_of_switching_off(app: &App, client: &Client, departure: &Departure) -> Result<Uses, ManageError> {
    if client.disabled_at.is_some() {
        return Ok(Uses::default());
    }
    let held = uses::of(app, Used::Client(client.id.clone())).await?;
    // Keys that are handed over go on to work.
    let keys = if matches!(departure, Departure::HandOverTo(_)) { Count::default() } else { held.keys };
    Ok(Uses { keys, role_grants: Count::default(), ..held })
}

/// Disables a client whose keys stay: see [`disable_with_keys`].
pub async fn disable(
    app: &App,
    actor: &Actor,
    id: &str,
    is_confirmed: bool,
    check: impl Fn(&ClientView) -> Result<(), ManageError>,
) -> Result<(), ManageError> {
    disable_with_keys(app, actor, id, &Departure::KeepKeys, is_confirmed, check).await
}

/// Disables a client, ends its grants, and revokes or hands over all its keys in the same transaction if that is asked for. It has
/// to be confirmed if the client is in use. `check` may refuse what is shown of it.
pub async fn disable_with_keys(
    app: &App,
    actor: &Actor,
    id: &str,
    departure: &Departure,
    is_confirmed: bool,
    check: impl Fn(&ClientView) -> Result<(), ManageError>,
) -> Result<(), ManageError> {
    until_done("this client", || async {
        let client = find_to_end(app, actor, id).await?;
        check_view(app, &client, &check).await?;
        let planned = Planned::of(app, actor, &Owner::Client(client.id.clone()), departure).await?;
        uses::check_ends(planned.ends(ends_of_switching_off(app, &client, departure).await?), is_confirmed)?;
        try_change(app, actor, client, ClientChange::Disable, planned).await
    })
    .await
}

/// Enables a disabled client again. Its old tokens stay ended. `check` may refuse what is shown of it.
pub async fn enable(
    app: &App,
    actor: &Actor,
    id: &str,
    check: impl Fn(&ClientView) -> Result<(), ManageError>,
) -> Result<(), ManageError> {
    change(app, actor, id, ClientChange::Enable, check).await
}

/// What ends if a client is deleted.
pub async fn ends_of_deletion(app: &App, actor: &Actor, id: &str) -> Result<Uses, ManageError> {
    let client = find_to_end(app, actor, id).await?;
    uses::of(app, Used::Client(client.id)).await
}

/// Deletes a client, and ends its grants. `check` may refuse what is shown of it; it is called again if somebody else
/// changed the client meanwhile. The deletion has to be confirmed if the client is in use.
pub async fn delete(
    app: &App,
    actor: &Actor,
    id: &str,
    is_confirmed: bool,
    check: impl Fn(&ClientView) -> Result<(), ManageError>,
) -> Result<(), ManageError> {
    until_done("this client", || async {
        let client = find_to_end(app, actor, id).await?;
        check_view(app, &client, &check).await?;
        uses::check_confirmed(app, Used::Client(client.id.clone()), is_confirmed).await?;
        try_change(app, actor, client, ClientChange::Delete, Planned::default()).await
    })
    .await
}

async fn change(
    app: &App,
    actor: &Actor,
    id: &str,
    change: ClientChange,
    check: impl Fn(&ClientView) -> Result<(), ManageError>,
) -> Result<(), ManageError> {
    until_done("this client", || async {
        let client = find_to_change(app, actor, id).await?;
        check_view(app, &client, &check).await?;
        try_change(app, actor, client, change.clone(), Planned::default()).await
    })
    .await
}

async fn check_view(
    app: &App,
    client: &Client,
    check: impl Fn(&ClientView) -> Result<(), ManageError>,
) -> Result<(), ManageError> {
    check(&ClientView::of(client.clone(), &super::apis::all(app).await?))
}

/// Changes a client if it is still as it was when the change was allowed.
async fn try_change(
    app: &App,
    actor: &Actor,
    client: Client,
    change: ClientChange,
    planned: Planned,
) -> Result<Option<()>, ManageError> {
    let Client { id, metadata, disabled_at, roles, .. } = client;
    let (name, from) = (id.to_string(), Seen { metadata, disabled_at, roles });
    let change = ChangeClient { id, change, now: app.now(), audit: app.audit(actor) };
    outcome(planned.commit(app, actor, from, change).await?, (), || unknown(&name))
}

/// A new client secret and its digest.
pub(crate) fn new_secret(app: &App) -> (SecretString, KeyedDigest) {
    let secret = checksummed::generate(CLIENT_SECRET_PREFIX, &*app.rng);
    let digest = app.peppers.digest(secret.expose_secret());
    (secret, digest)
}

fn parse(id: &str) -> Result<ClientId, ManageError> {
    ClientId::parse(id).map_err(|_| unknown(id))
}
