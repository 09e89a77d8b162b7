//! A stream that fails when its peer stops reading.
//!
//! A client that stops reading would otherwise keep its connection slot and the memory of its response for ever. A write
//! that makes no progress for [`STALL_TIMEOUT`] fails. Reads need no limit here: the head and the body of a request have
//! time limits of their own.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

/// Limits how long a write to `S` may make no progress.
pub(crate) struct WriteTimeout<S> {
    stream: S,
    /// Set while a write is pending.
    deadline: Option<Pin<Box<Sleep>>>,
}

/// How long a write may make no progress.
pub(crate) const STALL_TIMEOUT: Duration = Duration::from_secs(30);

// === impl WriteTimeout ===

impl<S> WriteTimeout<S> {
    pub(crate) const fn new(stream: S) -> Self {
        Self { stream, deadline: None }
    }

    /// Returns `polled`, or an error when it has been pending for too long.
    fn limit<T>(&mut self, cx: &mut Context<'_>, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.deadline = None;
            return polled;
        }
        let deadline =
            self.deadline.get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + STALL_TIMEOUT)));
        match deadline.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for WriteTimeout<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for WriteTimeout<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.limit(cx, polled)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_flush(cx);
        self.limit(cx, polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.limit(cx, polled)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_write_to_a_peer_that_does_not_read_fails() {
        let (ours, _theirs) = duplex(4);
        let error =
            WriteTimeout::new(ours).write_all(b"more than fits").await.expect_err("the peer does not read");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_peer_gets_everything() {
        let (ours, mut theirs) = duplex(1);
        let reader = tokio::spawn(async move {
            let mut read = Vec::new();
            while theirs.read_buf(&mut read).await.expect("a stream") > 0 {
                tokio::time::advance(STALL_TIMEOUT / 2).await;
            }
            read
        });
        let mut ours = WriteTimeout::new(ours);
        ours.write_all(b"eight...").await.expect("it is read");
        ours.shutdown().await.expect("it is read");
        drop(ours);
        assert_eq!(reader.await.expect("a reader"), b"eight...");
    }
}
