//! The body of an answer, which counts what its client has not taken.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::body::{Body, Bytes};
use hyper::body::{Body as HttpBody, Buf, Frame, SizeHint};

use crate::places::activity::{Activity, Busy, Untaken};

/// A body of an answer.
pub(crate) struct Answer {
    body: Body,
    activity: Arc<Activity>,
    /// Present while it is the handler that has to continue, and not the client.
    busy: Option<Busy>,
    is_counted: bool,
}

impl Answer {
    /// The answer that a handler was busy with. What its client takes is counted if one connection carries many.
    pub(crate) fn new(body: Body, activity: Arc<Activity>, busy: Busy, is_http2: bool) -> Self {
        Self { body, activity, busy: Some(busy), is_counted: is_http2 }
    }

    fn piece(&self, bytes: Bytes) -> Piece {
        let untaken = self.is_counted.then(|| Untaken::new(&self.activity, bytes.len()));
        Piece { bytes, untaken }
    }
}

impl HttpBody for Answer {
    type Data = Piece;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Piece>, axum::Error>>> {
        match Pin::new(&mut self.body).poll_frame(context) {
            Poll::Pending => {
                if self.busy.is_none() {
                    self.busy = Some(Busy::new(self.activity.clone()));
                }
                Poll::Pending
            }
            Poll::Ready(frame) => {
                self.busy = None;
                let frame = frame.map(|frame| frame.map(|frame| frame.map_data(|bytes| self.piece(bytes))));
                Poll::Ready(frame)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A piece of an answer, from the handler until the client takes it.
pub(crate) struct Piece {
    bytes: Bytes,
    untaken: Option<Untaken>,
}

impl Buf for Piece {
    fn remaining(&self) -> usize {
        self.bytes.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.bytes.chunk()
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
        if let Some(untaken) = &mut self.untaken {
            untaken.take(count);
        }
    }
}
