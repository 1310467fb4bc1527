//! The public keys of GitHub's secret scanning, fetched when a message names one that is not known.
//!
//! Easy to get wrong: anybody can name a key that is not known. So they are fetched at most once a minute.

use std::{sync::Arc, time::Duration};

use doorward_core::{clock::Timestamp, denial::Denial, partner_alerts::PartnerKeys, refusal::Refusal};
use http_body_util::{BodyExt, Limited};
use reqwest::{Client, redirect};
use tokio::sync::Mutex;

use super::App;

/// The whole request for the keys.
const TIMEOUT: Duration = Duration::from_secs(5);
/// How long no other request follows.
const PAUSE: Duration = Duration::from_secs(60);
/// The longest answer, in bytes. Today it has about 500.
const MOST_BYTES: usize = 65_536;

/// What was fetched last.
#[derive(Debug, Default)]
pub(crate) struct GithubKeys(Mutex<Fetched>);

#[derive(Debug, Default)]
struct Fetched {
    keys: Option<Arc<PartnerKeys>>,
    at: Option<Timestamp>,
}

impl App {
    /// GitHub's public keys, among which the one of this identifier should be.
    ///
    /// # Errors
    /// [`Denial::PartnerSignatureInvalid`] if the operator has not turned this on, and [`Denial::Unavailable`] if the keys
    /// can't be fetched.
    pub(crate) async fn github_keys(&self, identifier: &str) -> Result<Arc<PartnerKeys>, Refusal> {
        let Some(url) = &self.settings.leaks.github_keys_url else {
            return Err(Refusal::new(Denial::PartnerSignatureInvalid).fact("why", "leaks.github_keys_url is not set"));
        };
        let (mut fetched, now) = (self.github_keys.0.lock().await, self.now());
        let known = fetched.keys.clone().filter(|keys| keys.has(identifier));
        // A time that lies ahead is that of a clock that was set back.
        let is_young = fetched.at.is_some_and(|at| at <= now && now.since(at) < PAUSE);
        match (known, &fetched.keys) {
            (Some(keys), _) => return Ok(keys),
            (None, Some(keys)) if is_young => return Ok(keys.clone()),
            (None, None) if is_young => return Err(unreachable_keys("asked less than a minute ago")),
            (None, _) => {}
        }
        fetched.at = Some(now);
        let keys = Arc::new(fetch(url).await.map_err(unreachable_keys)?);
        fetched.keys = Some(keys.clone());
        Ok(keys)
    }
}

fn unreachable_keys(why: impl std::fmt::Display) -> Refusal {
    Refusal::new(Denial::Unavailable).fact("leaks.github_keys_url", why).retry_after(PAUSE)
}

async fn fetch(url: &str) -> Result<PartnerKeys, String> {
    let client = Client::builder()
        .timeout(TIMEOUT)
        .redirect(redirect::Policy::none())
        .user_agent(concat!("doorward/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| error.to_string())?;
    let answer = client.get(url).send().await.and_then(reqwest::Response::error_for_status);
    let body = reqwest::Body::from(answer.map_err(|error| error.without_url().to_string())?);
    let document = Limited::new(body, MOST_BYTES).collect().await.map_err(|error| error.to_string())?;
    PartnerKeys::parse(&document.to_bytes()).map_err(|error| error.to_string())
}
