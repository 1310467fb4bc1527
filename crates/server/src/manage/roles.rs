//! Roles: of an API, given to users, clients and keys.

use std::sync::Arc;

use doorward_core::{
    api::{Api, MANAGEMENT, Role},
    clock::Timestamp,
    denial::Denial,
    grant::audience::Apis,
    holder::Holder,
    id::ApiId,
    key_kind::KeyKind,
    refusal::{Mistake, Refusal},
    rights::{ADMIN, Belongs, Power},
};
use doorward_store::{
    idempotency::KeptAnswer,
    keys::FindKey,
    roles::{ChangeRole, ListRoleGrants, RoleFilter, RoleGrant},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    ManageError,
    holders::{self, Named},
    page::{Page, page},
    times,
};
use crate::{actor::Actor, app::App};

/// A role that was given to somebody.
#[derive(Clone, Debug)]
pub struct GrantedRole {
    /// The role as it is shown.
    pub view: RoleGrantView,
    /// Whether the holder did not have it before.
    pub is_new: bool,
}

/// Gives `holder` (the id of a user, client or key, or a user's name) a role of an API.
pub async fn grant(app: &App, actor: &Actor, holder: &str, api: &str, role: &str) -> Result<GrantedRole, ManageError> {
    grant_shown(app, actor, holder, api, role, |_| Ok(None)).await
}

/// The same after `show` has been called, with the answer that it returns. If that fails, nothing was changed.
pub async fn grant_shown(
    app: &App,
    actor: &Actor,
    holder: &str,
    api: &str,
    role: &str,
    show: impl FnOnce(&RoleGrantView) -> Result<Option<KeptAnswer>, ManageError>,
) -> Result<GrantedRole, ManageError> {
    let assignment = Assignment::find(app, actor, holder, api, role).await?;
    assignment.check_defined()?;
    assignment.check_may_change(actor)?;
    assignment.check_holder(app).await?;
    let now = app.now();
    let view = match assignment.existing(app).await? {
        Some(view) => view,
        None => assignment.new_view(app, now).await?,
    };
    let answer = show(&view)?;
    let is_new = app.commit_kept(assignment.change(app, actor, true, now), answer).await?;
    Ok(GrantedRole { view, is_new })
}

/// Takes a role back. Returns whether there was one.
pub async fn withdraw(app: &App, actor: &Actor, holder: &str, api: &str, role: &str) -> Result<bool, ManageError> {
    let assignment = Assignment::find(app, actor, holder, api, role).await?;
    assignment.check_may_change(actor)?;
    Ok(app.commit(assignment.change(app, actor, false, app.now())).await?)
}

/// The operation that gives or withdraws a role of an API, as it is or as it will be.
pub(super) fn prepare(
    app: &App,
    actor: &Actor,
    holder: Holder,
    api: Arc<Api>,
    role: Role,
    is_granted: bool,
) -> Result<ChangeRole, ManageError> {
    let assignment = Assignment { holder, api, role };
    if is_granted {
        assignment.check_defined()?;
    }
    assignment.check_may_change(actor)?;
    Ok(assignment.change(app, actor, is_granted, app.now()))
}

/// A role that somebody has.
pub async fn show(app: &App, actor: &Actor, holder: &str, api: &str, role: &str) -> Result<RoleGrantView, ManageError> {
    let unknown = || ManageError::NotFound { kind: "role", name: format!("{role} of {holder} at {api}") };
    match Assignment::find(app, actor, holder, api, role).await {
        Ok(assignment) => assignment.existing(app).await?.ok_or_else(unknown),
        Err(ManageError::Mistakes(_)) => Err(unknown()),
        Err(error) => Err(error),
    }
}

/// A role that somebody has, as it is shown.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = RoleGrant)]
pub struct RoleGrantView {
    /// The id of the user, client or key.
    pub holder: Holder,
    /// The user's name, if the holder is a user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// The API, by name.
    pub api: String,
    /// The API, by id.
    pub api_id: ApiId,
    /// The granted role of that API.
    pub role: Role,
    /// When the role was granted.
    #[serde(serialize_with = "times::serialize")]
    pub created_at: Timestamp,
}

/// Which roles are listed.
#[derive(Clone, Debug, Default)]
pub struct WhichRoles {
    /// Only those of this holder: the id of a user, client or key, or a user's name.
    pub holder: Option<String>,
    /// Only those at this API: its name, id or identifier.
    pub api: Option<String>,
    /// Only those of this name.
    pub role: Option<Role>,
}

impl WhichRoles {
    async fn filter(self, app: &App, apis: &Apis) -> Result<RoleFilter, ManageError> {
        let holder = match &self.holder {
            Some(name) => Some(holders::holder(app, name).await?),
            None => None,
        };
        let api = self.api.as_deref().map(|name| super::apis::named(apis, name)).transpose()?;
        Ok(RoleFilter { holder, api: api.map(|api| api.id.clone()), role: self.role })
    }
}

