//! Message submission before the bridge (RFC 6409, 5321, 4954, 3207).
//!
//! [`Dialogue`] is the server side towards the client, [`Replay`] the client side towards the backend. Neither may accept
//! a cleartext password unless the configuration allows it, accept a line end other than CRLF from a client (SMTP
//! smuggling), or read the bytes of a message as commands.

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
