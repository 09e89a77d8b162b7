//! The byte mover between a client and the backend that has its account.
//!
//! Most of a mail proxy's life is this: ten thousand clients that wait in IDLE, a few that load an attachment.
//! So the room exists to make waiting free and loading cheap. A session that waits holds **no** relay buffer,
//! and a session that moves bytes reads them into its worker's scratch and writes them on within the same poll;
//! only what the other side does not take is kept, and given back when it has been taken.
//!
//! What must never happen here: a byte lost, doubled or out of order; more kept than was read at once; a
//! direction read while the bytes before wait to be written; a loop that ends only when a peer pleases.
//!
//! | module | subject |
//! |---|---|
//! | `relay` | one session: who closed, how long silence may last, when it ends from outside |
//! | `flow` | one direction: read, write on, keep what is left, shut down |
//! | `scratch`, `rest` | the worker's buffer; what a slow side has not taken |
//! | `bulk`, `splice`, `pipe` | the way past user space between two plain sockets |

use std::future::Future;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

mod bulk;
mod flow;
mod pending;
#[cfg(target_os = "linux")]
mod pipe;
mod relay;
mod scratch;
mod session;
#[cfg(target_os = "linux")]
mod splice;

pub use session::{BOUNDARY_WAIT, HALF_CLOSE, Limits, Opening, Outcome, Watch, Why};

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
) -> Outcome<E>
where
    A: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
    W: Watch,
{
    relay::run::<A, B, bulk::Copied, W, E>(client, backend, opening, limits, watch, end).await
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
) -> Outcome<E> {
    #[cfg(target_os = "linux")]
    type Plain = splice::Spliced;
    #[cfg(not(target_os = "linux"))]
    type Plain = bulk::Copied;
    relay::run::<_, _, Plain, W, E>(client, backend, opening, limits, watch, end).await
}
