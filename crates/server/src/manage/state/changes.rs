//! Planned changes as operations of the store. Each is checked by the rules of its noun.

use doorward_core::{
    api::{Api, ApiMetadata, TokenFormat},
    api_key::KeyMetadata,
    client_settings::ClientSettings,
    clock::Timestamp,
    grant::audience::Apis,
    holder::Owner,
    id::ClientId,
    jwk::Algorithm,
    refusal::Mistake,
    state_plan::{Change, HeldRole, Place, StatePlan},
};
use doorward_store::{
    apis::DeleteApi,
    clients::{ChangeClient, ClientChange},
    keys::{KeyFilter, ListKeys},
    together::Step,
    uses::{Count, Used, Uses},
};
use serde_json::json;

use super::view::{ChangeView, differences};
use crate::{
    actor::Actor,
    app::App,
    manage::{ManageError, apis, clients, keys, roles, uses},
};

/// Changes that can be committed.
pub(super) struct Prepared {
    /// The operations, in their order.
    pub(super) steps: Vec<Step>,
    /// The algorithms for which there must be a key before.
    pub(super) algorithms: Vec<Algorithm>,
    /// Each change, as it is shown.
    pub(super) views: Vec<ChangeView>,
}

/// Prepares every change of a plan of the state at `now`, or finds every mistake.
pub(super) async fn prepare(
    app: &App,
    actor: &Actor,
    plan: StatePlan,
    now: Timestamp,
) -> Result<Prepared, ManageError> {
    let mut prepared = Prepared { steps: Vec::new(), algorithms: Vec::new(), views: Vec::new() };
    let mut mistakes = plan.mistakes;
    for (place, change) in plan.changes {
        match (place, prepared.add(app, actor, change, &plan.apis, now).await) {
            (_, Ok(())) => {}
            (Some(place), Err(ManageError::Mistakes(inner))) => {
                // An API that gives a scope away is changed twice, with the same mistakes.
                let new = inner.into_iter().map(|mistake| place.of(mistake));
                let new: Vec<_> = new.filter(|mistake| !mistakes.contains(mistake)).collect();
                mistakes.extend(new);
            }
            (Some(place @ Place(kind, _)), Err(error @ (ManageError::Conflict(_) | ManageError::NotFound { .. }))) => {
                mistakes.push(place.mistake(if kind == "role" { "role" } else { "name" }, error));
            }
            (_, Err(error)) => return Err(error),
        }
    }
    Mistake::none(mistakes)?;
    Ok(prepared)
}

