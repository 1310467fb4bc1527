//! Slowing down guesses at passwords: which counters an attempt has.
//!
//! Attempts are counted by the submitted name, whether it exists or not, and by address. A browser that signed in to
//! the account before has a counter of its own instead, so that nobody else can keep the owner out. All such browsers
//! of an account share one more, so that many of them are no way around. After very many failures in a row of a name,
//! its attempts have a slow pace: one at a time, and fewer for each network, so that the owner's is among them.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use doorward_core::{
    denial::Denial,
    digest::Digest,
    network::Network,
    refusal::Refusal,
    throttle::{DECAY, FREE_BROWSERS, SLOW_AFTER, SLOW_PACE},
    username,
};
use doorward_store::failures::{Counter, Lane, Reservation, ReserveAttempt, SettleAttempt, Slow};

use crate::{app::App, browser::device::KnownBrowser, origin::Origin, passwords::Parties};

/// The counters of one attempt; an attempt that was let through is counted until it is settled.
#[derive(Debug)]
pub(crate) struct Attempt {
    name: String,
    address: String,
    browser: Option<KnownBrowser>,
    lanes: Vec<Lane>,
}

impl Attempt {
    /// Counts an attempt, or refuses it: a durable write, so an attempt has its turn first. `browser` is one that signed in
    /// to the account before.
    pub(crate) async fn reserve(
        app: &App,
        origin: &Origin,
        username: &str,
        browser: Option<KnownBrowser>,
    ) -> Result<Self, Refusal> {
        let max_wait = app.settings.throttle.max_wait;
        let (digest, network) = (name_digest(app, username), Network::of(origin.address));
        let of_all = subject("slow", &digest);
        let of_network = Lane { subject: format!("{of_all}/{network}"), pace: max_wait.min(DECAY) };
        let attempt = Self {
            name: subject("name", &digest),
            address: format!("address/{network}"),
            browser,
            lanes: vec![Lane { subject: of_all, pace: SLOW_PACE.min(max_wait) }, of_network],
        };
        let refused = |why: &str, wait| Err(Refusal::new(Denial::SignInThrottled).fact("why", why).retry_after(wait));
        match app.write(ReserveAttempt { counters: attempt.counters(app), max_wait, now: app.now() }).await? {
            Reservation::Go => Ok(attempt),
            Reservation::Wait(wait) => refused("too many failures", wait),
            Reservation::Slow(wait) => {
                refused("too many failures in a row: one attempt at a time until one succeeds", wait)
            }
        }
    }

    fn counters(&self, app: &App) -> Vec<Counter> {
        let throttle = &app.settings.throttle;
        let counter = |subject: &str, free, slow| Counter { subject: subject.to_owned(), free, slow };
        let by_name = throttle.free_failures_per_name;
        match &self.browser {
            Some(browser) => vec![
                counter(&browser.own, by_name, None),
                counter(&browser.of_account, by_name.saturating_mul(FREE_BROWSERS), None),
            ],
            None => {
                let slow = Slow { after: SLOW_AFTER, lanes: self.lanes.clone() };
                vec![
                    counter(&self.name, by_name, Some(slow)),
                    counter(&self.address, throttle.free_failures_per_address, None),
                ]
            }
        }
    }

    /// The attempt was the owner's: the owner's counters start again, and the shared ones get the attempt back.
    pub(crate) async fn succeeded(self, app: &App) -> Result<(), Refusal> {
        let (clear, give_back) = match self.browser {
            Some(browser) => (vec![self.name, browser.own], vec![browser.of_account]),
            None => (vec![self.name], vec![self.address]),
        };
        app.write(SettleAttempt { clear, give_back }).await
    }

    /// Takes the attempt back at every counter: no password was looked at.
    pub(crate) async fn cancel(self, app: &App) -> Result<(), Refusal> {
        let give_back = match self.browser {
            Some(browser) => vec![browser.own, browser.of_account],
            None => vec![self.address, self.name],
        };
        let clear = self.lanes.into_iter().map(|lane| lane.subject).collect();
        app.write(SettleAttempt { clear, give_back }).await
    }
}

/// Who waits for a turn where passwords are hashed: an account that is known, or a name from somewhere.
pub(crate) fn parties(app: &App, origin: &Origin, username: &str, browser: Option<&KnownBrowser>) -> Parties {
    match browser {
        Some(browser) => Parties::known(browser.of_account.clone()),
        None => Parties::stranger(subject("name", &name_digest(app, username)), Network::of(origin.address)),
    }
}

/// The counters that a new password clears.
pub(crate) fn subjects_of_name(app: &App, username: &str) -> Vec<String> {
    let name = username::counted_as(username);
    app.candidates(&format!("name/{name}")).iter().map(|digest| subject("name", &digest.digest)).collect()
}

/// A name is stored as a digest: people type passwords into the name field.
fn name_digest(app: &App, username: &str) -> Digest {
    app.peppers.digest(&format!("name/{}", username::counted_as(username))).digest
}

fn subject(kind: &str, digest: &Digest) -> String {
    format!("{kind}/{}", URL_SAFE_NO_PAD.encode(digest.as_bytes()))
}
