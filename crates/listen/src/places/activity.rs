//! What happens on a connection: whether it is idle and since when, and what its client leaves waiting.
//!
//! hyper closes HTTP/1.1 connections that are idle and knows nothing of the kind for HTTP/2, where a client can also
//! take answers from the connection and still leave them waiting, by the window of each stream (RFC 9113 section 5.2).

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
};

use tokio::{
    sync::Notify,
    time::{Duration, Instant},
};

use super::Places;
use crate::bounded::LEAST_TAKEN;

/// What happens on one connection.
pub(crate) struct Activity {
    places: Arc<Places>,
    /// Notified when the first request has arrived.
    first_request: Notify,
    has_requests: AtomicBool,
    is_http2: AtomicBool,
    /// Requests that their handlers are busy with.
    busy: AtomicUsize,
    /// When the last one of them ended, by the clock of the places.
    idle_since: AtomicU64,
    /// Bytes that the client leaves waiting.
    waiting: AtomicUsize,
    /// Pieces of answers that the client has not taken: those of the current period, and older ones.
    untaken: [AtomicUsize; 2],
    period: AtomicUsize,
}

impl Activity {
    pub(crate) fn new(places: Arc<Places>) -> Self {
        Self {
            first_request: Notify::new(),
            has_requests: AtomicBool::new(false),
            is_http2: AtomicBool::new(false),
            busy: AtomicUsize::new(0),
            idle_since: AtomicU64::new(places.now()),
            waiting: AtomicUsize::new(0),
            untaken: Default::default(),
            period: AtomicUsize::new(0),
            places,
        }
    }

    /// A request has arrived.
    pub(crate) fn begin(self: &Arc<Self>, is_http2: bool) -> Busy {
        let busy = Busy::new(self.clone());
        if !self.has_requests.load(Relaxed) {
            self.is_http2.store(is_http2, Relaxed);
            self.has_requests.store(true, Relaxed);
            self.first_request.notify_waiters();
        }
        busy
    }

    /// Keeps bytes that wait for the client.
    pub(crate) fn keep(self: &Arc<Self>, bytes: usize) -> Kept {
        self.waiting.fetch_add(bytes, Relaxed);
        self.places.keep(bytes);
        Kept { activity: self.clone(), bytes }
    }

    /// Waits until the first request has arrived.
    pub(crate) async fn first_request(&self) {
        let notified = self.first_request.notified();
        if !self.has_requests.load(Relaxed) {
            notified.await;
        }
    }

    pub(crate) fn is_http2(&self) -> bool {
        self.is_http2.load(Relaxed)
    }

    /// Since when no handler is busy; `None` if one is.
    pub(crate) fn idle_since(&self) -> Option<u64> {
        (self.busy.load(Relaxed) == 0).then(|| self.idle_since.load(Relaxed))
    }

    /// Bytes that wait for the client.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Relaxed)
    }

    /// Waits until the connection was idle for `patience`, or the client has left a piece of an answer waiting for
    /// `write_timeout`, at most twice as long.
    pub(crate) async fn end(&self, patience: Duration, write_timeout: Duration) -> End {
        let begun = Instant::now();
        let mut period_ends = begun + write_timeout;
        loop {
            let idle_since = self.idle_since().filter(|_| self.waiting() == 0);
            let idle_since = idle_since.map(|since| self.places.instant(since).max(begun));
            let idle_ends = idle_since.unwrap_or_else(Instant::now) + patience;
            let now = Instant::now();
            if idle_ends <= now {
                return End::Idle;
            }
            if period_ends <= now {
                if self.end_period() {
                    return End::Stalled;
                }
                period_ends = now + write_timeout;
            }
            tokio::time::sleep_until(idle_ends.min(period_ends)).await;
        }
    }

    /// Begins another period. Whether something is older than the one that ends.
    fn end_period(&self) -> bool {
        let older = 1 - self.period.load(Relaxed);
        self.period.store(older, Relaxed);
        self.untaken[older].load(Relaxed) > 0
    }
}

