//! The types that every crate shares: identifiers, protocols, networks, session ids, secrets, faults and outcomes.
//!
//! These types are plain values. Nothing here opens a socket, reads a clock or the configuration, and nothing
//! here prints a secret.
//!
//! | module | subject |
//! |---|---|
//! | [`identifier`] | the account name that routes |
//! | [`protocol`] | the protocols and their names |
//! | [`network`] | networks in the configuration, and the network that counts as one client |
//! | [`session_id`] | the random id that names a session everywhere |
//! | [`secret`] | bytes that wipe themselves and never print |
//! | [`fault`] | why a connection to a backend failed, and who is to blame |
//! | [`outcome`], [`bad_credential`] | what became of connections, logins and sessions |

pub mod bad_credential;
pub mod fault;
pub mod identifier;
pub mod network;
pub mod outcome;
pub mod protocol;
pub mod secret;
pub mod session_id;
