//! IMAP before the bridge (RFC 9051, 3501).
//!
//! [`Dialogue`] is the server side towards the client, [`Replay`] the client side towards the backend. Neither may read
//! the octets of a refused literal as commands, accept a cleartext password unless the configuration allows it, or copy
//! a byte from the client into a command to the backend unquoted.

mod command;
mod dialogue;
mod id;
mod replay;
mod response;
#[cfg(test)]
mod tests;

pub use dialogue::Dialogue;
pub use replay::Replay;
