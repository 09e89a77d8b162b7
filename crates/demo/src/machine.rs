//! The shape of both servers' protocol machines.
//!
//! A machine is fed with what was received and says what to do; it never waits and never touches a socket, so
//! that a test can hold a whole conversation with it by calling a function.

use std::sync::Arc;

use mail_proto::inbox::Inbox;

use crate::store::Maildrop;

/// The server's side of one connection.
pub(crate) trait Machine: Send {
    /// The first bytes on the connection.
    fn greet(&mut self) -> Vec<u8>;

    /// Goes on as far as the inbox allows. Call again after every [`Turn::Write`], when more was received,
    /// and when the maildrop has changed.
    fn feed(&mut self, inbox: &mut Inbox) -> Turn;

    /// Whose mail this connection reads, once it has logged in.
    fn maildrop(&self) -> Option<&Arc<Maildrop>>;

    /// Goodbye to a client that has been silent for too long.
    fn too_slow(&self) -> &'static [u8];
}

/// What a machine wants of the world.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a turn that is not carried out leaves both peers waiting for each other"]
pub(crate) enum Turn {
    /// Receive more.
    NeedMore,
    /// Send these bytes, then feed again.
    Write(Vec<u8>),
    /// Send these bytes and close the connection.
    Close(Vec<u8>),
}

/// Failed logins after which a connection is closed.
pub(crate) const MAX_FAILURES: u8 = 5;
