//! The metrics, each with its name, its kind and what it means. `docs/operators/observability.md` lists the same.

use metrics::Recorder;

pub(crate) const READY: &str = "doorward_ready";
pub(crate) const REQUESTS: &str = "doorward_http_requests_total";
pub(crate) const SERVER_ERRORS: &str = "doorward_http_server_errors_total";
pub(crate) const REQUEST_DURATION: &str = "doorward_http_request_duration_seconds";
pub(crate) const REFUSALS: &str = "doorward_refusals_total";
pub(crate) const REPORTED_REFUSALS: &str = "doorward_reported_refusals_total";
pub(crate) const TOKENS: &str = "doorward_access_tokens_issued_total";
pub(crate) const KEYS: &str = "doorward_keys_verified_total";
pub(crate) const STORE_DURATION: &str = "doorward_store_operation_duration_seconds";
pub(crate) const STORE_WAITING: &str = "doorward_store_waiting_operations";
pub(crate) const STORE_COMMITS: &str = "doorward_store_commits_total";
pub(crate) const STORE_COMMITTED: &str = "doorward_store_committed_operations_total";
pub(crate) const STORE_CONNECTIONS: &str = "doorward_store_connections";
pub(crate) const STORE_CONNECTIONS_MAX: &str = "doorward_store_connections_max";
pub(crate) const CHANGES_AGE: &str = "doorward_changes_age_seconds";
pub(crate) const CACHE_ENTRIES: &str = "doorward_cache_entries";
pub(crate) const CACHE_CAPACITY: &str = "doorward_cache_capacity";
pub(crate) const CACHE_HITS: &str = "doorward_cache_hits_total";
pub(crate) const CACHE_MISSES: &str = "doorward_cache_misses_total";
pub(crate) const HASHES: &str = "doorward_password_hashes_total";
pub(crate) const HASHES_WAITING: &str = "doorward_password_hashes_waiting";
pub(crate) const AUDIT_WAITING: &str = "doorward_audit_waiting_events";
pub(crate) const AUDIT_DROPPED: &str = "doorward_audit_dropped_events_total";
pub(crate) const AUDIT_EVENTS: &str = "doorward_audit_events";
pub(crate) const AUDIT_EVENTS_MAX: &str = "doorward_audit_events_max";
pub(crate) const AUDIT_BYTES: &str = "doorward_audit_bytes";
pub(crate) const AUDIT_BYTES_MAX: &str = "doorward_audit_bytes_max";
pub(crate) const AUDIT_REFUSALS: &str = "doorward_audit_refusals";
pub(crate) const AUDIT_REFUSALS_MAX: &str = "doorward_audit_refusals_max";
pub(crate) const SWEPT: &str = "doorward_swept_rows_total";
pub(crate) const TASK_ENDS: &str = "doorward_task_unexpected_ends_total";
pub(crate) const WEBHOOK_ATTEMPTS: &str = "doorward_webhook_attempts_total";
pub(crate) const WEBHOOKS_WAITING: &str = "doorward_webhook_deliveries_waiting";
pub(crate) const CERTIFICATE_DAYS: &str = "doorward_certificate_days_left";
pub(crate) const BUILD: &str = "doorward_build_info";

enum Kind {
    Counter,
    Gauge,
    Histogram,
}

use Kind::{Counter, Gauge, Histogram};

