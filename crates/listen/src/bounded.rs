//! A stream whose client must take what is written to it, and which is closed in a way that lets the client read the
//! last answer.

use std::{
    future::Future,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

/// How much a client must take in the time that it has.
pub(crate) const LEAST_TAKEN: usize = 8 * 1024;

/// How long a client may continue to send after the last answer.
const LINGER: Duration = Duration::from_secs(2);

/// How much is read of what a client continues to send.
const MOST_DISCARDED: usize = 4 * 1024 * 1024;

/// A stream to a client.
pub(crate) struct Bounded<S> {
    stream: S,
    write_timeout: Duration,
    blocked: Option<Blocked>,
    closing: Closing,
}

/// The client has not taken what was written.
struct Blocked {
    end: Pin<Box<Sleep>>,
    taken: usize,
}

/// How far the end of the stream is.
enum Closing {
    Open,
    /// Our half is closed. Closing the other one while bytes arrive would destroy the last answer on its way.
    Lingering {
        end: Pin<Box<Sleep>>,
        discarded: usize,
    },
    Closed,
}

impl<S> Bounded<S> {
    pub(crate) fn new(stream: S, write_timeout: Duration) -> Self {
        Self { stream, write_timeout, blocked: None, closing: Closing::Open }
    }

    /// Applies the bound to what came of writing.
    fn progress(&mut self, context: &mut Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match written {
            Poll::Pending => {
                let write_timeout = self.write_timeout;
                let blocked =
                    self.blocked.get_or_insert_with(|| Blocked { end: Box::pin(sleep(write_timeout)), taken: 0 });
                blocked.end.as_mut().poll(context).map(|()| Err(io::ErrorKind::TimedOut.into()))
            }
            Poll::Ready(Ok(bytes)) => {
                if let Some(blocked) = &mut self.blocked {
                    blocked.taken += bytes;
                    if blocked.taken >= LEAST_TAKEN {
                        self.blocked = None;
                    }
                }
                Poll::Ready(Ok(bytes))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
        }
    }
}

impl<S: AsyncWrite + AsyncRead + Unpin> AsyncWrite for Bounded<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.progress(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, pieces);
        self.progress(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_flush(context))?;
        // A writer that flushes has written everything.
        self.blocked = None;
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            match &mut this.closing {
                Closing::Open => {
                    ready!(Pin::new(&mut this.stream).poll_shutdown(context))?;
                    this.closing = Closing::Lingering { end: Box::pin(sleep(LINGER)), discarded: 0 };
                }
                Closing::Lingering { end, discarded } => {
                    let mut bytes = [0; 4_096];
                    let mut buffer = ReadBuf::new(&mut bytes);
                    let read = Pin::new(&mut this.stream).poll_read(context, &mut buffer);
                    *discarded += buffer.filled().len();
                    let goes_on = match read {
                        Poll::Pending => {
                            ready!(end.as_mut().poll(context));
                            false
                        }
                        Poll::Ready(read) => read.is_ok() && !buffer.filled().is_empty() && *discarded < MOST_DISCARDED,
                    };
                    if !goes_on {
                        this.closing = Closing::Closed;
                    }
                }
                Closing::Closed => return Poll::Ready(Ok(())),
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Bounded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
        time::Instant,
    };

    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(30);

    fn pair(size: usize) -> (Bounded<DuplexStream>, DuplexStream) {
        let (near, far) = duplex(size);
        (Bounded::new(near, TIMEOUT), far)
    }

    #[tokio::test(start_paused = true)]
    async fn client_that_takes_nothing_is_cut_off() {
        let (mut stream, _far) = pair(64);
        let begun = Instant::now();
        let error = stream.write_all(&[0; 100_000]).await.unwrap_err();
        assert_eq!((error.kind(), begun.elapsed()), (io::ErrorKind::TimedOut, TIMEOUT));
    }

    #[tokio::test(start_paused = true)]
    async fn client_that_takes_a_byte_now_and_then_is_cut_off() {
        let (mut stream, mut far) = pair(64);
        let begun = Instant::now();
        let takes = tokio::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_secs(1)).await;
                let _ = far.read_u8().await;
            }
        });
        assert_eq!(stream.write_all(&[0; 100_000]).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert_eq!(begun.elapsed(), TIMEOUT);
        takes.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn slow_client_gets_all_of_a_long_answer() {
        let (mut stream, mut far) = pair(1_024);
        let takes = tokio::spawn(async move {
            let (mut taken, mut piece) = (0, [0; 1_024]);
            while taken < 100_000 {
                tokio::time::sleep(Duration::from_secs(3)).await;
                taken += far.read(&mut piece).await.unwrap();
            }
            far
        });
        stream.write_all(&[0; 100_000]).await.unwrap();
        stream.flush().await.unwrap();
        takes.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn pause_between_answers_is_not_a_blocked_answer() {
        let (mut stream, mut far) = pair(64);
        for _ in 0..3 {
            let takes = async {
                tokio::time::sleep(TIMEOUT / 2).await;
                far.read_exact(&mut [0; 100]).await.unwrap();
            };
            let (written, ()) = tokio::join!(stream.write_all(&[0; 100]), takes);
            written.unwrap();
            stream.flush().await.unwrap();
            tokio::time::sleep(2 * TIMEOUT).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn rest_of_a_request_is_read_before_the_connection_closes() {
        let (mut stream, mut far) = pair(64);
        stream.write_all(b"answer").await.unwrap();
        let begun = Instant::now();
        let sends = async {
            let mut answer = [0; 6];
            far.write_all(&[0; 10_000]).await.unwrap();
            far.read_exact(&mut answer).await.unwrap();
            assert_eq!((&answer, far.read(&mut [0]).await.unwrap()), (b"answer", 0));
            drop(far);
        };
        let (closed, ()) = tokio::join!(stream.shutdown(), sends);
        closed.unwrap();
        assert_eq!(begun.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn client_that_does_not_close_its_half_is_left() {
        let (mut stream, _far) = pair(64);
        let begun = Instant::now();
        stream.shutdown().await.unwrap();
        assert_eq!(begun.elapsed(), LINGER);
    }
}
