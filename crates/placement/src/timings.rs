//! How long a placement took.

use std::time::Duration;

/// How long the steps before dialling took.
#[derive(Debug, Default, Clone, Copy)]
pub struct Timings {
    /// Waiting for a hold, a delay, or a place among the logins in flight.
    pub hold: Duration,
    /// Looking up the destination.
    pub lookup: Duration,
}
