//! What a session is given, what it reports, and how it ended.

use std::io;
use std::time::Duration;

/// How long an end from outside waits for [`Watch::at_boundary`]. A kick or a move must not hang on a client
/// that has stopped reading in the middle of a message.
pub const BOUNDARY_WAIT: Duration = Duration::from_secs(2);

/// How long a session whose one side has closed may go on: the value for [`Limits::half_close`].
pub const HALF_CLOSE: Duration = Duration::from_secs(30);

/// Bytes that were read before the bridge and belong to the other side. Each is written first, and once.
#[derive(Debug, Default)]
pub struct Opening {
    /// What the client pipelined after its credentials.
    pub to_backend: Vec<u8>,
    /// What the backend sent and the client has not received. The watch sees it.
    pub to_client: Vec<u8>,
}

/// When a session has lasted long enough.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Longest silence: no byte taken by either side.
    pub idle: Duration,
    /// Longest time from the one side's close to the other's. See [`HALF_CLOSE`].
    pub half_close: Duration,
}

/// Follows the bytes to the client, so that an end from outside comes between two lines and not inside one, and
/// counts the bytes that pass.
///
/// `()` is a watch for which every place is a boundary.
pub trait Watch {
    /// The bytes that go to the client next.
    fn to_client(&mut self, bytes: &[u8]);

    /// Returns whether the stream to the client may be cut after the bytes seen so far.
    fn at_boundary(&self) -> bool;

    /// How many of the next bytes need not be seen, and may be passed to [`Watch::skip`] as a number instead:
    /// the rest of a literal, say. Between plain sockets those are spliced inside the kernel.
    fn unseen(&self) -> u64 {
        0
    }

    /// So many more bytes were taken by the backend's socket and by the client's, since the last call. Called
    /// once for each time that bytes passed, not for each byte.
    fn moved(&mut self, to_backend: u64, to_client: u64) {
        let _ = (to_backend, to_client);
    }

    /// Passes over `count` bytes, at most [`Watch::unseen`].
    fn skip(&mut self, count: u64) {
        let _ = count;
    }
}

/// How a session ended, and how many bytes it moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BridgeOutcome<E> {
    /// Bytes that the backend's socket took, the opening's included.
    pub to_backend: u64,
    /// Bytes that the client's socket took, the opening's included.
    pub to_client: u64,
    /// BridgeEnd it is over.
    pub why: BridgeEnd<E>,
}

/// BridgeEnd a session is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BridgeEnd<E> {
    /// Both sides have closed, the client first.
    ClientClosed,
    /// Both sides have closed, the backend first.
    BackendClosed,
    /// [`Limits::idle`] without a byte.
    Idle,
    /// One side had closed, the other had not within [`Limits::half_close`].
    HalfCloseTimeout,
    /// The client's connection was reset: reset the backend's as well (`SO_LINGER` 0, then drop).
    ClientReset,
    /// The backend's connection was reset: reset the client's as well.
    BackendReset,
    /// The client's stream failed in another way: `TimedOut` from the kernel, `InvalidData` from TLS.
    ClientError(io::ErrorKind),
    /// The backend's stream failed in another way.
    BackendError(io::ErrorKind),
    /// The future `end` resolved to `by`.
    Ended {
        /// What it resolved to.
        by: E,
        /// Whether the client has been sent everything up to a boundary, nothing is kept, and its stream is
        /// still open: a goodbye may be written. If not, only closing is left.
        at_boundary: bool,
    },
}

// === impl Limits ===

impl Limits {
    /// `idle` (`timeouts.bridge_idle`), and [`HALF_CLOSE`].
    #[must_use]
    pub const fn with_idle(idle: Duration) -> Self {
        Self { idle, half_close: HALF_CLOSE }
    }
}

// === impl Watch ===

impl Watch for () {
    fn to_client(&mut self, _: &[u8]) {}

    fn at_boundary(&self) -> bool {
        true
    }

    fn unseen(&self) -> u64 {
        u64::MAX
    }
}
