//! Slowing down guesses at passwords: which counters an attempt has.
//!
//! By the submitted name, whether it exists or not, and by address. A browser that signed in to the account before has
//! a counter of its own instead, so that no stranger can keep the owner out.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use doorward_core::{
    denial::Denial, digest::Digest, network::Network, refusal::Refusal, throttle::KNOWN_BROWSERS_ONLY_AFTER, username,
};
use doorward_store::failures::{Counter, Reservation, ReserveAttempt, SettleAttempt};

use crate::{app::App, origin::Origin};

/// The counters of one attempt; an attempt that was let through is counted until it is settled.
#[derive(Debug)]
pub(crate) struct Attempt {
    name: String,
    address: String,
    device: Option<String>,
}

impl Attempt {
    /// Counts an attempt, or refuses it. `device` is the counter of a browser that signed in to the account before.
    pub(crate) async fn reserve(
        app: &App,
        origin: &Origin,
        username: &str,
        device: Option<String>,
    ) -> Result<Self, Refusal> {
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

    /// Takes the attempt back at every counter: no password was looked at.
    pub(crate) async fn cancel(self, app: &App) -> Result<(), Refusal> {
        let give_back = match self.device {
            Some(device) => vec![device],
            None => vec![self.name, self.address],
        };
        app.write(SettleAttempt { clear: vec![], give_back }).await
    }
}

/// The counters that a new password clears.
pub(crate) fn subjects_of_name(app: &App, username: &str) -> Vec<String> {
    let name = username::counted_as(username);
    app.candidates(&format!("name/{name}")).iter().map(|digest| subject("name", &digest.digest)).collect()
}

/// A name stands as a digest: people type passwords into the field for names.
fn name_subject(app: &App, username: &str) -> String {
    subject("name", &app.peppers.digest(&format!("name/{}", username::counted_as(username))).digest)
}

fn subject(kind: &str, digest: &Digest) -> String {
    format!("{kind}/{}", URL_SAFE_NO_PAD.encode(digest.as_bytes()))
}
