//! The other way for bytes that come in bulk, where there is one.
//!
//! Copying is right for the short lines that make up a dialogue; a direction whose reads fill the scratch is
//! carrying a message, and may have a shorter way. [`Bulk`] is that way's shape, [`Copied`] its absence.

use std::io;
use std::task::{Context, Poll};

/// Which side of a direction failed, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The side that is read.
    From(io::ErrorKind),
    /// The side that is written.
    To(io::ErrorKind),
}

/// What [`Bulk::take`] came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// So many bytes have left the source.
    Bytes(u64),
    /// The source has ended.
    Ended,
    /// Nothing in bulk: it is over, go on copying.
    Over,
}

/// What [`Bulk::poll_give`] came to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Given {
    /// So many bytes have reached the sink.
    Bytes(u64),
    /// The way is closed for good; these bytes have left the source and not reached the sink.
    Rescued(Vec<u8>),
}

/// The state of another way.
pub(crate) trait FastPath: Default {
    /// The last read was a full one: begin if possible.
    fn begin(&mut self);

    /// Whether it has begun and is not over.
    fn is_under_way(&self) -> bool;

    /// Bytes that have left the source and not reached the sink.
    fn inside(&self) -> usize;
}

/// Moves bytes from an `R` to a `W` in another way than reading and writing.
pub(crate) trait Bulk<R, W>: FastPath {
    /// Takes up to `allowance` bytes from the source; called while nothing is inside.
    fn take(&mut self, cx: &mut Context<'_>, from: &mut R, allowance: u64) -> Result<Taken, Fault>;

    /// Gives what is inside; called while something is.
    fn poll_give(&mut self, cx: &mut Context<'_>, to: &mut W) -> Poll<Result<Given, Fault>>;
}

/// No other way: everything is read and written.
#[derive(Debug, Default)]
pub(crate) struct Copied;

// === impl Copied ===

impl FastPath for Copied {
    fn begin(&mut self) {}

    fn is_under_way(&self) -> bool {
        false
    }

    fn inside(&self) -> usize {
        0
    }
}

impl<R, W> Bulk<R, W> for Copied {
    fn take(&mut self, _: &mut Context<'_>, _: &mut R, _: u64) -> Result<Taken, Fault> {
        Ok(Taken::Over)
    }

    fn poll_give(&mut self, _: &mut Context<'_>, _: &mut W) -> Poll<Result<Given, Fault>> {
        Poll::Ready(Ok(Given::Bytes(0)))
    }
}
