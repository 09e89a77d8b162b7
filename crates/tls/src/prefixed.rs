//! A stream of which some bytes were already read.
//!
//! Reading a PROXY header or a greeting may return bytes after it. They are returned first, once and in order. They
//! must never be returned twice. They may contain a password, so they are wiped as soon as they have been returned.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::leftover::Leftover;

/// `inner`, preceded by bytes that were already read from it.
#[derive(Debug)]
pub(crate) struct Prefixed<S> {
    inner: S,
    /// `None` once it was returned, so that an idle stream holds no buffer.
    prefix: Option<Box<Leftover>>,
}

// === impl Prefixed ===

impl<S> Prefixed<S> {
    pub(crate) fn new(inner: S, prefix: Vec<u8>) -> Self {
        let prefix = (!prefix.is_empty()).then(|| Box::new(Leftover::new(prefix)));
        Self { inner, prefix }
    }

    /// Returns whether a part of the prefix was not read yet.
    pub(crate) fn has_prefix(&self) -> bool {
        self.prefix.is_some()
    }

    /// Returns the stream. Never read from it: that would skip the rest of the prefix.
    pub(crate) fn get_ref(&self) -> &S {
        &self.inner
    }

    /// Returns the stream and what is left of the prefix.
    pub(crate) fn into_parts(self) -> (S, Vec<u8>) {
        let prefix = match self.prefix {
            Some(mut prefix) => prefix.take_rest(),
            None => Vec::new(),
        };
        (self.inner, prefix)
    }

    /// Returns the stream when the whole prefix was read.
    ///
    /// # Errors
    /// Returns `self` when a part of the prefix is left.
    pub(crate) fn into_inner(self) -> Result<S, Self> {
        if self.prefix.is_none() { Ok(self.inner) } else { Err(self) }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Prefixed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let Some(prefix) = &mut this.prefix else {
            return Pin::new(&mut this.inner).poll_read(cx, buf);
        };
        prefix.read_into(buf);
        if prefix.is_empty() {
            this.prefix = None;
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Prefixed<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    #[tokio::test]
    async fn the_prefix_is_read_once_then_the_stream() {
        let mut stream = Prefixed::new(&b" after"[..], b"before".to_vec());
        let mut three = [0; 3];
        stream.read_exact(&mut three).await.unwrap();
        assert_eq!(&three, b"bef");
        assert!(stream.prefix.is_some());
        let mut rest = String::new();
        stream.read_to_string(&mut rest).await.unwrap();
        assert_eq!(rest, "ore after");
        assert!(stream.prefix.is_none());
    }

    #[tokio::test]
    async fn the_stream_is_returned_only_after_the_whole_prefix() {
        let stream = Prefixed::new(&b""[..], b"x".to_vec());
        let mut stream = stream.into_inner().unwrap_err();
        assert_eq!(stream.read(&mut [0; 8]).await.unwrap(), 1);
        assert_eq!(stream.into_inner().unwrap(), &b""[..]);
    }

    #[test]
    fn never_prints_what_it_holds() {
        let stream = Prefixed::new((), b"a001 LOGIN alice secret".to_vec());
        assert_eq!(format!("{stream:?}"), "Prefixed { inner: (), prefix: Some(Leftover(23 bytes)) }");
    }
}
