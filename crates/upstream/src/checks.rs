//! Checks of legs under the proxy's own address, which decide whether a leg is down.
//!
//! This crate decides when a leg is checked; the caller connects, since that takes the application protocol.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use types::fault::Fault;
use types::protocol::Protocol;

use crate::backend::{Backend, Backends};
use crate::health::CheckOutcome;

/// A check of a leg that has begun. Dropped without a result, it changes nothing.
#[derive(Debug)]
#[must_use = "the leg stays as it is until the check ends"]
pub struct LegCheck {
    backend: Arc<Backend>,
    protocol: Protocol,
    has_ended: bool,
}

// === impl Backends ===

impl Backends {
    /// Begins every check that is due.
    pub fn due_checks(&self) -> Vec<LegCheck> {
        let mut due = Vec::new();
        for (_, backend) in self.iter() {
            for (protocol, _) in backend.legs() {
                if backend.health(protocol).begin_check() {
                    due.push(LegCheck { backend: Arc::clone(backend), protocol, has_ended: false });
                }
            }
        }
        due
    }

    /// Returns when the next check is due, `None` if none is.
    #[must_use]
    pub fn next_check(&self) -> Option<Instant> {
        let legs = self.iter().flat_map(|(_, backend)| {
            backend.legs().map(|(protocol, _)| backend.health(protocol).next_check())
        });
        legs.flatten().min()
    }

    /// Returns what is notified when a check becomes due earlier than [`Backends::next_check`] has reported. It is the
    /// same for every later plan.
    #[must_use]
    pub fn check_wanted(&self) -> Arc<Notify> {
        Arc::clone(&self.check_wanted)
    }
}

// === impl LegCheck ===

impl LegCheck {
    /// Returns the backend to check.
    #[must_use]
    pub fn backend(&self) -> &Arc<Backend> {
        &self.backend
    }

    /// Returns the protocol of the leg.
    #[must_use]
    pub const fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Ends the check: the leg was ready after the given time, or has failed.
    pub fn end(mut self, result: Result<Duration, Fault>) {
        self.has_ended = true;
        let destination = &self.backend.destination().name;
        let protocol = self.protocol;
        match self.backend.health(protocol).end_check(Some(result)) {
            CheckOutcome::Up => self.backend.log_up(protocol),
            CheckOutcome::Down => {
                if let Err(fault) = result {
                    self.backend.log_down(protocol, fault);
                }
            }
            CheckOutcome::OnlyClients => tracing::warn!(
                %destination,
                %protocol,
                "the destination answers the proxy and fails for some clients: it may have banned them; it is not marked \
                 down"
            ),
            CheckOutcome::Unchanged => {}
        }
    }
}

impl Drop for LegCheck {
    fn drop(&mut self) {
        if !self.has_ended {
            self.backend.health(self.protocol).end_check(None);
        }
    }
}
