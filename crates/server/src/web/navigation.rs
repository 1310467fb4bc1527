//! Whether a request opens a page in front of a person. One that does not stores nothing and ends nothing.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use doorward_core::{denial::Denial, navigation};
use http::{HeaderValue, request::Parts};

/// Whether a request opens a page. Easy to get wrong: routes of `GET` answer `HEAD` as well.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Navigation {
    pub(crate) opens_a_page: bool,
}

impl Navigation {
    pub(crate) fn of(head: &Parts) -> Self {
        let sent = |name| head.headers.get(name).map(HeaderValue::as_bytes);
        Self { opens_a_page: navigation::opens_a_page(head.method.as_str(), sent) }
    }

    /// Refuses a request of the authorization endpoint, or of one of its steps, that opens no page.
    pub(crate) fn demand(self) -> Result<(), Denial> {
        match self.opens_a_page {
            true => Ok(()),
            false => Err(Denial::AuthorizeNotNavigated),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Navigation {
    type Rejection = Infallible;

    async fn from_request_parts(head: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of(head))
    }
}
