//! A budget for the frames of HTTP/2 that ask for nothing (RFC 9113 section 10.5).
//!
//! hyper bounds requests that are reset at once, split heads and tiny pieces of bodies. It does not bound PRIORITY,
//! SETTINGS, PING, WINDOW_UPDATE and unknown frames, which cost a client almost nothing to send. So this reader counts
//! the frame headers on their way to hyper.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};

const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;

/// The most control frames that a connection may have left to send.
const MOST: usize = 1_000;

/// How long it takes until another control frame may be sent, besides those that requests and answers allow for.
const EVERY: Duration = Duration::from_millis(10);

/// The control frames that go with a request: priorities, windows and a reset.
const FOR_A_REQUEST: usize = 8;

/// The bytes of answers that a client may acknowledge with a control frame.
const BYTES_FOR_ONE: usize = 1_024;

/// A stream whose client sends more control frames than belong to its requests.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the client sends too many control frames")]
struct TooManyFrames;

/// A stream that fails when its client has sent too many control frames.
pub(crate) struct Counted<S> {
    stream: S,
    frames: Frames,
}

impl<S> Counted<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, frames: Frames::new(Instant::now()) }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        let read = buffer.filled().get(before..).unwrap_or_default();
        Poll::Ready(self.frames.read(read).map_err(io::Error::other))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(context, bytes))?;
        self.frames.budget.answered(written);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// Reads frame headers (RFC 9113 section 4.1) in bytes that arrive in any pieces.
struct Frames {
    state: State,
    budget: Budget,
}

enum State {
    /// So many bytes of the preface have arrived.
    Preface(usize),
    /// It is not HTTP/2.
    Other,
    /// So many bytes of the payload are still to come.
    Payload(usize),
    /// So many bytes of the header have arrived.
    Header([u8; 9], usize),
}

impl Frames {
    fn new(now: Instant) -> Self {
        Self { state: State::Preface(0), budget: Budget { left: MOST, bytes: 0, filled_at: now } }
    }

    fn read(&mut self, mut bytes: &[u8]) -> Result<(), TooManyFrames> {
        while !bytes.is_empty() {
            match &mut self.state {
                State::Other => return Ok(()),
                State::Preface(arrived) => {
                    let rest = &PREFACE[*arrived..];
                    let length = rest.len().min(bytes.len());
                    if bytes[..length] != rest[..length] {
                        self.state = State::Other;
                        return Ok(());
                    }
                    *arrived += length;
                    bytes = &bytes[length..];
                    if *arrived == PREFACE.len() {
                        self.state = State::Header([0; 9], 0);
                    }
                }
                State::Payload(left) => {
                    let length = bytes.len().min(*left);
                    *left -= length;
                    bytes = &bytes[length..];
                    if *left == 0 {
                        self.state = State::Header([0; 9], 0);
                    }
                }
                State::Header(header, arrived) => {
                    let length = bytes.len().min(header.len() - *arrived);
                    header[*arrived..*arrived + length].copy_from_slice(&bytes[..length]);
                    *arrived += length;
                    bytes = &bytes[length..];
                    if *arrived == header.len() {
                        let [high, middle, low, kind, ..] = *header;
                        let payload = u32::from_be_bytes([0, high, middle, low]);
                        // At 32 bits or more an address can hold it.
                        self.state = match usize::try_from(payload) {
                            Ok(0) => State::Header([0; 9], 0),
                            payload => State::Payload(payload.unwrap_or(usize::MAX)),
                        };
                        self.budget.count(kind)?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// The control frames that a client may send.
struct Budget {
    left: usize,
    /// Bytes of answers that no frame was allowed for yet.
    bytes: usize,
    filled_at: Instant,
}

impl Budget {
    fn count(&mut self, kind: u8) -> Result<(), TooManyFrames> {
        match kind {
            HEADERS => self.allow(FOR_A_REQUEST),
            DATA | CONTINUATION => {}
            _ => {
                if self.left == 0 {
                    self.fill(Instant::now());
                }
                self.left = self.left.checked_sub(1).ok_or(TooManyFrames)?;
            }
        }
        Ok(())
    }

    fn answered(&mut self, bytes: usize) {
        self.bytes += bytes;
        if self.bytes >= BYTES_FOR_ONE {
            self.allow(self.bytes / BYTES_FOR_ONE);
            self.bytes %= BYTES_FOR_ONE;
        }
    }

    fn fill(&mut self, now: Instant) {
        let since = now.saturating_duration_since(self.filled_at).as_millis() / EVERY.as_millis();
        if since > 0 {
            self.filled_at = now;
            self.allow(usize::try_from(since).unwrap_or(MOST));
        }
    }

    fn allow(&mut self, frames: usize) {
        self.left = self.left.saturating_add(frames).min(MOST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRIORITY: u8 = 2;
    const PING: u8 = 6;
    const UNKNOWN: u8 = 0x77;

    fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&length[1..], &[kind, 0, 0, 0, 0, 1], payload].concat()
    }

    fn begun() -> Frames {
        let mut frames = Frames::new(Instant::now());
        frames.read(PREFACE).unwrap();
        frames
    }

    fn read_many(frames: &mut Frames, kind: u8, count: usize) -> Result<(), TooManyFrames> {
        (0..count).try_for_each(|_| frames.read(&frame(kind, b"12345678")))
    }

    #[tokio::test(start_paused = true)]
    async fn control_frames_beyond_the_budget_end_the_connection() {
        for kind in [PRIORITY, 3, 4, PING, 7, 8, UNKNOWN] {
            let mut frames = begun();
            read_many(&mut frames, kind, MOST).unwrap();
            assert_eq!(read_many(&mut frames, kind, 1), Err(TooManyFrames), "{kind}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn budget_grows_with_time_requests_and_answers() {
        let mut frames = begun();
        read_many(&mut frames, PING, MOST).unwrap();
        tokio::time::advance(5 * EVERY).await;
        read_many(&mut frames, PING, 5).unwrap();
        read_many(&mut frames, HEADERS, 1).unwrap();
        read_many(&mut frames, 8, FOR_A_REQUEST).unwrap();
        for _ in 0..4 {
            frames.budget.answered(BYTES_FOR_ONE / 2);
        }
        read_many(&mut frames, 8, 2).unwrap();
        assert!(read_many(&mut frames, 8, 1).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn frames_are_counted_in_whatever_pieces_they_arrive() {
        for size in [1, 2, 7, 9, 10, 1_000] {
            let mut frames = Frames::new(Instant::now());
            let sent = [
                PREFACE.as_slice(),
                &frame(4, b""),
                &frame(HEADERS, &[6; 300]),
                &frame(DATA, &[2; 20_000]),
                &frame(PING, &[0; 8]),
            ]
            .concat();
            for piece in sent.chunks(size) {
                frames.read(piece).unwrap();
            }
            // The request gave back what the settings took.
            assert_eq!(frames.budget.left, MOST - 1, "{size}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn http_1_is_not_counted() {
        for text in ["GET / HTTP/1.1\r\n\r\n", "PRI * HTTP/1.1\r\n\r\n"] {
            let mut frames = Frames::new(Instant::now());
            for piece in text.repeat(10_000).as_bytes().chunks(5) {
                frames.read(piece).unwrap();
            }
            assert_eq!(frames.budget.left, MOST);
        }
    }
}
