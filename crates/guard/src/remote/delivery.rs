//! Refusals on their way to the issuer, where `doorward explain` reads them, and uses of legacy ways, for its report.
//!
//! Taking one costs a push to a bounded queue. A quarter of a second after the first, all that came are posted as JSON
//! arrays. While the issuer is away they wait.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use doorward_core::{
    clock::Clock,
    event::RefusalEvent,
    legacy::{LegacyUse, LegacyUses},
    refusal::Refusal,
};
use tokio::sync::{Mutex as AsyncMutex, Notify};

use super::{
    fetch::FetchError, issuer::Issuer, trace_context::TraceContext, unavailable, waiting_refusals::WaitingRefusals,
};
use crate::{audit::AuditSink, verifier::BoxFuture};

/// The most refusals in one request, so that it stays below 64 KiB in all likelihood.
const BATCH_SIZE: usize = 50;
/// How long the first waits for others.
const BATCH_DELAY: Duration = Duration::from_millis(250);
/// How long to wait after a failure.
const RETRY: Duration = Duration::from_secs(1);

/// Delivers refusals to the issuer.
pub(crate) struct DeliverySink {
    queue: Arc<Queue>,
    has_task: AtomicBool,
}

struct Queue {
    issuer: Arc<Issuer>,
    clock: Arc<dyn Clock>,
    waiting: Mutex<WaitingRefusals>,
    uses: Mutex<LegacyUses>,
    delivering: AsyncMutex<()>,
    arrived: Arc<Notify>,
}

impl DeliverySink {
    pub(crate) fn new(issuer: Arc<Issuer>, clock: Arc<dyn Clock>) -> Self {
        let queue = Queue {
            issuer,
            clock,
            waiting: Mutex::default(),
            uses: Mutex::default(),
            delivering: AsyncMutex::default(),
            arrived: Arc::default(),
        };
        Self { queue: Arc::new(queue), has_task: AtomicBool::new(false) }
    }
}

impl AuditSink for DeliverySink {
    fn refused(&self, event: RefusalEvent) {
        self.queue.waiting().push(event);
        self.wake();
    }

    fn legacy_used(&self, used: LegacyUse) {
        self.queue.uses().push(used);
        self.wake();
    }

    fn flush(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            if let Err(refusal) = self.queue.deliver().await {
                let reason = refusal.facts.first().map(|(_, reason)| reason.as_str());
                let (waiting, uses) = (self.queue.waiting().len(), self.queue.uses().len());
                tracing::warn!(waiting, uses, reason, "refusals and uses of legacy ways were not delivered");
            }
        })
    }
}

impl DeliverySink {
    /// Has the task deliver what waits. The first call starts the task.
    fn wake(&self) {
        if !self.has_task.swap(true, Ordering::Relaxed) {
            tokio::spawn(deliver_as_they_come(Arc::downgrade(&self.queue), self.queue.arrived.clone()));
        }
        self.queue.arrived.notify_one();
    }
}

impl Drop for DeliverySink {
    fn drop(&mut self) {
        // Wakes the task, which then finds the queue gone.
        self.queue.arrived.notify_one();
    }
}

async fn deliver_as_they_come(queue: Weak<Queue>, arrived: Arc<Notify>) {
    loop {
        arrived.notified().await;
        tokio::time::sleep(BATCH_DELAY).await;
        let Some(queue) = queue.upgrade() else { return };
        if queue.deliver().await.is_err() {
            tokio::time::sleep(RETRY).await;
            arrived.notify_one();
        }
    }
}

impl Queue {
    /// Posts everything that waits. What could not be posted waits on.
    async fn deliver(&self) -> Result<(), Refusal> {
        let _one_at_a_time = self.delivering.lock().await;
        self.deliver_refusals().await?;
        self.deliver_uses().await
    }

    async fn deliver_refusals(&self) -> Result<(), Refusal> {
        loop {
            let batch = self.waiting().first(BATCH_SIZE);
            if batch.is_empty() {
                return Ok(());
            }
            let endpoints = self.issuer.endpoints(self.clock.now()).await?;
            match self.issuer.client().post_json(endpoints.refusals.clone(), &batch, &TraceContext::default()).await {
                Ok(_) => {}
                // It would be refused again, and hold up all that follow.
                Err(FetchError::Status(status @ (400 | 413 | 415 | 422))) => {
                    tracing::error!(
                        status,
                        dropped = batch.len(),
                        "the issuer can't read the refusals that were sent to it"
                    );
                }
                Err(error) => return Err(unavailable(error)),
            }
            self.waiting().delivered(batch.len());
        }
    }

    /// If an answer is lost, the uses are delivered again: the report may count too many, and never too few.
    async fn deliver_uses(&self) -> Result<(), Refusal> {
        let mut left = self.uses().take();
        while !left.is_empty() {
            let rest = left.split_off(left.len().min(BATCH_SIZE));
            match self.post_uses(&left).await {
                Ok(()) => left = rest,
                Err(refusal) => {
                    left.into_iter().chain(rest).for_each(|used| self.uses().push(used));
                    return Err(refusal);
                }
            }
        }
        Ok(())
    }

    async fn post_uses(&self, batch: &[LegacyUse]) -> Result<(), Refusal> {
        let endpoints = self.issuer.endpoints(self.clock.now()).await?;
        match self.issuer.client().post_json(endpoints.legacy_uses.clone(), &batch, &TraceContext::default()).await {
            Ok(_) => Ok(()),
            // An issuer that is older than this guard has no such endpoint.
            Err(FetchError::Status(status @ (400 | 404 | 405 | 413 | 415 | 422))) => {
                tracing::error!(status, dropped = batch.len(), "the issuer can't read the uses that were sent to it");
                Ok(())
            }
            Err(error) => Err(unavailable(error)),
        }
    }

    fn uses(&self) -> MutexGuard<'_, LegacyUses> {
        self.uses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn waiting(&self) -> MutexGuard<'_, WaitingRefusals> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
