//! POP3 before the bridge (RFC 1939, 2449, 2595, 5034, 6856).
//!
//! [`Dialogue`] is the server side towards the client, [`Replay`] the client side towards the backend. Neither may accept
//! a cleartext password unless the configuration allows it, change a byte of a password, or copy a line end from the
//! client into a command to the backend.

mod command;
mod dialogue;
mod replay;
mod replies;
mod response;
#[cfg(test)]
mod tests;

pub use dialogue::Dialogue;
pub use replay::Replay;
