//! The last stage: bytes both ways, until either side or somebody outside ends the session.

use mail_proto::imap_boundary;
use mail_proto::step::Dialogue;
use mail_proto::verdict::CloseReason;
use runtime::{Boundary, BridgedSession, Closing};
use types::protocol::Protocol;

use crate::slot::Slot;

/// A session that is bridged.
pub(crate) struct Bridged {
    /// Boxed: it moves through several stages, and is as large as two TLS streams.
    session: Box<BridgedSession<SessionBoundary>>,
    /// For the farewell. `None` where nothing may be sent in the middle of a session.
    dialogue: Option<Box<dyn Dialogue>>,
    slot: Slot,
}

/// Where the stream to a client may be cut.
pub(crate) enum SessionBoundary {
    /// Between two of IMAP's responses, literals included.
    Imap(imap_boundary::Boundary),
    /// Anywhere: the other protocols have no words for the middle of a session, so they are closed at once.
    Anywhere,
}

// === impl Bridged ===

impl Bridged {
    pub(crate) fn new(
        session: BridgedSession<SessionBoundary>,
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

// === impl SessionBoundary ===

impl SessionBoundary {
    pub(crate) fn of(protocol: Protocol) -> Self {
        match protocol {
            Protocol::Imap => Self::Imap(imap_boundary::Boundary::default()),
            _ => Self::Anywhere,
        }
    }
}

impl Boundary for SessionBoundary {
    fn feed(&mut self, bytes: &[u8]) {
        if let Self::Imap(boundary) = self {
            boundary.feed(bytes);
        }
    }

    fn at_boundary(&self) -> bool {
        match self {
            Self::Imap(boundary) => boundary.at_boundary(),
            Self::Anywhere => true,
        }
    }

    fn unseen(&self) -> u64 {
        match self {
            Self::Imap(boundary) => boundary.unseen(),
            Self::Anywhere => u64::MAX,
        }
    }

    fn skip(&mut self, count: u64) {
        if let Self::Imap(boundary) = self {
            boundary.skip(count);
        }
    }
}
