//! A browser that signed in to an account before: the guesses of others do not slow it down.
//!
//! It is known until the password changes or the user signs out everywhere, and for at most a year. Someone who signed
//! in with a leaked password gets no free guesses at the next one.

use std::time::Duration;

use doorward_core::{checksummed, clock::Timestamp, id::UserId, secret::ExposeSecret};
use doorward_store::users::UserRecord;
use http::HeaderMap;

use super::{cookies::Cookie, mac};
use crate::app::App;

/// For how long a browser is remembered as one that signed in.
pub(crate) const LIFETIME: Duration = Duration::from_secs(365 * 86_400);

/// The most that the clock of the node that issued a cookie may be ahead.
const SKEW: Duration = Duration::from_secs(60);

/// Says that this browser signed in to this account: `user.random.issued.mac`.
pub(crate) fn cookie(app: &App, user: &UserRecord) -> String {
    let random = checksummed::random_text(22, &*app.rng);
    let text = format!("{}.{}.{}", user.id, random.expose_secret(), app.now().as_secs());
    let mac = mac::of(app, &authenticated(&text, user));
    format!("{text}.{mac}")
}

/// A browser that signed in to an account before, by its counters.
#[derive(Debug)]
pub(crate) struct KnownBrowser {
    pub(crate) own: String,
    /// The one of all such browsers of the account.
    pub(crate) of_account: String,
}

/// What all known browsers of an account share.
pub(crate) fn of_account(user: &UserId) -> String {
    format!("devices/{user}")
}

/// What this browser is known as, if it signed in to this account before.
pub(crate) fn known(app: &App, headers: &HeaderMap, user: &UserRecord) -> Option<KnownBrowser> {
    let cookie = Cookie::Device.read(app, headers)?;
    let (text, mac) = cookie.rsplit_once('.')?;
    if !mac::is_of(app, &authenticated(text, user), mac) {
        return None;
    }
    let [of, random, issued] = text.split('.').collect::<Vec<_>>().try_into().ok()?;
    let (issued, now) = (Timestamp::from_secs(issued.parse().ok()?), app.now());
    let is_in_time = issued <= now.plus(SKEW) && now.since(issued) < LIFETIME;
    (is_in_time && of == user.id.as_str())
        .then(|| KnownBrowser { own: format!("device/{random}"), of_account: of_account(&user.id) })
}

/// What the cookie proves: its text, and the number that its user had then.
fn authenticated(text: &str, user: &UserRecord) -> String {
    format!("device/{text}/{}", user.known_browsers)
}
