//! A connection's permit and its counters.

use std::net::IpAddr;

use listen::Permit;
use observe::metrics::ConnectionGuard;
use types::outcome::ConnectionRefusal;

/// A connection's permit and its entry in the listener's counters, until the connection is closed.
pub(crate) struct Slot {
    guard: ConnectionGuard,
    permit: Permit,
}

// === impl Slot ===

impl Slot {
    pub(crate) fn new(guard: ConnectionGuard, permit: Permit) -> Self {
        Self { guard, permit }
    }

    /// Counts the connection for the client at `address`, which a trusted front has reported.
    ///
    /// # Errors
    /// Returns the limit that the client has reached.
    pub(crate) fn count_for_client(
        &mut self,
        address: IpAddr,
        limit_per_address: usize,
    ) -> Result<(), ConnectionRefusal> {
        self.permit.count_for_client(address, limit_per_address)
    }

    /// Counts the connection as a session from now on.
    pub(crate) fn bridged(&mut self) {
        self.guard.bridged();
    }
}
