//! The management API: an API of the server's own, which each start brings up to date.

use std::collections::BTreeSet;

use doorward_core::{
    api::{ApiMetadata, DescribedScope, MANAGEMENT, Role},
    api_key::KeyPrefix,
    grant::audience::Apis,
    rights::{self, ADMIN},
    scope::Scope,
};
use doorward_store::apis::{AddApiScopes, UpdateApi};

use super::{all, create};
use crate::{actor::Actor, app::App, manage::ManageError};

/// Creates the management API if it is not there, and gives it the scopes and the role that this program knows and it
/// lacks.
pub async fn ensure_management(app: &App) -> Result<(), ManageError> {
    let apis = all(app).await?;
    let known = management(app, &apis)?;
    let Some(present) = apis.by_name(MANAGEMENT).cloned() else {
        return match create(app, &Actor::default(), known).await {
            // Another process was faster.
            Ok(_) | Err(ManageError::Conflict(_)) => Ok(()),
            Err(error) => Err(error),
        };
    };
    let missing: Vec<_> = known.scopes.into_iter().filter(|known| !present.has_scope(&known.scope)).collect();
    if !missing.is_empty() {
        let audit = app.audit(&Actor::default());
        let taken = || format!("another process has just created an API with a scope of the API {MANAGEMENT:?}");
        let operation = AddApiScopes { id: present.id.clone(), scopes: missing, now: app.now(), audit };
        app.commit(operation).await.map_err(ManageError::conflict(taken))?;
    }
    ensure_role(app, &known.roles).await
}

/// An older version may have created it without the role that users need.
async fn ensure_role(app: &App, known: &BTreeSet<Role>) -> Result<(), ManageError> {
    let Some(api) = all(app).await?.by_name(MANAGEMENT).cloned() else { return Ok(()) };
    if known.is_subset(&api.metadata.roles) {
        return Ok(());
    }
    let (id, from) = (api.id.clone(), api.metadata.clone());
    let to = ApiMetadata { roles: from.roles.union(known).cloned().collect(), ..from.clone() };
    // If somebody else changes the API at the same time, that is another server that starts, or the next start does it.
    app.commit(UpdateApi { id, from, to, now: app.now(), audit: app.audit(&Actor::default()) }).await?;
    Ok(())
}

/// The scopes of the management API that no other API has. Older versions let APIs have any name that is a scope of the
/// management API today: until that is renamed, nobody can manage what the scope is for over HTTP.
fn free_scopes(apis: &Apis) -> Result<Vec<DescribedScope>, ManageError> {
    let mut free = Vec::new();
    for (name, description) in rights::SCOPES {
        let scope = Scope::parse(name).map_err(|why| ManageError::invalid("scopes", why))?;
        match apis.iter().find(|api| api.metadata.name != MANAGEMENT && api.has_scope(&scope)) {
            Some(other) => tracing::warn!(
                scope = name,
                api = other.metadata.name,
                "this API has a scope of the management API: rename it, or manage by the command line"
            ),
            None => free.push(DescribedScope { scope, description: description.to_owned() }),
        }
    }
    Ok(free)
}

/// The management API: an API with an audience of its own.
fn management(app: &App, apis: &Apis) -> Result<ApiMetadata, ManageError> {
    let admin = Role::parse(ADMIN).map_err(|why| ManageError::invalid("roles", why))?;
    Ok(ApiMetadata {
        scopes: free_scopes(apis)?,
        roles: BTreeSet::from([admin]),
        key_prefix: KeyPrefix::parse("mk").map_err(|why| ManageError::invalid("key_prefix", why))?,
        // Its tokens live as long as all others, which the keys that sign them outlive.
        access_token_ttl: app.settings.tokens.access_token_ttl,
        ..ApiMetadata::new(MANAGEMENT, app.management_audience())
    })
}
