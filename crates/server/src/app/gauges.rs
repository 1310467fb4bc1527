//! What a server holds at the moment in which its metrics are asked for.

use doorward_store::{Connections, Load};
use metrics::{counter, gauge};

use super::App;
use crate::metrics::names;

impl App {
    /// The metrics in Prometheus's text format, if they are turned on.
    pub(crate) fn metrics_text(&self) -> Option<String> {
        self.metrics.as_ref().map(|metrics| metrics.render(|| read(self)))
    }
}

/// Reads everything that is not counted as it happens.
fn read(app: &App) {
    gauge!(names::BUILD, "version" => env!("CARGO_PKG_VERSION")).set(1);
    store(&app.store.load());
    if let Some(age) = app.changes_age() {
        gauge!(names::CHANGES_AGE).set(age);
    }
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
    for (task, ends) in app.task_health().ends() {
        counter!(names::TASK_ENDS, "task" => task).absolute(ends);
    }
    metrics_process::Collector::default().collect();
}

fn store(load: &Load) {
    gauge!(names::STORE_WAITING).set(count(load.waiting));
    counter!(names::STORE_COMMITS).absolute(load.commits);
    counter!(names::STORE_COMMITTED).absolute(load.committed_operations);
    if let Some(Connections { in_use, idle, most }) = load.connections {
        for (state, connections) in [("in_use", in_use), ("idle", idle), ("most", most)] {
            gauge!(names::STORE_CONNECTIONS, "state" => state).set(count(connections));
        }
    }
}

/// Exact up to 2^53, which nothing here comes near.
#[expect(clippy::cast_precision_loss, reason = "small numbers")]
fn count(number: usize) -> f64 {
    number as f64
}
