//! The places of open connections: so many in all, and so many of one address.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use doorward_core::network::Network;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::limits::Limits;

/// The places that are taken, in all and by address.
pub(crate) struct Places {
    all: Arc<Semaphore>,
    by_address: Arc<Mutex<HashMap<Network, usize>>>,
    most_by_address: usize,
}

impl Places {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            all: Arc::new(Semaphore::new(limits.connections.min(Semaphore::MAX_PERMITS))),
            by_address: Arc::default(),
            most_by_address: limits.connections_per_address,
        }
    }

    /// A place for a connection from this address; `None` if all are taken.
    pub(crate) fn take(&self, address: Network) -> Option<Place> {
        let permit = self.all.clone().try_acquire_owned().ok()?;
        let mut open = self.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(address).or_default();
        if *count >= self.most_by_address {
            return None;
        }
        *count += 1;
        Some(Place { address, by_address: self.by_address.clone(), _permit: permit })
    }
}

/// The place of one connection, given back when it is dropped.
pub(crate) struct Place {
    address: Network,
    by_address: Arc<Mutex<HashMap<Network, usize>>>,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.address);
            }
        }
    }
}
