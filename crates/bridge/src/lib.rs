//! The byte mover between a client and the backend that has its account.
//!
//! A mail proxy mostly serves clients that wait in IDLE, and a few that download an attachment. This crate makes waiting
//! free and downloading cheap. A waiting session holds **no** relay buffer. A session that moves bytes reads them into
//! the buffer of its worker thread and writes them within the same poll; only what the other side does not accept is
//! kept, and freed when it has been written.
//!
//! What must never happen here: a byte is lost, doubled or reordered; more is kept than one read returned; a direction
//! is read while earlier bytes wait to be written; a loop ends only when a peer wants it to.
//!
//! | module | subject |
//! |---|---|
//! | `session` | what a session is given, and how it ended |
//! | `relay` | one session: who closed, how long silence may last, when it ends from outside |
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

pub use session::{BOUNDARY_WAIT, BridgeEnd, BridgeOutcome, HALF_CLOSE, Limits, Opening, Watch};

/// Moves bytes both ways until one side or `end` ends it.
///
/// Half-closes are passed on with `poll_shutdown`, which for TLS sends `close_notify`; a TLS peer that leaves
/// without one counts as having closed, as mail programs do. On return nothing has been closed that was not
/// closed by a peer: that is the caller's, who knows whether to say goodbye or to reset.
///
/// Not cancel-safe: dropping the future drops the bytes that it keeps. Stop it with `end`.
pub async fn run<A, B, W, E>(
    client: &mut A,
    backend: &mut B,
    opening: Opening,
    limits: Limits,
    watch: W,
    end: impl Future<Output = E>,
) -> BridgeOutcome<E>
where
    A: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
    W: Watch,
{
    relay::run::<A, B, fast_path::CopyOnly, W, E>(client, backend, opening, limits, watch, end).await
}

/// [`run`] between two plain sockets: what comes in bulk is moved by `splice(2)` and never copied to user
/// space, where the kernel can and the [`Watch`] need not see it. A session that waits holds no pipe either.
///
/// The pipes of the whole process are bounded: at most 128, which is 256 descriptors.
pub async fn run_tcp<W: Watch, E>(
    client: &mut TcpStream,
    backend: &mut TcpStream,
    opening: Opening,
    limits: Limits,
    watch: W,
    end: impl Future<Output = E>,
) -> BridgeOutcome<E> {
    #[cfg(target_os = "linux")]
    type Plain = splice::Spliced;
    #[cfg(not(target_os = "linux"))]
    type Plain = fast_path::CopyOnly;
    relay::run::<_, _, Plain, W, E>(client, backend, opening, limits, watch, end).await
}
