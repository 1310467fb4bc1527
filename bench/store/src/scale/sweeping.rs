//! Removing many rows that have ended: how soon a server is ready that finds them, and what callers notice meanwhile.

use std::time::{Duration, Instant};

use anyhow::Result;
use serde::de::IgnoredAny;
use tokio::time::sleep;

use super::{
    Filled,
    ending::{Endings, WARM_UP, usual},
    median,
};
use crate::{
    fill,
    load::{Others, Times},
    sign_in::now,
    template::Ask,
};

pub(super) struct Sweeping {
    /// Milliseconds until a server was ready that found what was to be removed.
    pub(super) ready_ms: f64,
    /// How many families were removed while callers were at work.
    pub(super) removed: u64,
    pub(super) time: Duration,
    /// How long callers waited meanwhile.
    pub(super) others: Times,
}

pub(super) async fn measure(filled: &Filled, ended: u64, before: &Endings) -> Result<Sweeping> {
    let (site, size) = (&filled.site, filled.size);
    let store = site.store().await?;
    // Nobody could sign in as the user who is disabled.
    site.command::<IgnoredAny>("user enable busy").await?;
    fill::fill_ended(site, &store, size.grants..size.grants + ended).await?;
    super::settle(site, &store).await?;
    let mut ready = Vec::new();
    for _ in 1..STARTS {
        let (server, time) = site.start().await?;
        ready.push(time.as_secs_f64() * 1e3);
        server.stop().await?;
    }
    let (server, time) = site.start().await?;
    ready.push(time.as_secs_f64() * 1e3);
    let waiting = async || {
        let sql = "SELECT count(*) FROM refresh_families WHERE expires_at < $1";
        let since = now().minus(Duration::from_secs(86_400)).into();
        let mut rows = store.read(Ask { sql, params: vec![since] }).await?;
        Ok::<_, anyhow::Error>(rows.first_mut().map_or(Ok(0), doorward_store::Row::int)?)
    };
    // What is done once at the beginning is not what sweeping costs.
    let (_, tokens) = usual(filled, &server, before.tokens.clone(), WARM_UP).await?;
    let (first, start) = (waiting().await?, Instant::now());
    let others = Others::start(&server, &filled.refresh(&site.others), tokens);
    let mut left = first;
    while left > 0 && start.elapsed() < WATCHED {
        sleep(Duration::from_millis(200)).await;
        left = waiting().await?;
    }
    let time = start.elapsed();
    let (others, _) = others.end().await?;
    server.stop().await?;
    store.close().await;
    Ok(Sweeping { ready_ms: median(ready), removed: u64::try_from(first - left)?, time, others })
}

const STARTS: u32 = 3;
/// Sweeping may take longer than that.
const WATCHED: Duration = Duration::from_secs(45);
