//! Message submission before the bridge (RFC 6409, 5321, 4954, 3207).
//!
//! [`Dialogue`] is the server towards the client, [`Replay`] the client towards the backend. Neither may
//! accept a password in the clear unless told to, take a line end that is not CRLF from a client (so is mail
//! smuggled), or read the bytes of a message as commands.

mod command;
mod dialogue;
mod offer;
mod replay;
mod replies;
mod response;
#[cfg(test)]
mod tests;

pub use dialogue::Dialogue;
pub use replay::Replay;
