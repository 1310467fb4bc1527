//! The server on a filled database, in this process, with a guard before an API: what a program has that embeds both.

use std::{
    fs,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, ensure};
use doorward_guard::{Guard, Requirement, ResourceIdentifier, SystemClock, SystemRng, scope};
use doorward_server::{App, Settings, app::Components, metrics::Metrics, tasks::Tasks, verify::LocalVerifier};
use doorward_store::Store;
use http::{Request, request::Parts};

use super::fill::Filled;
use crate::{
    fill,
    load::Times,
    site::{self, API},
};

pub(super) struct Opened {
    pub(super) app: Arc<App>,
    tasks: Tasks,
    guard: Guard,
    requirement: Requirement,
}

/// How many keys the caches have room for.
#[derive(Clone, Copy)]
pub(super) enum Room {
    /// As a server has by default.
    Default,
    Entries(usize),
}

impl Opened {
    pub(super) async fn new(folder: &Path, filled: &Filled, room: Room) -> Result<Self> {
        let issuer = filled.issuer();
        let mut settings = Settings::new(&issuer);
        if let Room::Entries(entries) = room {
            settings.limits.cache_entries = entries;
        }
        let app = App::open(Components {
            settings,
            store: Store::open(&site::location(folder, filled.postgres.as_deref())).await?,
            clock: Arc::new(SystemClock),
            rng: Arc::new(SystemRng::default()),
            master_keys: vec![site::master_key(folder)?],
            metrics: Metrics::default(),
        });
        let app = app.await?;
        let tasks = Tasks::start(&app).await.map_err(|error| anyhow!("{error}"))?;
        let audience = ResourceIdentifier::parse(API).ok().context("the API has an identifier")?;
        let verifier = LocalVerifier::new(app.clone(), audience.clone());
        let guard = Guard::with_verifier(issuer, audience, Arc::new(verifier)).build()?;
        Ok(Self { app, tasks, guard, requirement: scope("notes:read") })
    }

    /// How long each request took to be admitted.
    pub(super) async fn admits(&self, requests: &[Parts]) -> Result<Times> {
        self.time(requests, true).await
    }

    /// How long each request took to be refused.
    pub(super) async fn refuses(&self, requests: &[Parts]) -> Result<Times> {
        self.time(requests, false).await
    }

    async fn time(&self, requests: &[Parts], is_good: bool) -> Result<Times> {
        let mut times = Vec::with_capacity(requests.len());
        for request in requests {
            let start = Instant::now();
            let is_admitted = self.guard.authorize(request, &self.requirement).await.is_ok();
            times.push(start.elapsed());
            ensure!(is_admitted == is_good, "a key was {}", if is_admitted { "admitted" } else { "refused" });
        }
        Ok(Times::new(times))
    }

    pub(super) async fn stop(self) {
        self.tasks.stop().await;
        self.app.store.clone().close().await;
    }
}

/// A request with the key of each number.
pub(super) fn requests(numbers: impl Iterator<Item = u64>) -> Result<Vec<Parts>> {
    numbers.map(|number| request(&fill::key(number))).collect()
}

/// A request to the API with a key.
pub(super) fn request(key: &str) -> Result<Parts> {
    Ok(Request::builder().uri("/notes").header("x-api-key", key).body(())?.into_parts().0)
}

/// The memory of this process that is in use, in KiB (proc_pid_status(5)).
pub(super) fn resident_kib() -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).context("no VmRSS")
}

/// How long one look at the clock takes, which is in every time that is measured.
pub(super) fn clock() -> Duration {
    const LOOKS: u32 = 100_000;
    let start = Instant::now();
    for _ in 0..LOOKS {
        std::hint::black_box(Instant::now());
    }
    start.elapsed() / LOOKS
}
