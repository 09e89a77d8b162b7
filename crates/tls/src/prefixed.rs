//! A stream some of whose bytes were read before it came here.
//!
//! A PROXY header or a greeting is found by reading, and reading takes more than was asked for. Those bytes
//! are served first, once and in order. They must never be served twice, and never outlive their serving:
//! they may hold a password, so they are wiped.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use zeroize::Zeroize;

/// `inner` behind bytes that were already read from it.
#[derive(Debug)]
pub(crate) struct Prefixed<S> {
    inner: S,
    /// `None` once served, so that an idle stream holds no buffer.
    prefix: Option<Box<Prefix>>,
}

/// Bytes to be served; wiped when dropped.
struct Prefix {
    bytes: Vec<u8>,
    served: usize,
}

// === impl Prefixed ===

impl<S> Prefixed<S> {
    pub(crate) fn new(inner: S, prefix: Vec<u8>) -> Self {
        let prefix = (!prefix.is_empty()).then(|| Box::new(Prefix { bytes: prefix, served: 0 }));
        Self { inner, prefix }
    }

    /// The stream itself; reading from it would pass by what is still to be served.
    pub(crate) fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The stream itself, once everything before it has been served; else everything as it was.
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
        prefix.serve(buf);
        if prefix.is_served() {
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

// === impl Prefix ===

impl Prefix {
    fn serve(&mut self, buf: &mut ReadBuf<'_>) {
        let n = buf.remaining().min(self.bytes.len() - self.served);
        buf.put_slice(&self.bytes[self.served..self.served + n]);
        self.served += n;
    }

    fn is_served(&self) -> bool {
        self.served == self.bytes.len()
    }
}

impl Drop for Prefix {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}

impl std::fmt::Debug for Prefix {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Prefix({} bytes to be served)", self.bytes.len() - self.served)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    #[tokio::test]
    async fn serves_the_prefix_once_then_the_stream() {
        let mut stream = Prefixed::new(&b" behind"[..], b"before".to_vec());
        let mut three = [0; 3];
        stream.read_exact(&mut three).await.unwrap();
        assert_eq!(&three, b"bef");
        assert!(stream.prefix.is_some());
        let mut rest = String::new();
        stream.read_to_string(&mut rest).await.unwrap();
        assert_eq!(rest, "ore behind");
        assert!(stream.prefix.is_none());
    }

    #[tokio::test]
    async fn gives_the_stream_back_only_when_the_prefix_is_served() {
        let stream = Prefixed::new(&b""[..], b"x".to_vec());
        let mut stream = stream.into_inner().unwrap_err();
        assert_eq!(stream.read(&mut [0; 8]).await.unwrap(), 1);
        assert_eq!(stream.into_inner().unwrap(), &b""[..]);
    }

    #[test]
    fn never_prints_what_it_holds() {
        let stream = Prefixed::new((), b"a001 LOGIN alice secret".to_vec());
        assert_eq!(
            format!("{stream:?}"),
            "Prefixed { inner: (), prefix: Some(Prefix(23 bytes to be served)) }"
        );
    }
}
