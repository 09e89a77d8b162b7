//! A stream in two halves, one read and one written, that can be looked at and put together again.
//!
//! As `tokio::io::split`, but that one hides the socket, and whether a waiting connection has been closed can
//! only be asked there: the runtime's own idea of readiness is as old as its last look.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use socket2::SockRef;
use tls::Stream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The half that is read.
pub(crate) struct ReadHalf(Arc<Mutex<Stream>>);

/// The half that is written.
pub(crate) struct WriteHalf(Arc<Mutex<Stream>>);

/// Cuts a stream in two.
pub(crate) fn split(stream: Stream) -> (ReadHalf, WriteHalf) {
    let shared = Arc::new(Mutex::new(stream));
    (ReadHalf(Arc::clone(&shared)), WriteHalf(shared))
}

/// Held for one poll, never over an await; a panic within it ends the connection's task anyway.
fn lock(stream: &Mutex<Stream>) -> MutexGuard<'_, Stream> {
    stream.lock().unwrap_or_else(PoisonError::into_inner)
}

// === impl ReadHalf ===

impl ReadHalf {
    /// Nothing to read, and no end: neither in the TLS engine nor in the socket.
    pub(crate) fn is_silent(&self) -> bool {
        let mut stream = lock(&self.0);
        let mut byte = [0];
        let mut into = ReadBuf::new(&mut byte);
        let polled = Pin::new(&mut *stream).poll_read(&mut Context::from_waker(Waker::noop()), &mut into);
        let peeked = SockRef::from(stream.tcp()).peek(&mut [std::mem::MaybeUninit::uninit()]);
        polled.is_pending() && peeked.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    /// The whole stream again. `None` when the halves are not of one stream, which no caller has.
    pub(crate) fn unsplit(self, other: WriteHalf) -> Option<Stream> {
        drop(other);
        let stream = Arc::into_inner(self.0)?;
        Some(stream.into_inner().unwrap_or_else(PoisonError::into_inner))
    }
}

impl AsyncRead for ReadHalf {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut *lock(&self.0)).poll_read(context, into)
    }
}

// === impl WriteHalf ===

impl AsyncWrite for WriteHalf {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut *lock(&self.0)).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *lock(&self.0)).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        lock(&self.0).is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *lock(&self.0)).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *lock(&self.0)).poll_shutdown(context)
    }
}
