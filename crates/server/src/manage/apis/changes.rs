//! Changing and deleting an API, and what that ends.

use doorward_core::{
    api::{Api, ApiMetadata, DescribedScope, TokenFormat},
    grant::audience::Apis,
    registration,
    scope::ScopeSet,
};
use doorward_store::{
    IfUnchanged,
    apis::{DeleteApi, UpdateApi},
    roles::{ListRoleGrants, RoleFilter},
    uses::{Count, MOST, Used, Uses},
};

use super::{ApiView, all, check_may_change, find_reached, shown, taken_meanwhile, unknown};
use crate::{
    actor::Actor,
    app::App,
    manage::{
        ManageError,
        attempts::{outcome, until_done},
        signing_keys,
        uses::{self, Preview},
    },
};

/// Changes what is registered of an API: `edit` makes it from what is shown. It is called again if somebody else changed
/// the API meanwhile. A change that ends what is in use is refused unless it is confirmed.
pub async fn update(
    app: &App,
    actor: &Actor,
    name: &str,
    is_confirmed: bool,
    edit: impl Fn(&ApiView) -> Result<ApiMetadata, ManageError>,
) -> Result<ApiView, ManageError> {
    let id = find_reached(app, actor, name).await?.id.clone();
    until_done("this API", || async {
        let Change { before, operation } = prepare(app, actor, id.as_str(), &edit).await?;
        if operation.to == operation.from {
            return Ok(Some(before));
        }
        uses::check_ends(ends_of(app, &operation).await?, is_confirmed)?;
        // Something must be able to sign from the moment at which the change is seen.
        if operation.to.token_format == TokenFormat::Jwt {
            signing_keys::ensure(app, operation.to.signing_algorithm).await?;
        }
        let after = ApiView { metadata: operation.to.clone(), ..before };
        let updated = app.commit(operation).await.map_err(ManageError::conflict(taken_meanwhile))?;
        outcome(updated, after, || unknown(name))
    })
    .await
}

/// What a change of an API would do.
pub async fn preview_update(
    app: &App,
    actor: &Actor,
    name: &str,
    edit: impl Fn(&ApiView) -> Result<ApiMetadata, ManageError>,
) -> Result<Preview<ApiView>, ManageError> {
    let Change { before, operation } = prepare(app, actor, name, &edit).await?;
    let ends = ends_of(app, &operation).await?;
    let after = ApiView { metadata: operation.to, ..before.clone() };
    Ok(Preview { before, after, ends })
}

/// A change that the rules allow.
struct Change {
    before: ApiView,
    operation: UpdateApi,
}

async fn prepare(
    app: &App,
    actor: &Actor,
    name: &str,
    edit: impl Fn(&ApiView) -> Result<ApiMetadata, ManageError>,
) -> Result<Change, ManageError> {
    let api = Api::clone(&*find_reached(app, actor, name).await?);
    let before = shown(app, api.clone()).await?;
    let to = edit(&before)?;
    let operation = prepare_update(app, actor, &api, to, &all(app).await?)?;
    Ok(Change { before, operation })
}

/// The operation that changes what is registered of an API. `all` are the APIs, as they are or as they will be.
pub(in crate::manage) fn prepare_update(
    app: &App,
    actor: &Actor,
    api: &Api,
    to: ApiMetadata,
    all: &Apis,
) -> Result<UpdateApi, ManageError> {
    check_may_change(actor, api)?;
    registration::check_api_update(api, &to, all, app.settings.signing.retire_after)?;
    if let Some(taken) = registration::taken_by_another_api(&to, &all.without(&api.id)) {
        return Err(ManageError::Conflict(taken));
    }
    Ok(UpdateApi { id: api.id.clone(), from: api.metadata.clone(), to, now: app.now(), audit: app.audit(actor) })
}

/// What a prepared change ends: of scopes and of roles that the API loses.
pub(in crate::manage) async fn ends_of(
    app: &App,
    UpdateApi { id, from, to, .. }: &UpdateApi,
) -> Result<Uses, ManageError> {
    let is_kept = |known: &DescribedScope| to.scopes.iter().any(|kept| kept.scope == known.scope);
    let lost = from.scopes.iter().filter(|known| !is_kept(known)).map(|known| known.scope.clone());
    let lost: ScopeSet = lost.collect();
    let mut ends = match lost.is_empty() {
        true => Uses::default(),
        false => uses::of(app, Used::Scopes(lost)).await?,
    };
    for role in from.roles.difference(&to.roles) {
        let filter = RoleFilter { api: Some(id.clone()), role: Some(role.clone()), ..RoleFilter::default() };
        let limit = i64::try_from(MOST + 1).unwrap_or(i64::MAX);
        let found = app.store.read(ListRoleGrants { filter, after: None, limit }).await?.len();
        let known = ends.role_grants;
        ends.role_grants = Count { number: known.number + found.min(MOST), is_more: known.is_more || found > MOST };
    }
    Ok(ends)
}

/// Deletes an API and its credential, and ends its scopes. `check` may refuse what is shown of it; it is called again if
/// somebody else changed the API meanwhile. An API in use is refused unless that is confirmed.
pub async fn delete(
    app: &App,
    actor: &Actor,
    name: &str,
    is_confirmed: bool,
    check: impl Fn(&ApiView) -> Result<(), ManageError>,
) -> Result<(), ManageError> {
    until_done("this API", || async {
        let api = find_to_delete(app, actor, name).await?;
        check(&shown(app, api.clone()).await?)?;
        uses::check_confirmed(app, of_all(&api), is_confirmed).await?;
        let change = DeleteApi { id: api.id, now: app.now(), audit: app.audit(actor) };
        let updated = app.commit(IfUnchanged { from: api.metadata, change }).await?;
        outcome(updated, (), || unknown(name))
    })
    .await
}

/// What the deletion of an API would end.
pub async fn ends_of_deletion(app: &App, actor: &Actor, name: &str) -> Result<Uses, ManageError> {
    uses::of(app, of_all(&find_to_delete(app, actor, name).await?)).await
}

async fn find_to_delete(app: &App, actor: &Actor, name: &str) -> Result<Api, ManageError> {
    let api = Api::clone(&*find_reached(app, actor, name).await?);
    registration::check_api_deletion(&api)?;
    Ok(api)
}

/// Everything of an API.
pub(in crate::manage) fn of_all(api: &Api) -> Used {
    let scopes: ScopeSet = api.metadata.scopes.iter().map(|described| described.scope.clone()).collect();
    Used::Api { id: api.id.clone(), scopes }
}
