//! The byte mover between a client and the backend that has its account.
//!
//! A mail proxy mostly serves clients that wait in IDLE, and a few that download an attachment. This crate makes waiting
//! free and downloading cheap. A waiting session holds **no** relay buffer. A session that moves bytes reads them into
//! the buffer of its worker thread and writes them within the same poll; only what the other side does not accept is
//! kept, and freed when it has been written.
//!
//! What must never happen here: a byte is lost, doubled or reordered; more is kept than one read returned; a direction
//! is read while earlier bytes wait to be written; a loop runs until the peer stops it.
//!
//! | module | subject |
//! |---|---|
//! | `session` | the parameters of a session, and how it ended |
//! | `relay` | one session: closes, time limits, ends from outside |
//! | `flow` | one direction: read, write, keep what the sink does not accept, shut down |
//! | `scratch`, `pending_bytes` | the worker's buffer; what a slow side has not accepted |
//! | `fast_path`, `splice`, `pipe` | bulk data between two plain sockets, inside the kernel |

use std::future::Future;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

mod fast_path;
mod flow;
mod pending_bytes;
#[cfg(target_os = "linux")]
mod pipe;
mod relay;
mod scratch;
mod session;
#[cfg(target_os = "linux")]
mod splice;

pub use session::{
    BridgeEnd, BridgeOutcome, Direction, EndRequest, Follow, HALF_CLOSE, Limits, Opening, Position, Watch,
};

/// Moves bytes both ways until one side or `end` ends it.
///
/// Half-closes are passed on with `poll_shutdown`, which for TLS sends `close_notify`. A TLS peer that closes without
/// `close_notify`, as many mail programs do, counts as closed. On return nothing has been closed that was not
/// closed by a peer: the caller decides whether to close or to reset.
///
/// Not cancel-safe: dropping the future loses the bytes that it holds. Stop it with `end`.
pub async fn run<'e, A, B, W, E>(
    client: &mut A,
    backend: &mut B,
    opening: Opening,
    limits: Limits,
    watch: W,
    end: impl Future<Output = EndRequest<'e, E>>,
) -> BridgeOutcome<E>
where
    A: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
    W: Watch,
{
    relay::run::<A, B, fast_path::CopyOnly, W, E>(client, backend, opening, limits, watch, end).await
}

/// [`run`] between two plain sockets: bulk data that the [`Watch`] does not need to see is moved by `splice(2)`, if the
/// kernel supports it, and never copied to user space. A waiting session holds no pipe.
///
/// The pipes of the whole process are bounded: at most 128, which is 256 descriptors.
pub async fn run_tcp<'e, W: Watch, E>(
    client: &mut TcpStream,
    backend: &mut TcpStream,
    opening: Opening,
    limits: Limits,
    watch: W,
    end: impl Future<Output = EndRequest<'e, E>>,
) -> BridgeOutcome<E> {
    #[cfg(target_os = "linux")]
    type Plain = splice::Spliced;
    #[cfg(not(target_os = "linux"))]
    type Plain = fast_path::CopyOnly;
    relay::run::<_, _, Plain, W, E>(client, backend, opening, limits, watch, end).await
}
