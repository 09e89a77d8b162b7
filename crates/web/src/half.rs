//! A stream in a half for reading and a half for writing, which can be inspected and joined again.
//!
//! `tokio::io::split` hides the socket, but only the socket shows whether the peer of an idle connection has closed it:
//! the readiness that the runtime knows is as old as its last poll.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use socket2::SockRef;
use tls::Stream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The half for reading.
pub(crate) struct ReadHalf(Arc<Mutex<Stream>>);

/// The half for writing.
pub(crate) struct WriteHalf(Arc<Mutex<Stream>>);

/// Splits a stream.
pub(crate) fn split(stream: Stream) -> (ReadHalf, WriteHalf) {
    let shared = Arc::new(Mutex::new(stream));
    (ReadHalf(Arc::clone(&shared)), WriteHalf(shared))
}

/// Locks the stream for one poll, never across an await. A panic during the poll ends the connection's task anyway.
fn lock(stream: &Mutex<Stream>) -> MutexGuard<'_, Stream> {
    stream.lock().unwrap_or_else(PoisonError::into_inner)
}

// === impl ReadHalf ===

impl ReadHalf {
    /// Whether there is neither data nor an end to read, in the TLS engine or in the socket.
    pub(crate) fn is_silent(&self) -> bool {
        let mut stream = lock(&self.0);
        let mut byte = [0];
        let mut into = ReadBuf::new(&mut byte);
        let polled = Pin::new(&mut *stream).poll_read(&mut Context::from_waker(Waker::noop()), &mut into);
        let peeked = SockRef::from(stream.tcp()).peek(&mut [std::mem::MaybeUninit::uninit()]);
        polled.is_pending() && peeked.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Joins the halves. Returns `None` when they are not of one stream.
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
