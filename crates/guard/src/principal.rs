//! The principal in a handler: proof that the guard ran and admitted the request.
//!
//! Only a guard creates one, so a handler that takes a [`Principal`] can't be reached without a decision. Each
//! remembers its guard: the result of one guard proves nothing to another, which trusts another issuer or serves
//! another API.

use std::{fmt, ops::Deref, sync::Arc};

use doorward_core::{api_key::Environment, key_limits::LimitStates, principal};
use http::Extensions;

use crate::{guard::Guard, verifier::Verified};

/// Who makes the request, as verified by this route's guard. Dereferences to [`doorward_core::principal::Principal`].
///
/// With axum it is an extractor. It answers 500 if no guard ran before it, and logs the reason: a route that was left
/// open by mistake must fail in the first test, not in an incident. `Option<Principal>` is for routes behind
/// [`Guard::optional`]. Without axum, find it in the request's extensions.
#[derive(Clone)]
pub struct Principal {
    who: Arc<principal::Principal>,
    environment: Option<Environment>,
    limits: Option<Arc<LimitStates>>,
    guard: Guard,
}

impl Principal {
    pub(crate) fn new(verified: Verified, environment: Option<Environment>, guard: &Guard) -> Self {
        Self { who: verified.principal, environment, limits: verified.limits, guard: guard.clone() }
    }

    /// What the API key says of its use; `None` for tokens.
    pub(crate) fn environment(&self) -> Option<Environment> {
        self.environment
    }

    /// The limits of the API key after this use, if it has any. The guard's layer puts them into the response.
    pub fn limits(&self) -> Option<&LimitStates> {
        self.limits.as_deref()
    }

    pub(crate) fn was_verified_by(&self, guard: &Guard) -> bool {
        self.guard.is(guard)
    }
}

impl Deref for Principal {
    type Target = principal::Principal;

    fn deref(&self) -> &principal::Principal {
        &self.who
    }
}

impl fmt::Debug for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.who.fmt(f)
    }
}

/// The result of a guard for a request that it admitted.
#[derive(Clone, Debug)]
pub(crate) enum Admission {
    /// There was no credential, and the route does not require one.
    Anonymous,
    Known(Principal),
}

/// The guard puts it into the extensions when it lets a request without a credential pass.
#[derive(Clone, Copy, Debug)]
struct Anonymous;

impl Admission {
    /// The limits of the key, for the response.
    pub(crate) fn limits(&self) -> Option<Arc<LimitStates>> {
        match self {
            Self::Anonymous => None,
            Self::Known(principal) => principal.limits.clone(),
        }
    }

    /// Puts the result into the extensions of the request, for its handler.
    pub(crate) fn insert_into(self, extensions: &mut Extensions) {
        match self {
            Self::Anonymous => drop(extensions.insert(Anonymous)),
            Self::Known(principal) => drop(extensions.insert(principal)),
        }
    }
}

#[cfg(feature = "axum")]
mod extract {
    use axum::{
        extract::{FromRequestParts, OptionalFromRequestParts},
        response::{IntoResponse, Response},
    };
    use http::{StatusCode, request::Parts};

    use super::{Anonymous, Principal};

    /// A handler takes the principal, but its route has no guard.
    #[derive(Clone, Copy, Debug, thiserror::Error)]
    #[error("the handler takes a principal, but its route has no guard that requires one")]
    pub struct GuardMissing;

    impl GuardMissing {
        fn of(parts: &Parts) -> Self {
            tracing::error!(method = %parts.method, path = parts.uri.path(), "{Self}; add `guard.require(…)` to the route");
            Self
        }
    }

    impl IntoResponse for GuardMissing {
        fn into_response(self) -> Response {
            (StatusCode::INTERNAL_SERVER_ERROR, "This route is not set up correctly. Tell its operator.\n")
                .into_response()
        }
    }

    impl<S: Sync> FromRequestParts<S> for Principal {
        type Rejection = GuardMissing;

        async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, GuardMissing> {
            parts.extensions.get::<Self>().cloned().ok_or_else(|| GuardMissing::of(parts))
        }
    }

    impl<S: Sync> OptionalFromRequestParts<S> for Principal {
        type Rejection = GuardMissing;

        async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, GuardMissing> {
            match parts.extensions.get::<Self>() {
                Some(principal) => Ok(Some(principal.clone())),
                None if parts.extensions.get::<Anonymous>().is_some() => Ok(None),
                None => Err(GuardMissing::of(parts)),
            }
        }
    }
}

#[cfg(feature = "axum")]
pub use extract::GuardMissing;
