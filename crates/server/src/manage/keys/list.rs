//! Keys a page at a time.

use doorward_core::id::KeyId;
use doorward_store::keys::{KeyFilter, ListKeys, ListShownKeys, ShownKey};

use super::{KeyView, reaches};
use crate::{
    actor::Actor,
    app::App,
    manage::{
        ManageError, apis, holders,
        page::{Page, page},
    },
};

/// Which keys are listed.
#[derive(Clone, Debug, Default)]
pub struct WhichKeys {
    /// Only those of this owner: a client's id, a user's id, `user:NAME`, or the API's own id of a customer.
    pub owner: Option<String>,
    /// Only those that were revoked, or only those that were not.
    pub revoked: Option<bool>,
}

/// A page of the keys, in the order of their creation.
pub async fn list(
    app: &App,
    actor: &Actor,
    which: WhichKeys,
    after: Option<KeyId>,
    limit: usize,
) -> Result<Page<KeyView, KeyId>, ManageError> {
    let owner = match &which.owner {
        Some(name) => match holders::owner(app, name).await {
            Ok(owner) => Some(owner),
            // What is not there has no keys.
            Err(ManageError::NotFound { .. }) => return Ok(Page { items: Vec::new(), next: None }),
            Err(error) => return Err(error),
        },
        None => None,
    };
    let (filter, apis, now) = (KeyFilter { owner, revoked: which.revoked }, apis::all(app).await?, app.now());
    let read = |after, limit| {
        let list = ListShownKeys(ListKeys { filter: filter.clone(), after, limit });
        async move { Ok(app.store.read(list).await?) }
    };
    let show = |found: ShownKey| reaches(actor, &found.key).then(|| KeyView::of(found, &apis, now));
    page(after, limit, read, |found: &ShownKey| found.key.id.clone(), show).await
}
