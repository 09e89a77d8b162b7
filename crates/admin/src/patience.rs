//! A stream whose peer has to take what it asked for.
//!
//! Answers are written in pieces; a caller that stops reading would hold its place, and the answer's memory, for
//! ever. A write that makes no progress for [`PATIENCE`] fails. (Silence on the other side is bounded by the time
//! for a head and for a body.)

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

/// See the module's comment.
pub(crate) struct Patient<S> {
    stream: S,
    /// Set while a write waits.
    limit: Option<Pin<Box<Sleep>>>,
}

/// How long a write may stand still.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

// === impl Patient ===

impl<S> Patient<S> {
    pub(crate) const fn new(stream: S) -> Self {
        Self { stream, limit: None }
    }

    /// Watches the time while `polled` is pending.
    fn watch<T>(&mut self, cx: &mut Context<'_>, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.limit = None;
            return polled;
        }
        let limit = self.limit.get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + PATIENCE)));
        match limit.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.watch(cx, polled)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_flush(cx);
        self.watch(cx, polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.watch(cx, polled)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_does_not_read_is_left() {
        let (ours, _theirs) = duplex(4);
        let error = Patient::new(ours).write_all(b"more than fits").await.expect_err("nobody reads");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_peer_that_reads_is_served_to_the_end() {
        let (ours, mut theirs) = duplex(1);
        let reader = tokio::spawn(async move {
            let mut read = Vec::new();
            while theirs.read_buf(&mut read).await.expect("a stream") > 0 {
                tokio::time::advance(PATIENCE / 2).await;
            }
            read
        });
        let mut ours = Patient::new(ours);
        ours.write_all(b"eight...").await.expect("it is read");
        ours.shutdown().await.expect("it is read");
        drop(ours);
        assert_eq!(reader.await.expect("a reader"), b"eight...");
    }
}