const METRICS: &[(&str, Kind, &str)] = &[
    (READY, Gauge, "1 if a check of readiness succeeds, else 0."),
    (REQUESTS, Counter, "Requests answered, by route, method and status."),
    (SERVER_ERRORS, Counter, "Requests answered with a status of 500 and above, without those for health checks."),
    (REQUEST_DURATION, Histogram, "Time from a request's head to its answer's head, by route."),
    (REFUSALS, Counter, "Requests refused by this server, by denial code."),
    (REPORTED_REFUSALS, Counter, "Requests refused by the guards of APIs and reported here, by denial code."),
    (TOKENS, Counter, "Access tokens issued, by grant type."),
    (KEYS, Counter, "API keys verified, by outcome: valid, or a denial code."),
    (STORE_DURATION, Histogram, "Time that an operation of the database takes, waiting included, by kind."),
    (STORE_WAITING, Gauge, "Operations that wait for the database."),
    (STORE_COMMITS, Counter, "Transactions committed. SQLite commits several operations at once."),
    (STORE_COMMITTED, Counter, "Operations committed. Divided by the commits: operations in one commit."),
    (STORE_CONNECTIONS, Gauge, "Connections to PostgreSQL that requests use, by state."),
    (STORE_CONNECTIONS_MAX, Gauge, "The most connections to PostgreSQL that there may be."),
    (CHANGES_AGE, Gauge, "Time since this server last read what others changed."),
    (CACHE_ENTRIES, Gauge, "Entries of a cache."),
    (CACHE_CAPACITY, Gauge, "The most entries that a cache holds."),
    (CACHE_HITS, Counter, "Look-ups that the cache answered."),
    (CACHE_MISSES, Counter, "Look-ups that went on to the database."),
    (HASHES, Counter, "Password hashes computed."),
    (HASHES_WAITING, Gauge, "Sign-ins that wait for a password hash."),
    (AUDIT_WAITING, Gauge, "Audit events that wait to be written."),
    (AUDIT_DROPPED, Counter, "Audit events lost because the queue was full."),
    (AUDIT_EVENTS, Gauge, "Events in the audit, as of the last sweep and without those of the last two minutes."),
    (AUDIT_EVENTS_MAX, Gauge, "The most events that the audit keeps."),
    (AUDIT_BYTES, Gauge, "Estimated size of the audit in the database, of the same events."),
    (AUDIT_BYTES_MAX, Gauge, "The most bytes that the audit keeps."),
    (AUDIT_REFUSALS, Gauge, "Refusals in the audit, of the same events."),
    (AUDIT_REFUSALS_MAX, Gauge, "The most refusals that the audit keeps."),
    (SWEPT, Counter, "Rows that had ended and were removed, by kind."),
    (TASK_ENDS, Counter, "How often a background task ended unexpectedly and was started again."),
    (WEBHOOK_ATTEMPTS, Counter, "Attempts to deliver a webhook, by outcome: delivered, failed, or dead."),
    (WEBHOOKS_WAITING, Gauge, "Deliveries of webhooks that wait for an attempt, as of the last sweep."),
    (CERTIFICATE_DAYS, Gauge, "Days until the TLS certificate in use expires; negative afterwards."),
    (BUILD, Gauge, "1, with the version as a label."),
];

pub(super) fn describe(recorder: &impl Recorder) {
    for (name, kind, meaning) in METRICS {
        // The names say their units.
        match kind {
            Counter => recorder.describe_counter((*name).into(), None, (*meaning).into()),
            Gauge => recorder.describe_gauge((*name).into(), None, (*meaning).into()),
            Histogram => recorder.describe_histogram((*name).into(), None, (*meaning).into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_metric_is_documented() {
        let page = include_str!("../../../../docs/operators/observability.md");
        let cells = page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`').map(|(name, _)| name));
        let documented: BTreeSet<_> = cells.filter(|name| name.starts_with("doorward_")).collect();
        assert_eq!(documented, METRICS.iter().map(|(name, ..)| *name).collect());
    }

    #[test]
    fn dashboard_and_alerts_name_only_metrics_that_exist() {
        let known: BTreeSet<_> = METRICS.iter().map(|(name, ..)| *name).collect();
        let page = include_str!("../../../../docs/operators/observability.md");
        let dashboard = include_str!("../../../../docs/operators/grafana-dashboard.json");
        assert!(serde_json::from_str::<serde_json::Value>(dashboard).unwrap()["panels"].as_array().unwrap().len() > 10);
        let rules = include_str!("../../../../docs/operators/prometheus-rules.yml");
        let alerts = page.split_once("## Alerts\n").unwrap().1.split("\n## ").next().unwrap();
        let rows = alerts.lines().filter(|line| line.starts_with("| ")).count();
        let expressions: Vec<_> = rules.lines().filter_map(|line| line.trim().strip_prefix("expr: ")).collect();
        assert_eq!(expressions.len(), rows - 1, "each row of the page but its head");
        for expression in expressions {
            assert!(alerts.contains(&format!("`{expression}`")), "the page has another expression than {expression}");
        }
        let words = [page, dashboard, rules]
            .into_iter()
            .flat_map(|text| text.split(|c: char| !c.is_alphanumeric() && c != '_'));
        for word in words.filter(|word| word.starts_with("doorward_")) {
            let name = word.strip_suffix("_bucket").unwrap_or(word);
            assert!(known.contains(name), "{word}");
        }
    }
}
