//! A connection's place under the listener's limits.

use listen::{Full, Permit};
use observe::metrics::ConnectionGuard;

/// A connection's place under the listener's limits and in its counters, until the connection is closed.
pub(crate) struct Slot {
    guard: ConnectionGuard,
    _permit: Result<Permit, Full>,
}

// === impl Slot ===

impl Slot {
    pub(crate) fn new(guard: ConnectionGuard, permit: Result<Permit, Full>) -> Self {
        Self { guard, _permit: permit }
    }

    /// Counts the connection as a session from now on.
    pub(crate) fn bridged(&mut self) {
        self.guard.bridged();
    }
}
