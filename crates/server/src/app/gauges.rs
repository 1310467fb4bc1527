//! What a server holds at the moment in which its metrics are asked for.

use doorward_store::{Connections, Load};
use metrics::{counter, gauge};

use super::{App, health::Checks};
use crate::metrics::names;

impl App {
    /// The metrics in Prometheus's text format. `checks` are those of readiness, unless they took too long.
    pub(crate) fn metrics_text(&self, checks: Option<Checks>) -> String {
        self.metrics.render(|| {
            ready(checks);
            read(self);
        })
    }
}

fn ready(checks: Option<Checks>) {
    match checks {
        Some(checks) => {
            for (check, outcome) in checks {
                gauge!(names::READY, "check" => check).set(f64::from(u8::from(outcome.is_ok())));
            }
        }
        // The only check that waits.
        None => gauge!(names::READY, "check" => "database").set(0),
    }
}

/// Reads everything that is not counted as it happens.
fn read(app: &App) {
    gauge!(names::BUILD, "version" => env!("CARGO_PKG_VERSION")).set(1);
    store(&app.store.load());
    gauge!(names::CHANGES_AGE).set(app.caches.last_read.age_in_any_case());
    for cache in app.caches.load() {
        gauge!(names::CACHE_ENTRIES, "cache" => cache.name).set(count(cache.entries));
        gauge!(names::CACHE_CAPACITY, "cache" => cache.name).set(count(cache.capacity));
        counter!(names::CACHE_HITS, "cache" => cache.name).absolute(cache.hits);
        counter!(names::CACHE_MISSES, "cache" => cache.name).absolute(cache.misses);
    }
    counter!(names::HASHES).absolute(app.passwords.computed() as u64);
    gauge!(names::HASHES_WAITING).set(count(app.passwords.waiting()));
    gauge!(names::AUDIT_WAITING).set(count(app.audit_queue.waiting()));
    counter!(names::AUDIT_DROPPED).absolute(app.audit_queue.dropped());
    let bounds = app.settings.audit.bounds();
    for (name, most) in [
        (names::AUDIT_EVENTS_MAX, bounds.rows),
        (names::AUDIT_BYTES_MAX, bounds.bytes),
        (names::AUDIT_REFUSALS_MAX, bounds.refusals),
    ] {
        gauge!(name).set(count(usize::try_from(most).unwrap_or_default()));
    }
    for (task, ends) in app.task_health().ends() {
        counter!(names::TASK_ENDS, "task" => task).absolute(ends);
    }
    // What can't be read keeps its last value, such as the number of open files when there is none left to read it with.
    for unreadable in ["process_open_fds", "process_resident_memory_bytes"] {
        gauge!(unreadable).set(f64::NAN);
    }
    metrics_process::Collector::default().collect();
}

fn store(load: &Load) {
    gauge!(names::STORE_WAITING).set(count(load.waiting));
    counter!(names::STORE_COMMITS).absolute(load.commits);
    counter!(names::STORE_COMMITTED).absolute(load.committed_operations);
    if let Some(Connections { in_use, idle, most }) = load.connections {
        for (state, connections) in [("in_use", in_use), ("idle", idle)] {
            gauge!(names::STORE_CONNECTIONS, "state" => state).set(count(connections));
        }
        gauge!(names::STORE_CONNECTIONS_MAX).set(count(most));
    }
}

/// Exact up to 2^53, which nothing here comes near.
#[expect(clippy::cast_precision_loss, reason = "small numbers")]
fn count(number: usize) -> f64 {
    number as f64
}
