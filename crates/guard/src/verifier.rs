//! Turns a credential into a principal. This is the only difference between an API, which asks its issuer over HTTP,
//! and the authorization server, which reads its own store.
//!
//! Easy to get wrong: a verifier that can't decide must return [`Denial::VerifierUnavailable`] and never admit anyone.
//!
//! [`Denial::VerifierUnavailable`]: doorward_core::denial::Denial::VerifierUnavailable

use std::{net::IpAddr, pin::Pin, sync::Arc};

use doorward_core::{
    clock::Timestamp, credential::Credential, key_limits::LimitStates, network::ClientAddress, principal::Principal,
    refusal::Refusal,
};
use http::{HeaderMap, Method, Uri, request::Parts};

use crate::requirement::Requirement;

/// A future behind a pointer, so that a [`Verifier`] can be chosen while the program runs.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The request that carries a credential.
///
/// A proof of possession is checked against it. DPoP compares the method, the target URI and the `DPoP` header
/// (RFC 9449 section 4.3); the thumbprint of a client certificate will be added.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct RequestContext<'a> {
    /// The time by the guard's clock.
    pub now: Timestamp,
    /// The HTTP method of the request.
    pub method: &'a Method,
    /// The target as the caller sent it, also below a nested router. HTTP/1.1 sends the path and query only, so compare
    /// the origin of a DPoP proof's `htu` with the API's own.
    pub uri: &'a Uri,
    /// All headers of the request.
    pub headers: &'a HeaderMap,
    /// The caller's address: from a [`ClientAddress`] in the request's extensions, or else the peer of the connection.
    /// `None` if neither is known.
    pub client: Option<IpAddr>,
    /// What the route requires; `None` if the verifier is asked without a guard. The guard compares it itself. A verifier needs
    /// it only to take nothing out of the limits of a key that the route refuses.
    pub requirement: Option<&'a Requirement>,
    /// Whether the route accepts live API keys from browsers and apps. The guard compares that itself. A verifier needs it only to
    /// take nothing out of the limits of a key that the guard refuses.
    pub keys_in_browsers: bool,
}

/// A credential that is valid.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Verified {
    /// Who presents it. It is shared, not copied, since the same one serves each request while it is cached.
    pub principal: Arc<Principal>,
    /// The limits of the key after this use, if it has any. The guard reports them to the caller.
    pub limits: Option<Arc<LimitStates>>,
}

impl Verified {
    /// Adds the limits of the key.
    pub fn with_limits(self, limits: LimitStates) -> Self {
        Self { limits: (limits != LimitStates::default()).then(|| Arc::new(limits)), ..self }
    }
}

impl From<Arc<Principal>> for Verified {
    /// A credential without limits.
    fn from(principal: Arc<Principal>) -> Self {
        Self { principal, limits: None }
    }
}

impl<'a> RequestContext<'a> {
    /// The context of `request`, with the time by which to judge it.
    pub fn of(request: &'a Parts, now: Timestamp) -> Self {
        Self {
            now,
            method: &request.method,
            uri: uri(request),
            headers: &request.headers,
            client: client(request),
            requirement: None,
            keys_in_browsers: false,
        }
    }
}

/// The URI as the caller sent it: a nested router removes its prefix.
fn uri(request: &Parts) -> &Uri {
    #[cfg(feature = "axum")]
    if let Some(axum::extract::OriginalUri(uri)) = request.extensions.get() {
        return uri;
    }
    &request.uri
}

/// Where a request comes from: as found by a listener that reads proxy headers, or else the peer of the connection.
pub(crate) fn client(request: &Parts) -> Option<IpAddr> {
    let found = request.extensions.get::<ClientAddress>().copied();
    #[cfg(feature = "axum")]
    let found = found.or_else(|| {
        let peer = request.extensions.get::<axum::extract::ConnectInfo<std::net::SocketAddr>>()?;
        Some(ClientAddress::from(peer.0))
    });
    found.map(|address| address.client)
}

/// Verifies credentials for one API.
pub trait Verifier: Send + Sync + 'static {
    /// The principal of `credential` at the API.
    ///
    /// The route's requirement does not decide here: the principal carries every scope that it has, and the guard
    /// compares.
    ///
    /// A verifier that can't check the binding of a credential must refuse it with [`Denial::TokenBindingUnproven`].
    ///
    /// [`Denial::TokenBindingUnproven`]: doorward_core::denial::Denial::TokenBindingUnproven
    fn verify<'a>(
        &'a self,
        credential: &'a Credential<'a>,
        request: &'a RequestContext<'a>,
    ) -> BoxFuture<'a, Result<Verified, Refusal>>;
}
