//! Cookies (RFC 6265bis): their names and attributes follow the configured issuer and nothing else.
//!
//! With an `https` issuer the name begins with `__Host-`, and no other name is read: a cookie that a neighbour domain
//! or plain HTTP could plant is not seen at all. With an `http` issuer, on a loopback, the name ends with the port:
//! browsers send the cookies of a host to all its ports, and two servers would sign each other's users out.

use std::time::Duration;

use doorward_core::cookie;
use http::{
    HeaderMap, HeaderValue,
    header::{COOKIE, SET_COOKIE},
};

use crate::app::App;

/// A cookie of ours.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cookie {
    /// Says which browser this is, before anybody signed in: binds stored requests and forms.
    Browser,
    /// Says that this browser signed in to an account before.
    Device,
    /// What was just done on the account page.
    Done,
    Session,
}

impl Cookie {
    fn name(self, app: &App) -> String {
        let name = match self {
            Self::Browser => "doorward-browser",
            Self::Device => "doorward-device",
            Self::Done => "doorward-done",
            Self::Session => "doorward-session",
        };
        match app.settings.is_https() {
            true => format!("__Host-{name}"),
            false => format!("{name}-{}", app.settings.port()),
        }
    }

    /// The cookie's value; `None` if it is missing or repeated.
    pub(crate) fn read<'a>(self, app: &App, headers: &'a HeaderMap) -> Option<&'a str> {
        let name = self.name(app);
        let mut values = cookie::values(headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes), &name);
        let value = values.next()?;
        (values.next().is_none() && value.len() <= 512).then_some(value)
    }

    /// Sets the cookie for the given time, or until the browser is closed.
    pub(crate) fn set(self, app: &App, headers: &mut HeaderMap, value: &str, max_age: Option<Duration>) {
        let secure = if app.settings.is_https() { "; Secure" } else { "" };
        let max_age = max_age.map(|age| format!("; Max-Age={}", age.as_secs())).unwrap_or_default();
        let cookie = format!("{}={value}; Path=/; HttpOnly; SameSite=Lax{secure}{max_age}", self.name(app));
        if let Ok(mut cookie) = HeaderValue::from_str(&cookie) {
            cookie.set_sensitive(true);
            headers.append(SET_COOKIE, cookie);
        }
    }

    /// Deletes the browser's cookie.
    pub(crate) fn clear(self, app: &App, headers: &mut HeaderMap) {
        self.set(app, headers, "", Some(Duration::ZERO));
    }
}
