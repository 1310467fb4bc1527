//! What is few and always needed: APIs and signing keys, read whole and swapped whole.

use std::sync::Arc;

use arc_swap::ArcSwap;
use doorward_core::{digest::MasterKey, grant::audience::Apis};
use doorward_store::{Store, apis::ListApis, signing_keys::ListSigningKeys};

use crate::app::{OpenError, signing_keys::SigningKeys};

/// The present snapshots.
pub(crate) struct Snapshots {
    apis: ArcSwap<Apis>,
    signing_keys: ArcSwap<SigningKeys>,
}

impl Snapshots {
    /// Reads everything.
    pub(crate) async fn load(store: &Store, master_keys: &[MasterKey]) -> Result<Self, OpenError> {
        let snapshots = Self { apis: ArcSwap::default(), signing_keys: ArcSwap::default() };
        snapshots.reload_apis(store).await?;
        snapshots.reload_signing_keys(store, master_keys).await?;
        Ok(snapshots)
    }

    pub(crate) async fn reload_apis(&self, store: &Store) -> Result<(), OpenError> {
        let apis = store.read(ListApis::ALL).await?.into_iter().map(Arc::new).collect();
        self.apis.store(Arc::new(Apis::new(apis)));
        Ok(())
    }

    pub(crate) async fn reload_signing_keys(&self, store: &Store, master_keys: &[MasterKey]) -> Result<(), OpenError> {
        let records = store.read(ListSigningKeys).await?;
        self.signing_keys.store(Arc::new(SigningKeys::open(records, master_keys)?));
        Ok(())
    }

    pub(crate) fn apis(&self) -> Arc<Apis> {
        self.apis.load_full()
    }

    pub(crate) fn signing_keys(&self) -> Arc<SigningKeys> {
        self.signing_keys.load_full()
    }
}
