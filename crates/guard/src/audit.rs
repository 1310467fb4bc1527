//! Where refusals are reported, so that `doorward explain` knows the API's as well as the server's.
//!
//! Telling must never delay or fail an answer: a sink takes the event and returns at once.

use doorward_core::{event::RefusalEvent, legacy::LegacyUse};

use crate::verifier::BoxFuture;

/// Takes refusals.
pub trait AuditSink: Send + Sync + 'static {
    /// Takes one refusal. Must not block: what can't be taken is counted and dropped.
    fn refused(&self, event: RefusalEvent);

    /// Takes one use of a legacy way, or several equal ones. By default it goes to the log, as [`LogSink`] writes it.
    fn legacy_used(&self, used: LegacyUse) {
        LogSink.legacy_used(used);
    }

    /// Waits until what was taken has arrived, as far as one attempt can. Called when the program ends.
    fn flush(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }
}

/// Writes each refusal to the log: a line of JSON at the target `doorward::refusal`, which
/// `doorward explain --log FILE TRACE_ID` reads. What a guard does by default.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogSink;

impl AuditSink for LogSink {
    fn refused(&self, event: RefusalEvent) {
        match serde_json::to_string(&event) {
            Ok(line) => tracing::info!(target: "doorward::refusal", "{line}"),
            Err(error) => {
                tracing::error!(target: "doorward::refusal", trace_id = %event.trace_id, %error, "not written")
            }
        }
    }
    fn legacy_used(&self, used: LegacyUse) {
        let LegacyUse { way, key, route, network, count, .. } = used;
        tracing::warn!(target: "doorward::legacy", %way, key, route, network, count, "a key came by a legacy way");
    }
}
