//! Prometheus metrics: what an operator watches.
//!
//! Nothing is measured unless metrics are turned on. Events are counted as they happen; what the server holds at a moment
//! is read when somebody asks (`App::metrics_text`).
//!
//! Easy to get wrong: a label that a caller can choose lets anybody add series until the memory is full. Labels are routes,
//! methods of HTTP, statuses, denial codes and other words of this program only, never ids, paths or addresses.

use std::{fmt, sync::Arc, time::Duration};

use doorward_core::{audit_bounds::AuditSize, client::GrantType, denial::Denial};
use http::StatusCode;
use metrics::{counter, gauge, histogram, with_local_recorder};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusRecorder};

use crate::origin::Origin;

pub(crate) mod names;

/// What is measured of one server; nothing by default. Clones share it.
#[derive(Clone, Default)]
pub struct Metrics(Option<Arc<PrometheusRecorder>>);

/// Upper bounds of the buckets of durations, in seconds: from a cached verification to a timeout.
const SECONDS: [f64; 14] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Counters whose labels are known begin at 0, so that the first event counts as an increase. What a task measures is not a
/// number before it has.
fn begin_at_zero() {
    counter!(names::SERVER_ERRORS).absolute(0);
    for denial in Denial::ALL {
        counter!(names::REFUSALS, "code" => denial.code()).absolute(0);
    }
    for denial in Denial::ALL.iter().filter(|denial| denial.is_of_a_guard()) {
        counter!(names::REPORTED_REFUSALS, "code" => denial.code()).absolute(0);
    }
    for grant_type in GrantType::ALL {
        counter!(names::TOKENS, "grant_type" => grant_type.as_str()).absolute(0);
    }
    for outcome in ["delivered", "failed", "dead"] {
        counter!(names::WEBHOOK_ATTEMPTS, "outcome" => outcome).absolute(0);
    }
    for name in [names::AUDIT_EVENTS, names::AUDIT_BYTES, names::AUDIT_REFUSALS, names::WEBHOOKS_WAITING] {
        gauge!(name).set(f64::NAN);
    }
}

impl Metrics {
    /// Metrics that are turned on.
    pub fn on() -> Self {
        let builder = PrometheusBuilder::new().set_buckets(&SECONDS).expect("there are buckets");
        let recorder = builder.build_recorder();
        names::describe(&recorder);
        with_local_recorder(&recorder, || {
            metrics_process::Collector::default().describe();
            begin_at_zero();
        });
        Self(Some(Arc::new(recorder)))
    }

    pub(crate) fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// A request that was answered.
    pub(crate) fn answered(&self, origin: &Origin, status: StatusCode, took: Duration) {
        let route = origin.route().unwrap_or("none");
        let is_error = status.is_server_error() && !route.starts_with("/health");
        let status = status.as_u16().to_string();
        self.record(|| {
            if is_error {
                counter!(names::SERVER_ERRORS).increment(1);
            }
            counter!(names::REQUESTS, "route" => route.to_owned(), "method" => origin.known_method(), "status" => status)
                .increment(1);
            histogram!(names::REQUEST_DURATION, "route" => route.to_owned()).record(took);
        });
    }

    /// A request that this server refused.
    pub(crate) fn refused(&self, denial: Denial) {
        self.record(|| counter!(names::REFUSALS, "code" => denial.code()).increment(1));
    }

    /// Requests that the guard of an API refused and reported.
    pub(crate) fn reported(&self, denial: Denial, count: u32) {
        self.record(|| counter!(names::REPORTED_REFUSALS, "code" => denial.code()).increment(count.into()));
    }

    /// An access token that was issued.
    pub(crate) fn issued(&self, grant_type: GrantType) {
        self.record(|| counter!(names::TOKENS, "grant_type" => grant_type.as_str()).increment(1));
    }

    /// An API key that was verified: `valid`, or the code of the denial.
    pub(crate) fn verified_key(&self, outcome: &'static str) {
        self.record(|| counter!(names::KEYS, "outcome" => outcome).increment(1));
    }

    /// An attempt to deliver a webhook: `delivered`, `failed` and to be tried again, or `dead`.
    pub(crate) fn delivered_webhook(&self, outcome: &'static str) {
        self.record(|| counter!(names::WEBHOOK_ATTEMPTS, "outcome" => outcome).increment(1));
    }

    /// The deliveries of webhooks that wait.
    pub(crate) fn webhooks_waiting(&self, waiting: i64) {
        #[expect(clippy::cast_precision_loss, reason = "exact up to 2^53")]
        self.record(|| gauge!(names::WEBHOOKS_WAITING).set(waiting as f64));
    }

    /// An operation of the store.
    pub(crate) fn stored(&self, kind: &'static str, took: Duration) {
        self.record(|| histogram!(names::STORE_DURATION, "kind" => kind).record(took));
    }

    /// Rows that had ended and were removed, if there were any.
    pub(crate) fn swept(&self, kind: &'static str, rows: u64) {
        if rows > 0 {
            self.record(|| counter!(names::SWEPT, "kind" => kind).increment(rows));
        }
    }

    /// What the audit holds.
    pub(crate) fn audit_size(&self, size: AuditSize) {
        #[expect(clippy::cast_precision_loss, reason = "exact up to 2^53")]
        self.record(|| {
            gauge!(names::AUDIT_EVENTS).set(size.rows as f64);
            gauge!(names::AUDIT_BYTES).set(size.bytes as f64);
            gauge!(names::AUDIT_REFUSALS).set(size.refusals as f64);
        });
    }

    /// The days until the TLS certificate in use expires.
    pub fn certificate(&self, days_left: i64) {
        #[expect(clippy::cast_precision_loss, reason = "days are few")]
        self.record(|| gauge!(names::CERTIFICATE_DAYS).set(days_left as f64));
    }

    /// What is called now and then, so that what was measured takes bounded room while nobody asks.
    pub(crate) fn run_upkeep(&self) {
        if let Some(recorder) = &self.0 {
            recorder.handle().run_upkeep();
        }
    }

    fn record(&self, measure: impl FnOnce()) {
        if let Some(recorder) = &self.0 {
            with_local_recorder(&**recorder, measure);
        }
    }

    /// Everything, in Prometheus's text format, after `read` has measured what a server holds at this moment. Nothing if
    /// the metrics are off.
    pub(crate) fn render(&self, read: impl FnOnce()) -> String {
        self.record(read);
        self.0.as_ref().map(|recorder| recorder.handle().render()).unwrap_or_default()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}
