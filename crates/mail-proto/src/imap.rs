//! IMAP before the bridge (RFC 9051, 3501).
//!
//! [`Dialogue`] is the server towards the client, [`Replay`] the client towards the backend. Neither may let
//! the bytes of a refused literal be read as commands, accept a password in the clear unless told to, or put
//! a byte of the client's on the backend's line unquoted.

mod command;
mod dialogue;
mod id;
mod replay;
mod response;
#[cfg(test)]
mod tests;

pub use dialogue::Dialogue;
pub use replay::Replay;