impl Prepared {
    async fn add(
        &mut self,
        app: &App,
        actor: &Actor,
        change: Change,
        apis: &Apis,
        now: Timestamp,
    ) -> Result<(), ManageError> {
        let (step, view) = match change {
            Change::CreateApi(api) => self.create_api(app, actor, &api, apis)?,
            Change::UpdateApi { api, to } => {
                let mut operation = apis::prepare_update(app, actor, &api, to, apis)?;
                // What is given a scope that moves from one API to another is given it after this.
                operation.now = now;
                self.sign_for(&operation.to);
                let mut view = ChangeView::new("update", "api", &api.metadata.name, &api.id);
                view.members = differences(&operation.from, &operation.to);
                view.ends = in_use(apis::ends_of(app, &operation).await?);
                (Step::UpdateApi(Box::new(operation)), view)
            }
            Change::DeleteApi(api) => {
                let mut view = ChangeView::new("delete", "api", &api.metadata.name, &api.id);
                view.ends = in_use(uses::of(app, apis::of_all(&api)).await?);
                (Step::DeleteApi(DeleteApi { id: api.id.clone(), now, audit: app.audit(actor) }), view)
            }
            Change::CreateClient { id, is_named, metadata } => {
                if is_named {
                    check_owns_no_keys(app, &id).await?;
                }
                let (mut operation, created) = clients::prepare_creation(app, actor, id, *metadata, apis)?;
                self.algorithms.push(created.client.metadata.id_token_signed_response_alg);
                // Tokens of a deleted client that had this id stay ended, also those of this second: tokens have whole
                // seconds.
                operation.client.tokens_ended_at = is_named.then(|| Timestamp::from_secs(now.as_secs() + 1));
                let (name, id) = (&created.client.metadata.client_name, &created.client.client_id);
                let mut view = ChangeView::new("create", "client", name, id);
                view.is_drawn = !is_named;
                view.secret_to_rotate = created.secret.as_ref().map(|_| id.clone());
                (Step::CreateClient(Box::new(operation)), view)
            }
            Change::UpdateClient { client, to } => {
                let operation = clients::prepare_update(app, actor, &client, *to, apis, now)?;
                let before = client.registered(apis);
                let named = |metadata| ClientSettings::named(metadata, apis);
                self.algorithms.push(operation.to.id_token_signed_response_alg);
                let mut view = ChangeView::new("update", "client", &operation.to.client_name, &client.id);
                view.ends = in_use(clients::ends_of(app, &before, &operation).await?);
                view.members = differences(&named(before), &named(operation.to.clone()));
                (Step::UpdateClient(Box::new(operation)), view)
            }
            Change::SwitchClient { id, disabled } => {
                let (change, action) = match disabled {
                    true => (ClientChange::Disable, "disable"),
                    false => (ClientChange::Enable, "enable"),
                };
                let mut view = ChangeView::new(action, "client", "", &id);
                if disabled {
                    // It keeps its roles.
                    let ends = uses::of(app, Used::Client(id.clone())).await?;
                    view.ends = in_use(Uses { role_grants: Count::default(), ..ends });
                }
                (Step::ChangeClient(ChangeClient { id, change, now, audit: app.audit(actor) }), view)
            }
            Change::DeleteClient(client) => {
                let mut view = ChangeView::new("delete", "client", &client.metadata.client_name, &client.id);
                view.ends = in_use(uses::of(app, Used::Client(client.id.clone())).await?);
                let change = ClientChange::Delete;
                (Step::ChangeClient(ChangeClient { id: client.id, change, now, audit: app.audit(actor) }), view)
            }
            Change::UpdateKey { id, to } => {
                let (operation, before) = keys::prepare_update(app, actor, &id, &to, apis, now).await?;
                let mut view = ChangeView::new("update", "key", &operation.to.name, &operation.id);
                let shown =
                    |key: &KeyMetadata| json!({"name": key.name, "scopes": key.scope.iter().collect::<Vec<_>>()});
                view.members = differences(&shown(&before), &shown(&operation.to));
                (Step::UpdateKey(Box::new(operation)), view)
            }
            Change::GrantRole(held) => change_role(app, actor, held, true)?,
            Change::WithdrawRole(held) => change_role(app, actor, held, false)?,
        };
        self.steps.push(step);
        self.views.push(view);
        Ok(())
    }

    fn create_api(
        &mut self,
        app: &App,
        actor: &Actor,
        api: &Api,
        apis: &Apis,
    ) -> Result<(Step, ChangeView), ManageError> {
        let others = apis.without(&api.id);
        let (operation, created) = apis::prepare_creation(app, actor, api.id.clone(), api.metadata.clone(), &others)?;
        self.sign_for(&api.metadata);
        let mut view = ChangeView::new("create", "api", &api.metadata.name, &api.id);
        view.is_drawn = true;
        view.secret_to_rotate = Some(created.client_id);
        Ok((Step::CreateApi(Box::new(operation)), view))
    }

    /// Notes the algorithm of an API's tokens.
    fn sign_for(&mut self, api: &ApiMetadata) {
        if api.token_format == TokenFormat::Jwt {
            self.algorithms.push(api.signing_algorithm);
        }
    }
}

fn change_role(app: &App, actor: &Actor, held: HeldRole, is_granted: bool) -> Result<(Step, ChangeView), ManageError> {
    let HeldRole { holder, name, api, role } = held;
    let shown = format!("{}:{role}", api.metadata.name);
    let mut view = ChangeView::new(if is_granted { "grant" } else { "withdraw" }, "role", shown, name);
    if !is_granted {
        view.ends = Some(Uses { role_grants: Count { number: 1, is_more: false }, ..Uses::default() });
    }
    Ok((Step::ChangeRole(roles::prepare(app, actor, holder, api, role, is_granted)?), view))
}

/// A deleted client may have left keys, which would be valid again.
async fn check_owns_no_keys(app: &App, id: &ClientId) -> Result<(), ManageError> {
    let filter = KeyFilter { owner: Some(Owner::Client(id.clone())), revoked: Some(false) };
    match app.store.read(ListKeys { filter, after: None, limit: 1 }).await?.first() {
        None => Ok(()),
        Some(key) => Err(ManageError::invalid(
            "client_id",
            format!(
                "a deleted client with this id left keys, which would be valid again: revoke {} and others",
                key.id
            ),
        )),
    }
}

fn in_use(uses: Uses) -> Option<Uses> {
    Some(uses).filter(|uses| *uses != Uses::default())
}