/// A page of who has which role, in the order of holder, API and role.
pub async fn list(
    app: &App,
    actor: &Actor,
    which: WhichRoles,
    after: Option<RolePlace>,
    limit: usize,
) -> Result<Page<RoleGrantView, RolePlace>, ManageError> {
    let apis = super::apis::all(app).await?;
    let filter = match which.filter(app, &apis).await {
        Ok(filter) => filter,
        // What is not there has no roles.
        Err(ManageError::NotFound { .. }) => return Ok(Page { items: Vec::new(), next: None }),
        Err(error) => return Err(error),
    };
    let read = |after, limit| {
        let list = ListRoleGrants { filter: filter.clone(), after, limit };
        async move { Ok(app.store.read(list).await?) }
    };
    let place = |grant: &RoleGrant| (grant.holder.clone(), grant.api.clone(), grant.role.clone());
    let show = |grant: RoleGrant| {
        let belongs = Belongs { apis: vec![grant.api.clone()], owner: Some(grant.holder.as_str()) };
        actor.rights.reach(&belongs).then(|| RoleGrantView::of(grant, &apis))
    };
    page(after, limit, read, place, show).await
}

/// The place of a role that somebody has, in the list of all.
pub type RolePlace = (Holder, ApiId, Role);

impl RoleGrantView {
    fn of(grant: RoleGrant, apis: &Apis) -> Self {
        Self {
            holder: grant.holder,
            username: grant.username,
            // An API can be created or deleted between the two reads.
            api: apis.by_id(&grant.api).map_or_else(|| "?".to_owned(), |api| api.metadata.name.clone()),
            api_id: grant.api,
            role: grant.role,
            created_at: grant.created_at,
        }
    }
}

/// A role of an API and somebody, both within the rights of the one who asks.
struct Assignment {
    holder: Holder,
    api: Arc<Api>,
    role: Role,
}

impl Assignment {
    async fn find(app: &App, actor: &Actor, holder: &str, api: &str, role: &str) -> Result<Self, ManageError> {
        let mut named = Named::new(app, actor).await?;
        let (holder, api) = (named.holder("holder", holder).await?, named.api("api", api));
        let role = Role::parse(role).map_err(|why| vec![Mistake::at("role", why)]);
        let (_, role) = Mistake::none_in_both(named.finish(), role)?;
        let unknown = || Refusal::new(Denial::IdUnknown);
        Ok(Self { holder: holder.ok_or_else(unknown)?, api: api.ok_or_else(unknown)?, role })
    }

    fn check_defined(&self) -> Result<(), ManageError> {
        match self.api.metadata.roles.contains(&self.role) {
            true => Ok(()),
            false => {
                let why = format!("the API {:?} has no role {}", self.api.metadata.name, self.role);
                Err(vec![Mistake::at("role", why).of_unknown()].into())
            }
        }
    }

    /// The caller who gives or withdraws the role that lets users manage this server has all the rights that it gives.
    fn check_may_change(&self, actor: &Actor) -> Result<(), Refusal> {
        match is_of_admin(&self.api, &self.role) {
            true => actor.rights.check_covers(&Power::of_admin()),
            false => Ok(()),
        }
    }

    /// A publishable key has no roles, and one that it was given would not count.
    async fn check_holder(&self, app: &App) -> Result<(), ManageError> {
        let Holder::Key(id) = &self.holder else { return Ok(()) };
        match app.read(FindKey { id: id.clone() }).await? {
            Some(key) if key.metadata.kind == KeyKind::Publishable => {
                Err(vec![Mistake::at("holder", "a publishable key has no roles")].into())
            }
            _ => Ok(()),
        }
    }

    async fn existing(&self, app: &App) -> Result<Option<RoleGrantView>, ManageError> {
        let (holder, api, role) = (Some(self.holder.clone()), Some(self.api.id.clone()), Some(self.role.clone()));
        let list = ListRoleGrants { filter: RoleFilter { holder, api, role }, after: None, limit: 1 };
        let found = app.store.read(list).await?.pop();
        Ok(found.map(|grant| RoleGrantView::of(grant, &Apis::new(vec![self.api.clone()]))))
    }

    async fn new_view(&self, app: &App, now: Timestamp) -> Result<RoleGrantView, ManageError> {
        let username = match &self.holder {
            Holder::User(id) => Some(super::users::find(app, id.as_str()).await?.metadata.username),
            Holder::Client(_) | Holder::Key(_) => None,
        };
        Ok(RoleGrantView {
            holder: self.holder.clone(),
            username,
            api: self.api.metadata.name.clone(),
            api_id: self.api.id.clone(),
            role: self.role.clone(),
            created_at: now,
        })
    }

    fn change(self, app: &App, actor: &Actor, is_granted: bool, now: Timestamp) -> ChangeRole {
        let audit = app.audit(actor).with("api", &self.api.metadata.name);
        ChangeRole { holder: self.holder, api: self.api.id.clone(), role: self.role, is_granted, now, audit }
    }
}

fn is_of_admin(api: &Api, role: &Role) -> bool {
    api.metadata.name == MANAGEMENT && *role == *ADMIN
}

/// Whether these roles let a user manage this server.
pub(super) async fn make_an_administrator(app: &App, held: &[(ApiId, Role)]) -> Result<bool, ManageError> {
    Ok(include_admin(&super::apis::all(app).await?, held))
}

/// The same, with the APIs at hand.
pub(crate) fn include_admin(apis: &Apis, held: &[(ApiId, Role)]) -> bool {
    held.iter().any(|(id, role)| apis.by_id(id).is_some_and(|api| is_of_admin(api, role)))
}

/// Roles as they are shown and named: `API:ROLE`.
pub(super) fn shown(roles: &[(ApiId, Role)], apis: &Apis) -> Vec<String> {
    // Roles of a deleted API have no effect.
    let named = |(id, role): &(ApiId, Role)| Some(format!("{}:{role}", apis.by_id(id)?.metadata.name));
    roles.iter().filter_map(named).collect()
}
