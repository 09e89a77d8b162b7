//! Which host of a backend is tried next, and for how long.
//!
//! Each host is tried in turn, then all of them again as often as the plan allows, until the deadline. Every
//! attempt needs the circuit breaker's permit, and every failure is reported to it.

use std::slice;
use std::time::Duration;

use tokio::time::Instant;
use types::fault::Fault;
use types::protocol::Protocol;

use crate::health::Permit;
use crate::{Backend, ClientIdentity};

/// The attempts to open one connection.
#[derive(Debug)]
pub struct Attempts<'a> {
    backend: &'a Backend,
    protocol: Protocol,
    client: &'a ClientIdentity,
    deadline: Instant,
    hosts: slice::Iter<'a, String>,
    rounds_left: u32,
    is_first: bool,
    last_fault: Fault,
}

/// One host to connect to. Report the result with [`Attempts::succeeded`] or [`Attempts::failed`]; an attempt that is
/// dropped counts as neither.
#[derive(Debug)]
pub struct HostAttempt<'a> {
    /// The host's name or address.
    pub host: &'a str,
    permit: Permit<'a>,
}

// === impl Backend ===

impl Backend {
    /// Begins to connect the leg for `protocol`, on behalf of `client`, until `deadline`.
    #[must_use]
    pub fn attempts<'a>(
        &'a self,
        protocol: Protocol,
        client: &'a ClientIdentity,
        deadline: Instant,
    ) -> Attempts<'a> {
        Attempts {
            backend: self,
            protocol,
            client,
            deadline,
            hosts: self.destination().hosts.iter(),
            rounds_left: self.retries,
            is_first: true,
            last_fault: Fault::Unreachable,
        }
    }
}

// === impl Attempts ===

impl<'a> Attempts<'a> {
    /// Returns the host to try next.
    ///
    /// # Errors
    /// The fault of the last attempt when no other is allowed, and [`Fault::MarkedDown`] while the circuit breaker
    /// is open.
    pub fn next_host(&mut self) -> Result<HostAttempt<'a>, Fault> {
        let is_late = !self.is_first && Instant::now() >= self.deadline;
        self.is_first = false;
        if is_late {
            return Err(self.last_fault);
        }
        let Some(host) = self.hosts.next().or_else(|| self.first_host_again()) else {
            return Err(self.last_fault);
        };
        let permit = self.backend.health(self.protocol).permit()?;
        Ok(HostAttempt { host, permit })
    }

    /// Reports that the backend is ready, `took` after the attempt began.
    pub fn succeeded(&self, attempt: HostAttempt<'_>, took: Duration) {
        if attempt.permit.succeeded(took) {
            self.backend.log_up(self.protocol);
        }
    }

    /// Reports that the attempt failed.
    pub fn failed(&mut self, attempt: HostAttempt<'_>, fault: Fault) {
        self.last_fault = fault;
        if attempt.permit.failed(fault, self.client.client.ip()) {
            self.backend.log_down(self.protocol, fault);
        }
    }

    fn first_host_again(&mut self) -> Option<&'a String> {
        if self.rounds_left == 0 || !self.last_fault.is_retryable() {
            return None;
        }
        self.rounds_left -= 1;
        self.hosts = self.backend.destination().hosts.iter();
        self.hosts.next()
    }
}
