//! What the connections of a listener have in common.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use crate::{forwarded::is_trusted, places::Places, seldom::Seldom, serve::Serve};

/// What connections have in common.
pub(crate) struct Listening {
    pub(crate) serve: Serve,
    pub(crate) places: Arc<Places>,
    is_leaving: AtomicBool,
    /// The warning about addresses that can't be read.
    pub(crate) unknown_client: Seldom,
}

impl Listening {
    pub(crate) fn new(serve: Serve) -> Self {
        let places = Arc::new(Places::new(&serve.limits));
        Self { serve, places, is_leaving: AtomicBool::new(false), unknown_client: Seldom::default() }
    }

    /// From now on, clients are asked to look for another server.
    pub(crate) fn leave(&self) {
        self.is_leaving.store(true, Relaxed);
    }

    /// Whether clients should look for another server.
    pub(crate) fn is_leaving(&self) -> bool {
        self.is_leaving.load(Relaxed)
    }

    #[cfg(test)]
    pub(crate) fn place(&self) -> crate::places::Place {
        self.places.take(None).expect("there are places")
    }

    /// Whether a peer is a trusted proxy.
    pub(crate) fn trusts(&self, peer: SocketAddr) -> bool {
        is_trusted(&self.serve.trusted_proxies, &peer.ip().to_canonical())
    }
}
