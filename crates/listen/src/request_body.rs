//! A request's body, which has a time limit for its arrival, and what a handler leaves of it unread.
//!
//! The authorization server's own handlers have a bound with a refusal that explains itself; this one, somewhat later, is
//! for routers that have none.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use axum::body::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::{Sleep, sleep, timeout};

use crate::places::activity::{Activity, Kept};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// How much is read of what a handler leaves unread, so that the connection can be used again.
const MOST_DRAINED: u64 = 64 * 1024;

/// How long that may take. Most of it has arrived when the handler answers.
const DRAIN: Duration = Duration::from_millis(250);

/// The body took too long.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the body did not arrive in time")]
struct TooSlow;

/// A body that fails when it has kept its reader waiting for too long in all.
pub(crate) struct TimedBody {
    body: Arc<Mutex<Incoming>>,
    longest: Duration,
    // Most bodies are there when they are read, and need no timer.
    end: Option<Pin<Box<Sleep>>>,
    /// What counts the bytes that arrived for requests that are not complete.
    keeper: Option<Arc<Activity>>,
}

/// What a handler leaves of a body.
pub(crate) struct Unread(Arc<Mutex<Incoming>>);

/// Makes a body for a handler. The other value is for the time when it has answered.
pub(crate) fn split(body: Incoming, longest: Duration, keeper: Option<Arc<Activity>>) -> (TimedBody, Unread) {
    let body = Arc::new(Mutex::new(body));
    (TimedBody { body: body.clone(), longest, end: None, keeper }, Unread(body))
}

impl Unread {
    /// Whether the body has been read, without reading of it.
    pub(crate) fn is_at_end(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_end_stream()
    }

    /// Reads what the handler left, within bounds. Returns whether the body was complete, or is still being read.
    pub(crate) async fn drain(self) -> bool {
        let Some(body) = Arc::into_inner(self.0) else { return true };
        let mut body = body.into_inner().unwrap_or_else(PoisonError::into_inner);
        if body.is_end_stream() {
            return true;
        }
        if body.size_hint().lower() > MOST_DRAINED {
            return false;
        }
        let drained = async {
            let mut drained = 0;
            loop {
                match poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
                    None => return true,
                    Some(Err(_)) => return false,
                    Some(Ok(frame)) => drained += frame.data_ref().map_or(0, |bytes| bytes.len() as u64),
                }
                if drained > MOST_DRAINED {
                    return false;
                }
            }
        };
        timeout(DRAIN, drained).await.unwrap_or(false)
    }
}

impl TimedBody {
    fn incoming<T>(&self, read: impl FnOnce(&mut Incoming) -> T) -> T {
        read(&mut self.body.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The same bytes, counted for as long as anybody holds them.
    fn keep(&self, bytes: Bytes) -> Bytes {
        match &self.keeper {
            None => bytes,
            Some(keeper) => Bytes::from_owner(KeptBytes { _kept: keeper.keep(bytes.len()), bytes }),
        }
    }
}

struct KeptBytes {
    bytes: Bytes,
    _kept: Kept,
}

impl AsRef<[u8]> for KeptBytes {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Body for TimedBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Poll::Ready(frame) = self.incoming(|body| Pin::new(body).poll_frame(cx)) {
            let keep = |frame: Frame<Bytes>| frame.map_data(|bytes| self.keep(bytes));
            return Poll::Ready(frame.map(|frame| frame.map(keep).map_err(Into::into)));
        }
        let longest = self.longest;
        let end = self.end.get_or_insert_with(|| Box::pin(sleep(longest)));
        end.as_mut().poll(cx).map(|()| Some(Err(TooSlow.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.incoming(|body| body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming(|body| body.size_hint())
    }
}
