//! ManageSieve before the bridge (RFC 5804).
//!
//! [`Dialogue`] is the server side towards the client, [`Replay`] the client side towards the backend. Neither may read
//! the octets of a refused literal as commands, accept a cleartext password unless the configuration allows it, or copy
//! a byte from the client into a command to the backend outside a string.

mod command;
mod dialogue;
mod replay;
mod replies;
mod response;
mod string;
#[cfg(test)]
mod tests;

pub use dialogue::Dialogue;
pub use replay::Replay;