/// Why a connection ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum End {
    Idle,
    Stalled,
}

/// A handler works on a request, or on more of its answer.
pub(crate) struct Busy(Arc<Activity>);

impl Busy {
    pub(crate) fn new(activity: Arc<Activity>) -> Self {
        activity.busy.fetch_add(1, Relaxed);
        Self(activity)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.idle_since.store(self.0.places.now(), Relaxed);
        self.0.busy.fetch_sub(1, Relaxed);
    }
}

/// Bytes that wait for a client.
pub(crate) struct Kept {
    activity: Arc<Activity>,
    bytes: usize,
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.activity.waiting.fetch_sub(self.bytes, Relaxed);
        self.activity.places.forget(self.bytes);
    }
}

/// A piece of an answer that the client has not taken.
pub(crate) struct Untaken {
    kept: Kept,
    period: usize,
    taken: usize,
}

impl Untaken {
    pub(crate) fn new(activity: &Arc<Activity>, bytes: usize) -> Self {
        let kept = activity.keep(bytes);
        let period = activity.period.load(Relaxed);
        activity.untaken[period].fetch_add(1, Relaxed);
        Self { kept, period, taken: 0 }
    }

    /// The client has taken some of it.
    pub(crate) fn take(&mut self, bytes: usize) {
        self.taken += bytes;
        if self.taken >= LEAST_TAKEN {
            self.taken = 0;
            let activity = &self.kept.activity;
            activity.untaken[self.period].fetch_sub(1, Relaxed);
            self.period = activity.period.load(Relaxed);
            activity.untaken[self.period].fetch_add(1, Relaxed);
        }
    }
}

impl Drop for Untaken {
    fn drop(&mut self) {
        self.kept.activity.untaken[self.period].fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Limits;

    const PATIENCE: Duration = Duration::from_secs(60);
    const TIMEOUT: Duration = Duration::from_secs(30);

    fn activity() -> Arc<Activity> {
        Arc::new(Activity::new(Arc::new(Places::new(&Limits::default()))))
    }

    #[tokio::test(start_paused = true)]
    async fn idleness_begins_when_the_last_handler_ends() {
        let (activity, begun) = (activity(), Instant::now());
        let busy = [activity.begin(true), activity.begin(true)];
        assert_eq!(activity.idle_since(), None);
        let ends = async {
            for busy in busy {
                tokio::time::sleep(Duration::from_secs(100)).await;
                drop(busy);
            }
        };
        let (end, ()) = tokio::join!(activity.end(PATIENCE, TIMEOUT), ends);
        assert_eq!((end, begun.elapsed()), (End::Idle, Duration::from_secs(200) + PATIENCE));
    }

    #[tokio::test(start_paused = true)]
    async fn unread_piece_ends_the_connection_although_others_are_read() {
        let (activity, begun) = (activity(), Instant::now());
        let _untaken = Untaken::new(&activity, 4_096);
        let others = async {
            loop {
                let _busy = activity.begin(true);
                let _taken = Untaken::new(&activity, 4_096);
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        };
        let end = tokio::select! {
            end = activity.end(PATIENCE, TIMEOUT) => end,
            () = others => unreachable!("it has no end"),
        };
        assert_eq!(end, End::Stalled);
        assert!(begun.elapsed() <= 2 * TIMEOUT);
    }

    #[tokio::test(start_paused = true)]
    async fn long_piece_that_is_taken_slowly_goes_on() {
        let activity = activity();
        let mut untaken = Untaken::new(&activity, 100 * LEAST_TAKEN);
        let taken = async {
            for _ in 0..100 {
                tokio::time::sleep(TIMEOUT - Duration::from_secs(1)).await;
                untaken.take(LEAST_TAKEN);
            }
        };
        tokio::select! {
            end = activity.end(PATIENCE, TIMEOUT) => panic!("{end:?}"),
            () = taken => {}
        }
        assert_eq!(activity.waiting(), 100 * LEAST_TAKEN);
        drop(untaken);
        assert_eq!(activity.waiting(), 0);
    }
}
