//! What is few and always needed: APIs, signing keys and the algorithms in use, read whole and swapped whole.

use std::sync::Arc;

use arc_swap::ArcSwap;
use doorward_core::{
    api::{ApiMetadata, TokenFormat},
    digest::MasterKey,
    grant::audience::Apis,
    jwk::Algorithm,
};
use doorward_store::{
    Store, StoreError,
    apis::{ListApis, ListEndedScopes},
    clients::IdTokenAlgorithms,
    signing_keys::ListSigningKeys,
};

use crate::app::{
    OpenError,
    signing_keys::{self, SigningKeys},
};

/// All APIs as they are now, with the scopes that they had.
pub(crate) async fn read_apis(store: &Store) -> Result<Apis, StoreError> {
    let apis = store.read(ListApis::ALL).await?.into_iter().map(Arc::new).collect();
    // Read last: a scope that was removed and added again in between must be known as removed.
    Ok(Apis::new(apis).with_ended(store.read(ListEndedScopes).await?))
}

pub(crate) struct Snapshots {
    apis: ArcSwap<Apis>,
    signing_keys: ArcSwap<SigningKeys>,
    id_token_algorithms: ArcSwap<Vec<Algorithm>>,
}

impl Snapshots {
    pub(crate) async fn load(store: &Store, master_keys: &[MasterKey]) -> Result<Self, OpenError> {
        let snapshots = Self {
            apis: ArcSwap::default(),
            signing_keys: ArcSwap::default(),
            id_token_algorithms: ArcSwap::default(),
        };
        snapshots.reload(store, master_keys).await?;
        Ok(snapshots)
    }

    pub(crate) async fn reload(&self, store: &Store, master_keys: &[MasterKey]) -> Result<(), OpenError> {
        self.reload_apis(store).await?;
        self.reload_id_token_algorithms(store).await?;
        self.reload_signing_keys(store, master_keys).await
    }

    pub(crate) async fn reload_apis(&self, store: &Store) -> Result<(), OpenError> {
        self.apis.store(Arc::new(read_apis(store).await?));
        Ok(())
    }

    pub(crate) async fn reload_signing_keys(&self, store: &Store, master_keys: &[MasterKey]) -> Result<(), OpenError> {
        let records = store.read(ListSigningKeys).await?;
        self.signing_keys.store(Arc::new(SigningKeys::open(records, master_keys)?));
        Ok(())
    }

    pub(crate) async fn reload_id_token_algorithms(&self, store: &Store) -> Result<(), OpenError> {
        let used = store.read(IdTokenAlgorithms { among: &Algorithm::ALL }).await?;
        self.id_token_algorithms.store(Arc::new(used));
        Ok(())
    }

    /// The algorithms that something is signed with: for an API, for a client, or for the issuer.
    pub(crate) fn algorithms_in_use(&self) -> Vec<Algorithm> {
        let (apis, of_clients) = (self.apis(), self.id_token_algorithms.load_full());
        let signs_for_an_api = |algorithm: &Algorithm| {
            let signs = |api: &ApiMetadata| api.signing_algorithm == *algorithm && api.token_format == TokenFormat::Jwt;
            apis.iter().any(|api| signs(&api.metadata))
        };
        let is_used = |algorithm: &Algorithm| {
            signing_keys::ALWAYS.contains(algorithm) || of_clients.contains(algorithm) || signs_for_an_api(algorithm)
        };
        Algorithm::ALL.into_iter().filter(is_used).collect()
    }

    pub(crate) fn apis(&self) -> Arc<Apis> {
        self.apis.load_full()
    }

    pub(crate) fn signing_keys(&self) -> Arc<SigningKeys> {
        self.signing_keys.load_full()
    }
}
