//! A browser that signed in to an account before: strangers' guesses do not slow it down.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use doorward_core::{
    checksummed,
    id::UserId,
    secret::{ExposeSecret, constant_time_eq},
};
use http::HeaderMap;

use super::cookies::Cookie;
use crate::app::App;

/// For how long a browser is remembered as one that signed in.
pub(crate) const LIFETIME: Duration = Duration::from_secs(365 * 86_400);

/// Says that this browser signed in to this account: `user.random.mac`.
pub(crate) fn cookie(app: &App, user: &UserId) -> String {
    let random = checksummed::random_text(22, &*app.rng);
    let text = format!("{user}.{}", random.expose_secret());
    let mac = app.peppers.digest(&format!("device/{text}")).digest;
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(mac.as_bytes()))
}

/// The counter of a browser that signed in to this account before.
pub(crate) fn known(app: &App, headers: &HeaderMap, user: &UserId) -> Option<String> {
    let cookie = Cookie::Device.read(app, headers)?;
    let (text, mac) = cookie.rsplit_once('.')?;
    let (of, random) = text.split_once('.')?;
    let is_valid = app.candidates(&format!("device/{text}")).iter().any(|candidate| {
        constant_time_eq(URL_SAFE_NO_PAD.encode(candidate.digest.as_bytes()).as_bytes(), mac.as_bytes())
    });
    (is_valid && of == user.as_str()).then(|| format!("device/{random}"))
}
