//! The last stage: bytes both ways, until either side or somebody outside ends the session.

use bridge::{Direction, Follow, Position};
use mail_proto::follow;
use mail_proto::verdict::CloseReason;
use runtime::{BridgedSession, Closing};
use types::protocol::Protocol;

use crate::protocols;
use crate::slot::Slot;

/// A session that is bridged.
pub(crate) struct Bridged {
    /// Boxed: it moves through several stages, and is as large as two TLS streams.
    session: Box<BridgedSession<Follower>>,
    protocol: Protocol,
    slot: Slot,
}

/// The protocol's follower, as the bridge uses it. `None` follows nothing.
pub(crate) struct Follower(Option<Box<dyn follow::Follow>>);

// === impl Bridged ===

impl Bridged {
    pub(crate) fn new(session: BridgedSession<Follower>, protocol: Protocol, slot: Slot) -> Self {
        Self { session: Box::new(session), protocol, slot }
    }

    /// Runs the session to its end, and frees its slot.
    pub(crate) async fn run(self) {
        let Self { session, protocol, mut slot } = self;
        slot.bridged();
        let farewell = move |closing| protocols::farewell(protocol, close_reason(closing));
        // Boxed: this future lives as long as the session; the stages before it must not add to its size.
        Box::pin(session.run(farewell)).await;
    }
}

const fn close_reason(closing: Closing) -> CloseReason {
    match closing {
        Closing::ShuttingDown => CloseReason::ShuttingDown,
        Closing::Ended => CloseReason::Ended,
    }
}

// === impl Follower ===

impl Follower {
    /// Returns what follows a session of `protocol`.
    pub(crate) fn of(protocol: Protocol) -> Self {
        Self(follow::follower(protocol))
    }
}

impl Follow for Follower {
    fn see(&mut self, direction: Direction, bytes: &[u8]) {
        if let Some(follower) = &mut self.0 {
            follower.see(sender(direction), bytes);
        }
    }

    fn position(&self) -> Position {
        let Some(follower) = &self.0 else { return Position::Opaque };
        match follower.position() {
            follow::Position::Boundary => Position::Boundary,
            follow::Position::InCommand => Position::InCommand,
            follow::Position::InResponse => Position::InResponse,
            follow::Position::Opaque => Position::Opaque,
        }
    }

    fn unseen(&self, direction: Direction) -> u64 {
        match &self.0 {
            Some(follower) => follower.unseen(sender(direction)),
            None => u64::MAX,
        }
    }

    fn skip(&mut self, direction: Direction, count: u64) {
        if let Some(follower) = &mut self.0 {
            follower.skip(sender(direction), count);
        }
    }

    fn end_requested(&mut self) {
        if let Some(follower) = &mut self.0 {
            follower.end_requested();
        }
    }
}

const fn sender(direction: Direction) -> follow::Side {
    match direction {
        Direction::ToBackend => follow::Side::Client,
        Direction::ToClient => follow::Side::Backend,
    }
}
