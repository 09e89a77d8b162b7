//! Moves bulk data between two plain sockets with `splice(2)`: through a pipe, inside the kernel.
//!
//! Bytes in a pipe exist nowhere else. When draining fails, they are delivered later, read back, or the session fails;
//! a pipe returns to the pool only when it is empty.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::task::{Context, Poll};

use rustix::pipe::{SpliceFlags, splice};
use tokio::io::Interest;
use tokio::net::TcpStream;

use crate::fast_path::{Drained, FastPath, FastPathState, Filled, FlowError};
use crate::pipe::{PIPES, Pipe};
use crate::scratch;

/// Fewer bytes than this in one call are not bulk data any more: one read moves them as well.
const MIN_BULK: usize = scratch::LENGTH;

/// The fast path of one direction through the kernel.
#[derive(Debug)]
pub(crate) struct Spliced {
    calls: Calls,
    state: SpliceState,
}

#[derive(Debug)]
enum SpliceState {
    /// Copying suffices for now.
    Idle,
    /// There is bulk data to move. `is_thin` after a call that moved less than [`MIN_BULK`].
    Active { pipe: Pipe, is_thin: bool },
    /// The kernel cannot splice these sockets: never tried again in this session.
    Unsupported,
}

/// The two system calls (from, to, longest length), replaceable so that tests can make them fail.
#[derive(Clone, Copy, Debug)]
struct Calls {
    fill: fn(BorrowedFd<'_>, BorrowedFd<'_>, usize) -> io::Result<usize>,
    drain: fn(BorrowedFd<'_>, BorrowedFd<'_>, usize) -> io::Result<usize>,
}

// === impl Spliced ===

impl Default for Spliced {
    fn default() -> Self {
        Self { calls: Calls { fill: splice_call, drain: splice_call }, state: SpliceState::Idle }
    }
}

impl FastPathState for Spliced {
    fn start(&mut self) {
        if matches!(self.state, SpliceState::Idle)
            && let Some(pipe) = PIPES.acquire()
        {
            self.state = SpliceState::Active { pipe, is_thin: false };
        }
    }

    fn is_active(&self) -> bool {
        matches!(self.state, SpliceState::Active { .. })
    }

    fn buffered(&self) -> usize {
        match &self.state {
            SpliceState::Active { pipe, .. } => pipe.buffered(),
            SpliceState::Idle | SpliceState::Unsupported => 0,
        }
    }
}

impl FastPath<TcpStream, TcpStream> for Spliced {
    fn fill(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut TcpStream,
        allowance: u64,
    ) -> Result<Filled, FlowError> {
        let SpliceState::Active { pipe, is_thin } = &mut self.state else { return Ok(Filled::Finished) };
        if *is_thin || allowance == 0 {
            self.stop();
            return Ok(Filled::Finished);
        }
        // Not readable: `stop` registers no wake-up, but the read that follows does.
        let ready = match from.poll_read_ready(cx) {
            Poll::Ready(Ok(())) => pipe.fill(allowance, |writer, length| {
                from.try_io(Interest::READABLE, || (self.calls.fill)(from.as_fd(), writer, length))
            }),
            Poll::Ready(Err(error)) => Err(error),
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        };
        match ready {
            Ok(0) => {
                self.stop();
                Ok(Filled::SourceEnded)
            }
            Ok(count) => {
                *is_thin = count < MIN_BULK;
                Ok(Filled::Bytes(count as u64))
            }
            Err(error) => match error.kind() {
                io::ErrorKind::Interrupted => Ok(Filled::Bytes(0)),
                io::ErrorKind::WouldBlock => {
                    self.stop();
                    Ok(Filled::Finished)
                }
                _ if is_unsupported(&error) => {
                    self.state = SpliceState::Unsupported;
                    Ok(Filled::Finished)
                }
                kind => Err(FlowError::Read(kind)),
            },
        }
    }

    fn poll_drain(&mut self, cx: &mut Context<'_>, to: &mut TcpStream) -> Poll<Result<Drained, FlowError>> {
        let SpliceState::Active { pipe, .. } = &mut self.state else {
            return Poll::Ready(Ok(Drained::Bytes(0)));
        };
        let drained = match to.poll_write_ready(cx) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Err(error)) => Err(error),
            Poll::Ready(Ok(())) => pipe.drain(|reader, length| {
                to.try_io(Interest::WRITABLE, || (self.calls.drain)(reader, to.as_fd(), length))
            }),
        };
        Poll::Ready(match drained {
            // A pipe that holds bytes and has an open writer cannot report its end: fail the session.
            Ok(0) => Err(FlowError::Write(io::ErrorKind::WriteZero)),
            Ok(count) => Ok(Drained::Bytes(count as u64)),
            // `try_io` has cleared the readiness: the next round registers and waits.
            Err(error) if is_again(&error) => Ok(Drained::Bytes(0)),
            Err(error) if is_unsupported(&error) => match pipe.rescue() {
                Ok(bytes) => {
                    self.state = SpliceState::Unsupported;
                    Ok(Drained::Rescued(bytes))
                }
                Err(error) => Err(FlowError::Write(error.kind())),
            },
            Err(error) => Err(FlowError::Write(error.kind())),
        })
    }
}

impl Spliced {
    /// Stops for now and returns an empty pipe to the pool.
    fn stop(&mut self) {
        if let SpliceState::Active { pipe, .. } = std::mem::replace(&mut self.state, SpliceState::Idle) {
            pipe.release();
        }
    }
}

fn splice_call(from: BorrowedFd<'_>, to: BorrowedFd<'_>, length: usize) -> io::Result<usize> {
    Ok(splice(from, None, to, None, length, SpliceFlags::NONBLOCK | SpliceFlags::MOVE)?)
}

fn is_again(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

/// Returns whether the kernel, or a sandbox's filter, does not support the call: EINVAL, ENOSYS, EPERM, EOPNOTSUPP.
fn is_unsupported(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported | io::ErrorKind::PermissionDenied
    )
}

#[cfg(test)]
mod tests;
