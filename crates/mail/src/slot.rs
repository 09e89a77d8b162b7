//! A connection's place under the listener's limits.

use listen::Permit;
use observe::metrics::ConnectionGuard;
use types::outcome::ConnectionRefusal;

/// A connection's place under the listener's limits and in its counters, until the connection is closed.
pub(crate) struct Slot {
    guard: ConnectionGuard,
    _permit: Result<Permit, ConnectionRefusal>,
}

// === impl Slot ===

impl Slot {
    pub(crate) fn new(guard: ConnectionGuard, permit: Result<Permit, ConnectionRefusal>) -> Self {
        Self { guard, _permit: permit }
    }

    /// Counts the connection as a session from now on.
    pub(crate) fn bridged(&mut self) {
        self.guard.bridged();
    }
}
