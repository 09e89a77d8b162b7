//! What every follower does, whatever its protocol.

/// Which side has sent bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The client.
    Client,
    /// The backend.
    Backend,
}

/// Where a session is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Position {
    /// Every command has its response: a farewell may be sent.
    Boundary,
    /// The client is in the middle of a command or a message.
    InCommand,
    /// The backend is in the middle of a response, or has not sent it yet.
    InResponse,
    /// The bytes have another meaning (compression, TLS inside the session) or cannot be followed any longer: nothing
    /// may be inserted.
    Opaque,
}

/// Follows both directions of a session.
pub trait Follow: Send {
    /// Processes the next bytes of a side.
    fn see(&mut self, from: Side, bytes: &[u8]);

    /// Returns where the session is after the bytes so far.
    fn position(&self) -> Position;

    /// Returns how many of the next bytes of a side need not be seen.
    fn unseen(&self, from: Side) -> u64;

    /// Passes over `count` bytes, at most [`Follow::unseen`].
    fn skip(&mut self, from: Side, count: u64);

    /// Reports that the session is to end at the next boundary. A follower that skips what it can only find again by
    /// looking at every byte looks at every byte from now on.
    fn end_requested(&mut self) {}
}
