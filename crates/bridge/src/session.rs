//! What a session is given, what it reports, and how it ended.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::time::Duration;

/// How long a session may continue after one side has closed: the value for [`Limits::half_close`].
pub const HALF_CLOSE: Duration = Duration::from_secs(30);

/// Bytes that were read before the bridge started. They are written before anything else, and once; the watch sees those
/// to the client first, as the end of the login.
#[derive(Debug, Default)]
pub struct Opening {
    /// Bytes that the client sent after its credentials without waiting. The watch checks them.
    pub to_backend: Vec<u8>,
    /// Bytes that the backend sent and the client has not received.
    pub to_client: Vec<u8>,
}

/// The time limits of a session.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Longest silence, in which neither side accepts a byte.
    pub idle: Duration,
    /// Longest time between the close of one side and that of the other. See [`HALF_CLOSE`].
    pub half_close: Duration,
}

/// A direction of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the client to the backend.
    ToBackend,
    /// From the backend to the client.
    ToClient,
}

/// Where a session is in its dialogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    /// Every command has its response: the session may end, and a final message may be written to the client.
    Boundary,
    /// The client is in the middle of a command or a message, and may go on sending while an end waits.
    InCommand,
    /// The backend is in the middle of a response, or has not sent it yet.
    InResponse,
    /// The dialogue cannot be followed: the session ends at once, and nothing may be written.
    Opaque,
}

/// Follows the dialogue of a session, so that an end from outside comes between two responses and not inside one, and
/// refuses bytes that must not be passed on.
///
/// `()` follows nothing: every position is a boundary.
pub trait Follow {
    /// Receives the bytes that are sent next. Returns whether they may be passed on; if not, the session ends and the other
    /// side receives none of them.
    #[must_use]
    fn see(&mut self, direction: Direction, bytes: &[u8]) -> bool;

    /// Returns where the session is after the bytes seen so far.
    fn position(&self) -> Position;

    /// Returns how many of the next bytes need not be seen: the rest of a message, for example. They may be reported to
    /// [`Follow::skip`] as a number instead, and are spliced between plain sockets.
    fn unseen(&self, direction: Direction) -> u64;

    /// Passes over `count` bytes, at most [`Follow::unseen`].
    fn skip(&mut self, direction: Direction, count: u64);

    /// Reports that an end was requested: bytes that must be looked at to find the next boundary are seen from now on.
    fn end_requested(&mut self) {}
}

/// Follows a session and counts its bytes.
pub trait Watch: Follow {
    /// Receives how many more bytes the sockets of the backend and of the client have accepted since the last call.
    /// Called once for each poll that moved bytes.
    fn moved(&mut self, to_backend: u64, to_client: u64) {
        let _ = (to_backend, to_client);
    }
}

/// The request to end a session at its next boundary.
pub struct EndRequest<'a, E> {
    /// Who requests it.
    pub by: E,
    /// Resolves when the session must end without having reached a boundary. It bounds the wait: a client that has
    /// stopped in the middle of a message must not keep its session.
    pub give_up: Pin<Box<dyn Future<Output = E> + Send + 'a>>,
}

/// How a session ended, and how many bytes it moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BridgeOutcome<E> {
    /// Bytes that the backend's socket accepted, including those of the opening.
    pub to_backend: u64,
    /// Bytes that the client's socket accepted, including those of the opening.
    pub to_client: u64,
    /// Why the session ended.
    pub why: BridgeEnd<E>,
}

/// Why a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BridgeEnd<E> {
    /// Both sides have closed, the client first.
    ClientClosed,
    /// Both sides have closed, the backend first.
    BackendClosed,
    /// No byte moved for [`Limits::idle`].
    Idle,
    /// One side closed, and the other did not close within [`Limits::half_close`].
    HalfCloseTimeout,
    /// The client's connection was reset: reset the backend's as well (`SO_LINGER` 0, then drop).
    ClientReset,
    /// The backend's connection was reset: reset the client's as well.
    BackendReset,
    /// The client's stream failed in another way: `TimedOut` from the kernel, `InvalidData` from TLS.
    ClientError(io::ErrorKind),
    /// The backend's stream failed in another way.
    BackendError(io::ErrorKind),
    /// [`Follow::see`] refused bytes.
    Refused {
        /// Whether the client has received every response that has begun and its stream is still open, so that a final
        /// message may be written, in the middle of its command, too.
        may_write: bool,
    },
    /// The future `end` resolved to `by`.
    Ended {
        /// The value of the future.
        by: E,
        /// Whether the client has received everything up to a boundary and its stream is still open, so that a final
        /// message may be written. Otherwise the stream can only be closed.
        at_boundary: bool,
    },
}

// === impl EndRequest ===

impl<'a, E> EndRequest<'a, E> {
    /// Returns a request that waits for a boundary until `give_up` resolves.
    pub fn new(by: E, give_up: impl Future<Output = E> + Send + 'a) -> Self {
        // Boxed: only a session that ends has it, and most sessions wait.
        Self { by, give_up: Box::pin(give_up) }
    }
}

// === impl Limits ===

impl Limits {
    /// Returns limits with `idle` (`timeouts.bridge_idle`) and [`HALF_CLOSE`].
    #[must_use]
    pub const fn with_idle(idle: Duration) -> Self {
        Self { idle, half_close: HALF_CLOSE }
    }
}

// === impl Follow ===

impl Follow for () {
    fn see(&mut self, _: Direction, _: &[u8]) -> bool {
        true
    }

    fn position(&self) -> Position {
        Position::Boundary
    }

    fn unseen(&self, _: Direction) -> u64 {
        u64::MAX
    }

    fn skip(&mut self, _: Direction, _: u64) {}
}

impl Watch for () {}
