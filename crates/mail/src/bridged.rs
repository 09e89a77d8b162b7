//! The last stage: bytes both ways, until either side or somebody outside ends the session.

use bridge::{Direction, Follow, Position};
use mail_proto::account_guard::AccountGuard;
use mail_proto::follow::{self, Side};
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

/// The protocol's follower and the account's guard, as the bridge uses them.
pub(crate) struct Follower {
    /// `None` follows nothing.
    dialogue: Option<Box<dyn follow::Follow>>,
    /// `None` where no command changes the account.
    guard: Option<Box<AccountGuard>>,
}

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
    /// Returns what follows a session of `protocol`. `guard`: that of the backend's login.
    pub(crate) fn new(protocol: Protocol, guard: Option<AccountGuard>) -> Self {
        Self { dialogue: follow::follower(protocol), guard: guard.map(Box::new) }
    }
}

impl Follow for Follower {
    fn see(&mut self, direction: Direction, bytes: &[u8]) -> bool {
        let from = sender(direction);
        // The guard first: what it refuses is not part of the dialogue.
        if let Some(guard) = &mut self.guard
            && !guard.see(from, bytes)
        {
            return false;
        }
        if let Some(dialogue) = &mut self.dialogue {
            dialogue.see(from, bytes);
        }
        true
    }

    fn position(&self) -> Position {
        let Some(dialogue) = &self.dialogue else { return Position::Opaque };
        match dialogue.position() {
            follow::Position::Boundary => Position::Boundary,
            follow::Position::InCommand => Position::InCommand,
            follow::Position::InResponse => Position::InResponse,
            follow::Position::Opaque => Position::Opaque,
        }
    }

    /// Only what neither needs is skipped.
    fn unseen(&self, direction: Direction) -> u64 {
        let from = sender(direction);
        let dialogue = match &self.dialogue {
            Some(dialogue) => dialogue.unseen(from),
            None => u64::MAX,
        };
        match &self.guard {
            Some(guard) => dialogue.min(guard.unseen(from)),
            None => dialogue,
        }
    }

    fn skip(&mut self, direction: Direction, count: u64) {
        let from = sender(direction);
        if let Some(guard) = &mut self.guard {
            guard.skip(from, count);
        }
        if let Some(dialogue) = &mut self.dialogue {
            dialogue.skip(from, count);
        }
    }

    fn end_requested(&mut self) {
        if let Some(dialogue) = &mut self.dialogue {
            dialogue.end_requested();
        }
    }
}

const fn sender(direction: Direction) -> Side {
    match direction {
        Direction::ToBackend => Side::Client,
        Direction::ToClient => Side::Backend,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn imap() -> Follower {
        Follower::new(Protocol::Imap, Some(AccountGuard::imap(false)))
    }

    #[test]
    fn what_the_guard_refuses_is_not_part_of_the_dialogue() {
        let mut follower = imap();
        assert!(follower.see(Direction::ToBackend, b"a NOOP\r\n"));
        assert!(follower.see(Direction::ToClient, b"a OK\r\n"));
        assert!(!follower.see(Direction::ToBackend, b"b NOOP\r\nc UNAUTHENTICATE\r\n"));
        assert_eq!(follower.position(), Position::Boundary);
        let mut unguarded = Follower::new(Protocol::Imap, None);
        assert!(unguarded.see(Direction::ToBackend, b"b NOOP\r\nc UNAUTHENTICATE\r\n"));
        assert_eq!(unguarded.position(), Position::InResponse);
    }

    #[test]
    fn only_what_neither_needs_is_skipped() {
        // For the dialogue this is a literal; the guard expects commands, since the backend may not have `LITERAL+`.
        let mut follower = imap();
        assert!(follower.see(Direction::ToBackend, b"a APPEND x {5000+}\r\n"));
        assert_eq!(follower.unseen(Direction::ToBackend), 0);
        assert!(!follower.see(Direction::ToBackend, b"b UNAUTHENTICATE\r\n"));

        let mut follower = imap();
        assert!(follower.see(Direction::ToBackend, b"a APPEND x {4000+}\r\n"));
        assert_eq!(follower.unseen(Direction::ToBackend), 4000);
        follower.skip(Direction::ToBackend, 3999);
        assert_eq!(follower.unseen(Direction::ToBackend), 1);
        assert!(follower.see(Direction::ToBackend, b"x\r\n"));
        assert!(follower.see(Direction::ToClient, b"* 1 FETCH (BODY[] {10}\r\n"));
        assert_eq!(follower.unseen(Direction::ToClient), 10);
        follower.skip(Direction::ToClient, 10);
        assert!(follower.see(Direction::ToClient, b")\r\na OK\r\n"));
        assert_eq!(follower.position(), Position::Boundary);
    }
}
