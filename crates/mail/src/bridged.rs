//! The last stage: bytes both ways, until either side or somebody outside ends the session.

use mail_proto::account_guard::AccountGuard;
use mail_proto::imap_boundary;
use mail_proto::step::Dialogue;
use mail_proto::verdict::CloseReason;
use runtime::{Boundary, BridgedSession, Closing};
use types::protocol::Protocol;

use crate::slot::Slot;

/// A session that is bridged.
pub(crate) struct Bridged {
    /// Boxed: it moves through several stages, and is as large as two TLS streams.
    session: Box<BridgedSession<SessionWatch>>,
    /// For the farewell. `None` where nothing may be sent in the middle of a session.
    dialogue: Option<Box<dyn Dialogue>>,
    slot: Slot,
}

/// Follows a session in both directions.
pub(crate) struct SessionWatch {
    boundary: SessionBoundary,
    /// `None` where no command changes the account.
    guard: Option<Box<AccountGuard>>,
}

/// Where the stream to a client may be cut.
enum SessionBoundary {
    /// Between two of IMAP's responses, literals included.
    Imap(imap_boundary::Boundary),
    /// Anywhere: the other protocols have no words for the middle of a session, so they are closed at once.
    Anywhere,
}

// === impl Bridged ===

impl Bridged {
    pub(crate) fn new(
        session: BridgedSession<SessionWatch>,
        dialogue: Option<Box<dyn Dialogue>>,
        slot: Slot,
    ) -> Self {
        Self { session: Box::new(session), dialogue, slot }
    }

    /// Runs the session to its end, and frees its slot.
    pub(crate) async fn run(self) {
        let Self { session, dialogue, mut slot } = self;
        slot.bridged();
        let farewell = move |closing| match dialogue {
            Some(mut dialogue) => dialogue.farewell(close_reason(closing)),
            None => Vec::new(),
        };
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

// === impl SessionWatch ===

impl SessionWatch {
    pub(crate) fn new(protocol: Protocol, guard: Option<AccountGuard>) -> Self {
        let boundary = match protocol {
            Protocol::Imap => SessionBoundary::Imap(imap_boundary::Boundary::default()),
            _ => SessionBoundary::Anywhere,
        };
        Self { boundary, guard: guard.map(Box::new) }
    }
}

impl Boundary for SessionWatch {
    fn feed(&mut self, bytes: &[u8]) {
        let SessionBoundary::Imap(boundary) = &mut self.boundary else { return };
        match &mut self.guard {
            Some(guard) => boundary.feed(bytes, |first| guard.response(first)),
            None => boundary.feed(bytes, |_| {}),
        }
    }

    fn at_boundary(&self) -> bool {
        match &self.boundary {
            SessionBoundary::Imap(boundary) => boundary.at_boundary(),
            SessionBoundary::Anywhere => true,
        }
    }

    fn unseen(&self) -> u64 {
        match &self.boundary {
            SessionBoundary::Imap(boundary) => boundary.unseen(),
            SessionBoundary::Anywhere => u64::MAX,
        }
    }

    fn skip(&mut self, count: u64) {
        if let SessionBoundary::Imap(boundary) = &mut self.boundary {
            boundary.skip(count);
        }
    }

    fn check(&mut self, bytes: &[u8]) -> bool {
        match &mut self.guard {
            Some(guard) => guard.feed(bytes),
            None => true,
        }
    }

    fn unchecked(&self) -> u64 {
        match &self.guard {
            Some(guard) => guard.unseen(),
            None => u64::MAX,
        }
    }

    fn skip_unchecked(&mut self, count: u64) {
        if let Some(guard) = &mut self.guard {
            guard.skip(count);
        }
    }
}
