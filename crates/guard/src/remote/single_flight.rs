//! Work that is done once however many ask for it: one run at a time, and a pause before the next.
//!
//! The work runs in a task of its own. A caller who gives up (a client that disconnects) must not take the answer away
//! from those who wait, nor leave the pause running for a fetch that never ended.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use doorward_core::clock::Timestamp;
use tokio::sync::watch;

/// At most one run of some work at a time.
pub(crate) struct SingleFlight(Arc<Mutex<State>>);

struct State {
    started: Option<Timestamp>,
    pause: Duration,
    /// Closed when nothing is under way.
    ended: watch::Receiver<()>,
}

impl Default for SingleFlight {
    fn default() -> Self {
        let (_, ended) = watch::channel(());
        Self(Arc::new(Mutex::new(State { started: None, pause: Duration::ZERO, ended })))
    }
}

impl SingleFlight {
    /// Waits for the run under way. If there is none, starts `work`, unless the last one started less than its pause
    /// ago; then this returns at once. `work` returns the pause to keep after it, counted from its start.
    pub(crate) async fn join(&self, now: Timestamp, work: impl Future<Output = Duration> + Send + 'static) {
        let ended = self.join_or_start(now, work);
        if let Some(mut ended) = ended {
            // An error says that the sender is gone: the run ended.
            while ended.changed().await.is_ok() {}
        }
    }

    /// When the last run started; `None` before the first.
    pub(crate) fn last_started(&self) -> Option<Timestamp> {
        lock(&self.0).started
    }

    fn join_or_start(
        &self,
        now: Timestamp,
        work: impl Future<Output = Duration> + Send + 'static,
    ) -> Option<watch::Receiver<()>> {
        let mut state = lock(&self.0);
        let under_way = state.ended.has_changed().is_ok();
        if under_way {
            return Some(state.ended.clone());
        }
        // A clock that was set back must not stretch the pause.
        if state.started.is_some_and(|started| started <= now && now.since(started) < state.pause) {
            return None;
        }
        let (running, ended) = watch::channel(());
        state.started = Some(now);
        state.ended = ended.clone();
        let shared = self.0.clone();
        tokio::spawn(async move {
            let pause = work.await;
            lock(&shared).pause = pause;
            drop(running);
        });
        Some(ended)
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::Notify;

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);
    const PAUSE: Duration = Duration::from_secs(10);

    #[tokio::test]
    async fn callers_share_a_run_and_the_next_waits_for_the_pause() {
        let (single_flight, runs) = (SingleFlight::default(), Arc::new(AtomicUsize::new(0)));
        let work = || {
            let runs = runs.clone();
            async move {
                runs.fetch_add(1, Ordering::SeqCst);
                PAUSE
            }
        };
        tokio::join!(single_flight.join(NOW, work()), single_flight.join(NOW, work()), single_flight.join(NOW, work()));
        single_flight.join(NOW.plus(PAUSE).minus(Duration::from_millis(1)), work()).await;
        assert_eq!(runs.load(Ordering::SeqCst), 1);
        single_flight.join(NOW.plus(PAUSE), work()).await;
        assert_eq!(runs.load(Ordering::SeqCst), 2);
        single_flight.join(NOW, work()).await;
        assert_eq!(runs.load(Ordering::SeqCst), 3, "a clock that was set back starts again");
    }

    #[tokio::test]
    async fn a_caller_who_gives_up_does_not_end_the_run() {
        let (single_flight, gate) = (SingleFlight::default(), Arc::new(Notify::new()));
        let opened = gate.clone();
        let mut first = Box::pin(single_flight.join(NOW, async move {
            opened.notified().await;
            PAUSE
        }));
        assert!(std::future::poll_fn(|cx| std::task::Poll::Ready(first.as_mut().poll(cx).is_pending())).await);
        drop(first);
        let second = single_flight.join(NOW, async { unreachable!("the first run is under way") });
        gate.notify_one();
        second.await;
        assert_eq!(single_flight.last_started(), Some(NOW));
    }

    #[tokio::test]
    async fn a_run_that_panics_leaves_the_way_free() {
        let single_flight = SingleFlight::default();
        single_flight.join(NOW, async { panic!("as this test wants it") }).await;
        let ran = Arc::new(AtomicUsize::new(0));
        let counted = ran.clone();
        let again = async move {
            counted.fetch_add(1, Ordering::SeqCst);
            PAUSE
        };
        single_flight.join(NOW, again).await;
        assert_eq!(ran.load(Ordering::SeqCst), 1);
    }
}
