//! Slowing down guesses at passwords: which counters an attempt has.
//!
//! By the submitted name, whether it exists or not, and by address. A browser that signed in to the account before has
//! a counter of its own instead, so that no stranger can keep the owner out.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use doorward_core::{
    checksummed,
    denial::Denial,
    id::UserId,
    network::Network,
    refusal::Refusal,
    secret::{ExposeSecret, constant_time_eq},
    throttle::KNOWN_BROWSERS_ONLY_AFTER,
    username,
};
use doorward_store::failures::{Counter, Reservation, ReserveAttempt, SettleAttempt};
use http::HeaderMap;

use crate::{
    app::App,
    http::{Origin, cookies::Cookie},
};

/// For how long a browser is remembered as one that signed in.
pub(crate) const DEVICE_LIFETIME: Duration = Duration::from_secs(365 * 86_400);

/// The counters of one attempt; an attempt that was let through is counted until it is settled.
#[derive(Debug)]
pub(crate) struct Attempt {
    name: String,
    address: String,
    device: Option<String>,
}

impl Attempt {
    /// Counts an attempt, or refuses it.
    pub(crate) async fn reserve(
        app: &App,
        origin: &Origin,
        headers: &HeaderMap,
        username: &str,
        user: Option<&UserId>,
    ) -> Result<Self, Refusal> {
        let device = user.and_then(|user| known_device(app, headers, user));
        let attempt = Self {
            name: name_subject(app, username),
            address: format!("address/{}", Network::of(origin.address)),
            device,
        };
        let throttle = &app.settings.throttle;
        let counter = |subject: &str, free, most_in_a_row| Counter { subject: subject.to_owned(), free, most_in_a_row };
        let by_name = throttle.free_failures_per_name;
        let counters = match &attempt.device {
            Some(device) => vec![counter(device, by_name, None)],
            None => vec![
                counter(&attempt.name, by_name, Some(KNOWN_BROWSERS_ONLY_AFTER)),
                counter(&attempt.address, throttle.free_failures_per_address, None),
            ],
        };
        let operation = ReserveAttempt { counters, max_wait: throttle.max_wait, now: app.now() };
        let refused = |why: &str, wait| Err(Refusal::new(Denial::SignInThrottled).fact("why", why).retry_after(wait));
        match app.write(operation).await? {
            Reservation::Go => Ok(attempt),
            Reservation::Wait(wait) => refused("too many failures", wait),
            Reservation::Closed => refused("a hundred failures in a row; known browsers only", throttle.max_wait),
        }
    }

    /// The attempt was the owner's: his counters start anew, and the address gets the attempt back.
    pub(crate) async fn succeeded(self, app: &App) -> Result<(), Refusal> {
        let (clear, give_back) = match self.device {
            Some(device) => (vec![self.name, device], vec![]),
            None => (vec![self.name], vec![self.address]),
        };
        app.write(SettleAttempt { clear, give_back }).await
    }

    /// The attempt was not looked at: every counter gets it back.
    pub(crate) async fn was_not_tried(self, app: &App) -> Result<(), Refusal> {
        let give_back = match self.device {
            Some(device) => vec![device],
            None => vec![self.name, self.address],
        };
        app.write(SettleAttempt { clear: vec![], give_back }).await
    }
}

/// The counters that a new password clears.
pub(crate) fn subjects_of_name(app: &App, username: &str) -> Vec<String> {
    let name = username::fold(username);
    app.candidates(&format!("name/{name}")).iter().map(|digest| subject("name", &digest.digest)).collect()
}

/// Says that this browser signed in to this account: `user.random.mac`.
pub(crate) fn device_cookie(app: &App, user: &UserId) -> String {
    let random = checksummed::random_text(22, &*app.rng);
    let text = format!("{user}.{}", random.expose_secret());
    let mac = app.peppers.digest(&format!("device/{text}")).digest;
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(mac.as_bytes()))
}

/// The counter of a browser that signed in to this account before.
fn known_device(app: &App, headers: &HeaderMap, user: &UserId) -> Option<String> {
    let cookie = Cookie::Device.read(app, headers)?;
    let (text, mac) = cookie.rsplit_once('.')?;
    let (of, random) = text.split_once('.')?;
    let is_valid = app.candidates(&format!("device/{text}")).iter().any(|candidate| {
        constant_time_eq(URL_SAFE_NO_PAD.encode(candidate.digest.as_bytes()).as_bytes(), mac.as_bytes())
    });
    (is_valid && of == user.as_str()).then(|| format!("device/{random}"))
}

/// A name stands as a digest: people type passwords into the field for names.
fn name_subject(app: &App, username: &str) -> String {
    subject("name", &app.peppers.digest(&format!("name/{}", username::fold(username))).digest)
}

fn subject(kind: &str, digest: &doorward_core::digest::Digest) -> String {
    format!("{kind}/{}", URL_SAFE_NO_PAD.encode(digest.as_bytes()))
}
