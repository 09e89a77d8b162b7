//! Bulk between two plain sockets by splice(2): from the one through a pipe to the other, inside the kernel.
//!
//! Bytes that have gone into a pipe exist nowhere else. So whatever goes wrong on the way out, they are either
//! given on, or read back, or the session fails; and a pipe is let go only when it is empty.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::task::{Context, Poll};

use rustix::pipe::{SpliceFlags, splice};
use tokio::io::Interest;
use tokio::net::TcpStream;

use crate::bulk::{Bulk, FastPath, Fault, Given, Taken};
use crate::pipe::{PIPES, Pipe};
use crate::scratch;

/// Less than this at once is not bulk any more: one read does as well.
const THIN: usize = scratch::LENGTH;

/// One direction's way through the kernel.
#[derive(Debug)]
pub(crate) struct Spliced {
    calls: Calls,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Copying does for now.
    Resting,
    /// There is bulk to be taken, or inside.
    UnderWay { pipe: Pipe, thin: bool },
    /// The kernel cannot: never again in this session.
    Closed,
}

/// The two system calls: a place for tests to let them fail. From a descriptor, to a descriptor, at most.
#[derive(Clone, Copy, Debug)]
struct Calls {
    fill: fn(BorrowedFd<'_>, BorrowedFd<'_>, usize) -> io::Result<usize>,
    drain: fn(BorrowedFd<'_>, BorrowedFd<'_>, usize) -> io::Result<usize>,
}

// === impl Spliced ===

impl Default for Spliced {
    fn default() -> Self {
        Self { calls: Calls { fill: call, drain: call }, state: State::Resting }
    }
}

impl FastPath for Spliced {
    fn begin(&mut self) {
        if matches!(self.state, State::Resting)
            && let Some(pipe) = PIPES.lend()
        {
            self.state = State::UnderWay { pipe, thin: false };
        }
    }

    fn is_under_way(&self) -> bool {
        matches!(self.state, State::UnderWay { .. })
    }

    fn inside(&self) -> usize {
        match &self.state {
            State::UnderWay { pipe, .. } => pipe.inside(),
            State::Resting | State::Closed => 0,
        }
    }
}

impl Bulk<TcpStream, TcpStream> for Spliced {
    fn take(&mut self, cx: &mut Context<'_>, from: &mut TcpStream, allowance: u64) -> Result<Taken, Fault> {
        let State::UnderWay { pipe, thin } = &mut self.state else { return Ok(Taken::Over) };
        if *thin || allowance == 0 {
            self.rest();
            return Ok(Taken::Over);
        }
        // Not readable: resting registers nothing, but the read that follows does.
        let ready = match from.poll_read_ready(cx) {
            Poll::Ready(Ok(())) => pipe.fill(allowance, |writer, length| {
                from.try_io(Interest::READABLE, || (self.calls.fill)(from.as_fd(), writer, length))
            }),
            Poll::Ready(Err(error)) => Err(error),
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        };
        match ready {
            Ok(0) => {
                self.rest();
                Ok(Taken::Ended)
            }
            Ok(count) => {
                *thin = count < THIN;
                Ok(Taken::Bytes(count as u64))
            }
            Err(error) => match error.kind() {
                io::ErrorKind::Interrupted => Ok(Taken::Bytes(0)),
                io::ErrorKind::WouldBlock => {
                    self.rest();
                    Ok(Taken::Over)
                }
                _ if cannot(&error) => {
                    self.state = State::Closed;
                    Ok(Taken::Over)
                }
                kind => Err(Fault::From(kind)),
            },
        }
    }

    fn poll_give(&mut self, cx: &mut Context<'_>, to: &mut TcpStream) -> Poll<Result<Given, Fault>> {
        let State::UnderWay { pipe, .. } = &mut self.state else {
            return Poll::Ready(Ok(Given::Bytes(0)));
        };
        let drained = match to.poll_write_ready(cx) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Err(error)) => Err(error),
            Poll::Ready(Ok(())) => pipe.drain(|reader, length| {
                to.try_io(Interest::WRITABLE, || (self.calls.drain)(reader, to.as_fd(), length))
            }),
        };
        Poll::Ready(match drained {
            // A pipe with bytes in it and its writer open never ends: something is badly wrong.
            Ok(0) => Err(Fault::To(io::ErrorKind::WriteZero)),
            Ok(count) => Ok(Given::Bytes(count as u64)),
            // The readiness is forgotten: the next round registers and waits.
            Err(error) if is_again(&error) => Ok(Given::Bytes(0)),
            Err(error) if cannot(&error) => match pipe.rescue() {
                Ok(bytes) => {
                    self.state = State::Closed;
                    Ok(Given::Rescued(bytes))
                }
                Err(error) => Err(Fault::To(error.kind())),
            },
            Err(error) => Err(Fault::To(error.kind())),
        })
    }
}

impl Spliced {
    /// Over for now; an empty pipe goes back.
    fn rest(&mut self) {
        if let State::UnderWay { pipe, .. } = std::mem::replace(&mut self.state, State::Resting) {
            pipe.give_back();
        }
    }
}

fn call(from: BorrowedFd<'_>, to: BorrowedFd<'_>, length: usize) -> io::Result<usize> {
    Ok(splice(from, None, to, None, length, SpliceFlags::NONBLOCK | SpliceFlags::MOVE)?)
}

fn is_again(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

/// The kernel, or what stands before it (a sandbox's filter), does not do this: EINVAL, ENOSYS, EPERM,
/// EOPNOTSUPP.
fn cannot(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported | io::ErrorKind::PermissionDenied
    )
}

#[cfg(test)]
mod tests;
