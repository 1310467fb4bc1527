//! Who turns a credential into a principal: the only thing that differs between an API, which asks its issuer over
//! HTTP, and the authorization server, which looks into its own store.
//!
//! Easy to get wrong: a verifier that can't tell must say [`Denial::VerifierUnavailable`] and never let anyone pass.
//!
//! [`Denial::VerifierUnavailable`]: doorward_core::denial::Denial::VerifierUnavailable

use std::{pin::Pin, sync::Arc};

use doorward_core::{clock::Timestamp, credential::Credential, principal::Principal, refusal::Refusal};

/// A future behind a pointer, so that a [`Verifier`] can be chosen while the program runs.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Verifies credentials for one API.
pub trait Verifier: Send + Sync + 'static {
    /// The principal that `credential` stands for at the API.
    ///
    /// What the route asks for decides nothing here: the principal carries every scope that it has, and the guard
    /// compares. The principal is shared and not copied, since the same one answers each request while it is remembered.
    fn verify<'a>(
        &'a self,
        credential: &'a Credential,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<Arc<Principal>, Refusal>>;
}
