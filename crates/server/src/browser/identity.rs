//! Forms that only this server's pages can post.
//!
//! A form's token is an HMAC over the browser's cookie, which no other site can read or set, and over the session if
//! there is one. So a form from before a sign-in is not valid after it.

use doorward_core::{denial::Denial, refusal::Refusal, secret::ExposeSecret};
use http::HeaderMap;

use super::mac;
use crate::{app::App, browser::Cookie};

/// Which browser a request comes from, and whether that is new.
pub(crate) struct Browser {
    /// The value of its cookie.
    pub(crate) id: String,
    is_new: bool,
}

impl Browser {
    /// The browser of a request; one without a cookie gets an id.
    pub(crate) fn of(app: &App, headers: &HeaderMap) -> Self {
        match Self::known(app, headers) {
            Some(browser) => browser,
            None => {
                let id = doorward_core::checksummed::random_text(32, &*app.rng).expose_secret().to_owned();
                Self { id, is_new: true }
            }
        }
    }

    /// The browser of a request, if it has a cookie.
    pub(crate) fn known(app: &App, headers: &HeaderMap) -> Option<Self> {
        let id = Cookie::Browser.read(app, headers)?;
        let is_ours = id.len() == 32 && id.bytes().all(|b| b.is_ascii_alphanumeric());
        is_ours.then(|| Self { id: id.to_owned(), is_new: false })
    }

    /// Whether it came without a cookie.
    pub(crate) fn is_new(&self) -> bool {
        self.is_new
    }

    /// Sets the cookie if the browser is new.
    pub(crate) fn remember(&self, app: &App, headers: &mut HeaderMap) {
        if self.is_new {
            Cookie::Browser.set(app, headers, &self.id, None);
        }
    }

    /// What binds a stored request to this browser.
    pub(crate) fn digest(&self, app: &App) -> doorward_core::digest::Digest {
        app.peppers.digest(&format!("browser/{}", self.id)).digest
    }

    /// Whether this is the browser that something was bound to.
    pub(crate) fn is(&self, app: &App, bound: &doorward_core::digest::Digest) -> bool {
        app.candidates(&format!("browser/{}", self.id)).iter().any(|candidate| candidate.digest.matches(bound))
    }

    /// The token of a form shown to this browser, in this session.
    pub(crate) fn form_token(&self, app: &App, session: Option<&str>) -> String {
        mac::of(app, &form_text(&self.id, session))
    }

    /// Refuses a form whose token was not made for this browser and session.
    pub(crate) fn check_form(&self, app: &App, session: Option<&str>, token: &str) -> Result<(), Refusal> {
        match mac::is_of(app, &form_text(&self.id, session), token) {
            true => Ok(()),
            false => Err(Denial::FormExpired.into()),
        }
    }
}

fn form_text(browser: &str, session: Option<&str>) -> String {
    format!("form/{browser}/{}", session.unwrap_or_default())
}
