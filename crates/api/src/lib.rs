//! The management API as data: paths, parameters, responses.
//!
//! The crate exists so that the server and the command line use the same types. Field names are those of the published
//! API, which runbooks read with `jq`. What must never happen here: a published name or type that changes; fields are
//! only added.
//!
//! | module | subject |
//! |---|---|
//! | [`paths`], [`parameters`] | the requests |
//! | [`status`] | statistics, destinations, connections |
//! | [`mapping`] | mappings, import and export |
//! | [`moves`] | moves of accounts |
//! | [`compare`] | comparing an account's mailbox at two destinations |
//! | [`action`] | responses of calls that change something else |
//! | [`audit`] | the audit log |
//! | [`event`] | the events of `GET /events` |
//! | [`problem`] | errors (RFC 9457) |

pub mod action;
pub mod audit;
pub mod compare;
pub mod event;
pub mod mapping;
pub mod moves;
pub mod parameters;
pub mod paths;
pub mod problem;
pub mod status;

pub use problem::{Diagnostic, Problem};

#[cfg(test)]
mod tests;
