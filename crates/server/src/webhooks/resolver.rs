//! Names of endpoints, resolved once for each connection: the addresses that were checked are those that are connected to.
//!
//! Easy to get wrong: a check that resolves a name, before a client that resolves it again, checks nothing (DNS rebinding).
//! And a name with one public and one private address must not lead to the private one by chance.

use std::{
    fmt, io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::Arc,
};

use doorward_core::public_address::is_public;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Looks up the addresses of a name.
type LookUp = dyn Fn(String) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>> + Send + Sync;

/// Resolves names, and refuses those that lead to an address which must not be asked.
#[derive(Clone)]
pub(super) struct Resolver {
    look_up: Arc<LookUp>,
    allows_loopback: bool,
}

/// An address that must not be asked.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("refused: {0} is not a public address")]
pub(crate) struct NotPublic(IpAddr);

impl Resolver {
    /// By the machine's own configuration.
    pub(super) fn of_machine(allows_loopback: bool) -> Self {
        let look_up = |name: String| -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>> {
            Box::pin(async move { Ok(tokio::net::lookup_host((name, 0)).await?.map(|found| found.ip()).collect()) })
        };
        Self { look_up: Arc::new(look_up), allows_loopback }
    }

    /// Refuses an address that must not be asked.
    pub(super) fn check(&self, address: IpAddr) -> Result<(), NotPublic> {
        match is_public(address) || self.allows_loopback && address.is_loopback() {
            true => Ok(()),
            false => Err(NotPublic(address)),
        }
    }
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let resolver = self.clone();
        Box::pin(async move {
            let found = (resolver.look_up)(name.as_str().to_owned()).await?;
            for address in &found {
                resolver.check(*address)?;
            }
            // The port is that of the URL.
            let addresses: Addrs = Box::new(found.into_iter().map(|address| SocketAddr::new(address, 0)));
            Ok(addresses)
        })
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver").field("allows_loopback", &self.allows_loopback).finish_non_exhaustive()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Answers with these addresses, one list after the other; the last one from then on.
    pub(crate) fn answering(lists: Vec<Vec<&'static str>>, allows_loopback: bool) -> (Resolver, Arc<AtomicUsize>) {
        let asked = Arc::new(AtomicUsize::new(0));
        let counted = asked.clone();
        let look_up = move |_: String| -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>> {
            let at = counted.fetch_add(1, Ordering::SeqCst).min(lists.len() - 1);
            let list = lists[at].iter().map(|text| text.parse().unwrap()).collect();
            Box::pin(async move { Ok(list) })
        };
        (Resolver { look_up: Arc::new(look_up), allows_loopback }, asked)
    }

    async fn resolved(list: Vec<&'static str>, allows_loopback: bool) -> Result<Vec<IpAddr>, String> {
        let (resolver, _) = answering(vec![list], allows_loopback);
        let found = resolver.resolve("hooks.example".parse().unwrap()).await;
        found.map(|found| found.map(|address| address.ip()).collect()).map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn name_with_one_private_address_is_refused_whole() {
        assert_eq!(resolved(vec!["1.1.1.1", "2606:4700::1"], false).await.unwrap().len(), 2);
        for private in ["10.0.0.1", "127.0.0.1", "169.254.169.254", "::1", "::ffff:192.168.0.1", "64:ff9b::a00:1"] {
            let refused = resolved(vec!["1.1.1.1", private], false).await.unwrap_err();
            assert!(refused.contains("is not a public address"), "{private}: {refused}");
        }
    }

    #[tokio::test]
    async fn loopback_alone_is_allowed_where_it_may_be_asked() {
        assert!(resolved(vec!["127.0.0.1", "::1"], true).await.is_ok());
        assert!(resolved(vec!["192.168.0.1"], true).await.is_err());
    }
}
