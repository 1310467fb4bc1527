//! A stream whose answers go out after the other requests that have arrived were worked on.
//!
//! A peer that keeps many connections, such as a proxy, then finds many answers when it wakes, where each answer would
//! have woken it separately; waking is a fifth of what a short request costs. Where nothing else has arrived, nothing
//! waits.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Lets the tasks that are ready go first, once before each flush.
pub(super) struct WriteLast<S> {
    stream: S,
    others_went: bool,
}

impl<S> WriteLast<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, others_went: false }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for WriteLast<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if !self.others_went {
            self.others_went = true;
            // A task that wakes itself comes after those that wait already.
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_flush(context))?;
        self.others_went = false;
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for WriteLast<S> {
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
    use std::sync::{Arc, Mutex};

    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test]
    async fn before_each_answer_what_is_ready_goes_first() {
        let (near, mut far) = duplex(64);
        let order = Arc::new(Mutex::new(Vec::new()));
        let note = |what| {
            let order = order.clone();
            move || order.lock().unwrap().push(what)
        };
        let (first, second) = (note("first answer"), note("second answer"));
        let others = [note("other"), note("another")];

        let answers = tokio::spawn(async move {
            let mut stream = WriteLast::new(near);
            let [other, another] = others;
            for (answer, arrived) in [(first, other), (second, another)] {
                // Arrived later, and ready.
                tokio::spawn(async move { arrived() });
                stream.write_all(b"head").await.unwrap();
                answer();
                // The rest of an answer goes at once.
                stream.write_all(b"body").await.unwrap();
                stream.flush().await.unwrap();
            }
        });
        answers.await.unwrap();

        assert_eq!(*order.lock().unwrap(), ["other", "first answer", "another", "second answer"]);
        let mut sent = String::new();
        far.read_to_string(&mut sent).await.unwrap();
        assert_eq!(sent, "headbodyheadbody");
    }
}
