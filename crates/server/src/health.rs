//! Whether the process works, and whether it can serve: what orchestrators and load balancers ask.
//!
//! Live means that the process answers; only a restart helps when it does not. Ready means that requests may come: the
//! database takes writes, the log of changes is followed, no background task keeps ending, and no shutdown has begun.
//!
//! Easy to get wrong: anybody may ask, so an answer costs at most one write of the database in a second, and names causes
//! without what only the log should say.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{Router, body::Body, extract::State, routing::get};
use doorward_store::health::ProbeWrite;
use http::{HeaderValue, Response, StatusCode, header::CACHE_CONTROL};
use serde_json::{Map, Value, json};
use tokio::{sync::Mutex, time::Instant};

use crate::{app::App, tasks::TaskHealth, web::respond};

/// How long an attempt to write counts.
const PROBE_EVERY: Duration = Duration::from_secs(1);

/// What is known of a server's health.
#[derive(Debug, Default)]
pub(crate) struct Health {
    pub(crate) tasks: Arc<TaskHealth>,
    is_ending: AtomicBool,
    last_probe: Mutex<Option<(Instant, Result<(), &'static str>)>>,
}

/// `/health/live`, `/health/ready`, and `/health`, which is the latter.
pub(crate) fn routes() -> Router<Arc<App>> {
    Router::new().route("/health/live", get(live)).route("/health/ready", get(ready)).route("/health", get(ready))
}

impl App {
    /// Says from now on that this server is not ready, so that no new request is sent to it. Requests are answered all
    /// the same.
    pub fn begin_to_end(&self) {
        self.health.is_ending.store(true, Ordering::Relaxed);
    }

    /// How the background tasks are, to have others supervised with them.
    pub fn task_health(&self) -> Arc<TaskHealth> {
        self.health.tasks.clone()
    }

    async fn checks(&self) -> [(&'static str, Result<(), String>); 4] {
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
            tracing::error!(%error, "the database takes no writes: this server is not ready");
            "takes no writes"
        });
        *last = Some((Instant::now(), outcome));
        outcome
    }
}

async fn live() -> Response<Body> {
    answer(StatusCode::OK, json!({"status": "live"}))
}

async fn ready(State(app): State<Arc<App>>) -> Response<Body> {
    let checks = app.checks().await;
    let is_ready = checks.iter().all(|(_, outcome)| outcome.is_ok());
    let checks: Map<String, Value> = checks
        .into_iter()
        .map(|(name, outcome)| (name.to_owned(), outcome.err().unwrap_or_else(|| "ok".to_owned()).into()))
        .collect();
    match is_ready {
        true => answer(StatusCode::OK, json!({"status": "ready", "checks": checks})),
        false => answer(StatusCode::SERVICE_UNAVAILABLE, json!({"status": "not_ready", "checks": checks})),
    }
}

fn answer(status: StatusCode, body: Value) -> Response<Body> {
    let mut response = respond::value(status, &body);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
