//! What a session is given, what it reports, and how it ended.

use std::io;
use std::time::Duration;

/// How long an end from outside waits for [`Watch::at_boundary`]. A kick or a move must not hang on a client
/// that has stopped reading in the middle of a message.
pub const BOUNDARY_WAIT: Duration = Duration::from_secs(2);

/// How long a session may continue after one side has closed: the value for [`Limits::half_close`].
pub const HALF_CLOSE: Duration = Duration::from_secs(30);

/// Bytes that were read before the bridge started. They are written before anything else, and once.
#[derive(Debug, Default)]
pub struct Opening {
    /// Bytes that the client sent after its credentials without waiting. The watch checks them.
    pub to_backend: Vec<u8>,
    /// Bytes that the backend sent and the client has not received. The watch sees them.
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

/// Follows the bytes to the client, so that an end from outside comes between two lines and not inside one; checks the
/// bytes to the backend; and counts the bytes that pass.
///
/// `()` is a watch for which every position is a boundary.
pub trait Watch {
    /// Receives the bytes that are sent to the client next.
    fn to_client(&mut self, bytes: &[u8]);

    /// Returns whether the stream to the client may be cut after the bytes seen so far.
    fn at_boundary(&self) -> bool;

    /// Returns how many of the next bytes the watch does not need to see: the rest of a literal, for example. They may
    /// be reported to [`Watch::skip`] as a number instead, and are spliced between plain sockets.
    fn unseen(&self) -> u64 {
        0
    }

    /// Receives how many more bytes the sockets of the backend and of the client have accepted since the last call.
    /// Called once for each poll that moved bytes.
    fn moved(&mut self, to_backend: u64, to_client: u64) {
        let _ = (to_backend, to_client);
    }

    /// Passes over `count` bytes, at most [`Watch::unseen`].
    fn skip(&mut self, count: u64) {
        let _ = count;
    }

    /// Receives the bytes that the client has sent, before the backend does. Returns whether they may be passed on; if not,
    /// the session ends and the backend receives none of them.
    #[must_use]
    fn to_backend(&mut self, bytes: &[u8]) -> bool {
        let _ = bytes;
        true
    }

    /// Returns how many of the client's next bytes need not be checked, as [`Watch::unseen`] does for the backend's.
    fn unseen_to_backend(&self) -> u64 {
        u64::MAX
    }

    /// Passes over `count` bytes of the client, at most [`Watch::unseen_to_backend`].
    fn skip_to_backend(&mut self, count: u64) {
        let _ = count;
    }
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
    /// [`Watch::to_backend`] refused bytes of the client.
    Refused {
        /// As in [`BridgeEnd::Ended`].
        at_boundary: bool,
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

// === impl Limits ===

impl Limits {
    /// Returns limits with `idle` (`timeouts.bridge_idle`) and [`HALF_CLOSE`].
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
