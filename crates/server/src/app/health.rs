//! Whether this server can serve, check by check.
//!
//! Easy to get wrong: anyone may ask, so an answer costs at most one write of the database in a second, and names causes
//! without what only the log should say.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use doorward_store::health::ProbeWrite;
use tokio::{sync::Mutex, time::Instant};

use super::{App, TaskHealth};

/// How long an attempt to write counts.
const PROBE_EVERY: Duration = Duration::from_secs(1);

/// What is known of a server's health.
#[derive(Debug, Default)]
pub(crate) struct Health {
    tasks: Arc<TaskHealth>,
    is_ending: AtomicBool,
    last_probe: Mutex<Option<(Instant, Result<(), &'static str>)>>,
}

/// The checks, each with its error.
pub(crate) type Checks = [(&'static str, Result<(), String>); 4];

impl App {
    /// From now on reports that this server is not ready, so that it gets no new requests. It still answers those that
    /// come.
    pub fn begin_to_end(&self) {
        self.health.is_ending.store(true, Ordering::Relaxed);
    }

    /// How the background tasks are, to have others supervised with them.
    pub fn task_health(&self) -> Arc<TaskHealth> {
        self.health.tasks.clone()
    }

    pub(crate) async fn checks(&self) -> Checks {
        let is_ending = self.health.is_ending.load(Ordering::Relaxed);
        let failing = self.health.tasks.failing();
        [
            ("database", self.can_write().await.map_err(str::to_owned)),
            ("changes", self.check_followed().map_err(|stale| stale.to_string())),
            ("tasks", if failing.is_empty() { Ok(()) } else { Err(format!("{} keeps ending", failing.join(", "))) }),
            ("shutdown", if is_ending { Err("has begun".to_owned()) } else { Ok(()) }),
        ]
    }

    /// Whether the database takes a write. One caller at a time asks it; the others get that answer.
    async fn can_write(&self) -> Result<(), &'static str> {
        let mut last = self.health.last_probe.lock().await;
        if let Some((at, outcome)) = *last
            && at.elapsed() < PROBE_EVERY
        {
            return outcome;
        }
        let outcome = self.store.write(ProbeWrite { now: self.now() }).await.map_err(|error| {
            tracing::error!(%error, "the database accepts no writes: this server is not ready");
            "takes no writes"
        });
        *last = Some((Instant::now(), outcome));
        outcome
    }
}
