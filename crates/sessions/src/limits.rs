//! The limits of an account, and the errors when one of them is reached.

use thiserror::Error;

/// Bounds per account (`[limits]`); 0 = no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Logins in flight of one account and client network (`logins_in_flight_per_account`).
    pub logins_in_flight: usize,
    /// Sessions of one account (`connections_per_account`).
    pub connections: usize,
}

/// An account has reached one of its limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Busy {
    /// As many logins of the account and client network wait as can.
    #[error("{max} logins of the account from the client's network are waiting; no more can wait", max = MAX_LOGINS_OF_NETWORK)]
    Logins,
    /// `connections_per_account` is reached.
    #[error("the account has as many sessions as limits.connections_per_account allows")]
    Connections,
}

/// The most logins of one account and client network, those that wait included. Each of them is a connection, so the
/// limit of connections per address is usually reached first.
pub(crate) const MAX_LOGINS_OF_NETWORK: usize = 1_024;
