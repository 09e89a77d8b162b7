//! POP3 before the bridge (RFC 1939, 2449, 2595, 5034, 6856).
//!
//! [`Dialogue`] is the server towards the client, [`Replay`] the client towards the backend. Neither may
//! accept a password in the clear unless told to, change a byte of it, or put a line end of the client's on
//! the backend's line.

mod command;
mod dialogue;
mod replay;
mod replies;
mod response;
#[cfg(test)]
mod tests;

pub use dialogue::Dialogue;
pub use replay::Replay;
