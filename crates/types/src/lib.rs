//! The words that every crate shares: identifiers, protocols, networks, secrets and faults.
//!
//! These types are plain values. Nothing here opens a socket, reads a clock or the configuration, and nothing
//! here prints a secret.
//!
//! | module | subject |
//! |---|---|
//! | [`identifier`] | the account name that routes |
//! | [`protocol`] | the protocols and their names |
//! | [`network`] | the client network that limits count by |
//! | [`secret`] | bytes that wipe themselves and never print |
//! | [`fault`] | why a connection to a backend failed, and who is to blame |

pub mod fault;
pub mod identifier;
pub mod network;
pub mod protocol;
pub mod secret;
