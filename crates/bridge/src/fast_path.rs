//! The fast path for bulk data, where the streams have one.
//!
//! Copying suits the short lines of a dialogue. A direction whose reads fill the scratch buffer carries a message and
//! may have a faster path: [`FastPath`] is its interface, [`CopyOnly`] its absence. A fast path must never lose bytes
//! that have left the source: it delivers them, hands them back or fails the session.

use std::io;
use std::task::{Context, Poll};

/// Which side of a direction failed, and how; or that its bytes were refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FlowError {
    /// Reading failed.
    Read(io::ErrorKind),
    /// Writing failed.
    Write(io::ErrorKind),
    /// The inspector refused the bytes that were read; none of them was written.
    Refused,
}

/// The result of [`FastPath::fill`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Filled {
    /// This many bytes have left the source.
    Bytes(u64),
    /// The source has ended.
    SourceEnded,
    /// There is no bulk data any more: go on copying.
    Finished,
}

/// The result of [`FastPath::poll_drain`].
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Drained {
    /// This many bytes have reached the sink.
    Bytes(u64),
    /// The fast path is closed for good. These bytes have left the source and not reached the sink.
    Rescued(Vec<u8>),
}

/// The state of a fast path, whatever its streams.
pub(crate) trait FastPathState: Default {
    /// Starts, if possible. Called after a read that filled the buffer.
    fn start(&mut self);

    /// Returns whether it has started and not finished.
    fn is_active(&self) -> bool;

    /// Returns the number of bytes that have left the source and not reached the sink.
    fn buffered(&self) -> usize;
}

/// Moves bytes from an `R` to a `W` without reading and writing them in user space.
pub(crate) trait FastPath<R, W>: FastPathState {
    /// Takes up to `allowance` bytes from the source. Called only while nothing is buffered.
    fn fill(&mut self, cx: &mut Context<'_>, from: &mut R, allowance: u64) -> Result<Filled, FlowError>;

    /// Passes buffered bytes to the sink. Called only while some are buffered.
    fn poll_drain(&mut self, cx: &mut Context<'_>, to: &mut W) -> Poll<Result<Drained, FlowError>>;
}

/// No fast path: every byte is read and written.
#[derive(Debug, Default)]
pub(crate) struct CopyOnly;

// === impl CopyOnly ===

impl FastPathState for CopyOnly {
    fn start(&mut self) {}

    fn is_active(&self) -> bool {
        false
    }

    fn buffered(&self) -> usize {
        0
    }
}

impl<R, W> FastPath<R, W> for CopyOnly {
    fn fill(&mut self, _: &mut Context<'_>, _: &mut R, _: u64) -> Result<Filled, FlowError> {
        Ok(Filled::Finished)
    }

    fn poll_drain(&mut self, _: &mut Context<'_>, _: &mut W) -> Poll<Result<Drained, FlowError>> {
        Poll::Ready(Ok(Drained::Bytes(0)))
    }
}
