//! What is written of a session: its place at the desk, its bytes as they pass, its end in the log.
//!
//! Text sessions and WebSockets are the same to whoever lists, counts or kicks them, so they have one ledger.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bridge::{Outcome, Watch, Why};
use mail_proto::imap_boundary::Boundary;
use observe::Accounts;
use observe::metrics::SessionGuard;
use plan::Listener;
use sessions::{EndReason, SessionTicket, Traffic};
use types::protocol::Protocol;

use crate::context::Context;

/// See the module's comment.
pub struct Ledger {
    /// The proof that the login was confirmed.
    pub ticket: SessionTicket,
    destination: Arc<str>,
    accounts: Arc<Accounts>,
    session_guard: SessionGuard,
    began: Instant,
}

/// Follows a session: its lines, and how much has passed.
pub struct Watched<'s> {
    lines: Lines,
    session_guard: &'s SessionGuard,
    traffic: &'s Traffic,
}

/// Follows the server's side of a session, so that an end from outside does not cut a response in two.
pub enum Lines {
    /// By IMAP's own lines and literals.
    Imap(Boundary),
    /// Other protocols have no words for the middle of a session: they are closed, and at once.
    Unseen,
}

// === impl Ledger ===

impl Ledger {
    /// Begins with the session.
    #[must_use]
    pub fn open(
        context: &Context,
        listener: &Listener,
        ticket: SessionTicket,
        destination: Arc<str>,
    ) -> Self {
        let accounts = Arc::clone(&context.live.accounts);
        let session_guard = context.meters.route(&listener.name, &destination).begin();
        Self { ticket, destination, accounts, session_guard, began: Instant::now() }
    }

    /// For the bridge.
    #[must_use]
    pub fn watch(&self, lines: Lines) -> Watched<'_> {
        Watched { lines, session_guard: &self.session_guard, traffic: self.ticket.traffic() }
    }

    /// The session has ended: one log line, and the count of its end.
    pub fn close(self, outcome: &Outcome<EndReason>) {
        let Outcome { to_backend, to_client, why } = outcome;
        let why = label(why);
        self.session_guard.ended(why);
        let account = self.ticket.account().map(|account| self.accounts.show(account));
        tracing::info!(
            account = account.as_deref().unwrap_or("-"),
            destination = &*self.destination,
            to_backend,
            to_client,
            seconds = self.began.elapsed().as_secs(),
            why,
            "session ended"
        );
    }
}

/// As a number that JSON has: `as_micros` would be written as text.
pub(crate) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// Why a session ended, in the log and in the metrics.
const fn label(why: &Why<EndReason>) -> &'static str {
    match why {
        Why::ClientClosed => "client closed",
        Why::BackendClosed => "backend closed",
        Why::Idle => "idle",
        Why::HalfCloseTimeout => "half-closed for too long",
        Why::ClientReset => "client reset",
        Why::BackendReset => "backend reset",
        Why::ClientError(_) => "client failed",
        Why::BackendError(_) => "backend failed",
        Why::Ended { by: EndReason::Drain, .. } => "drained",
        Why::Ended { by: EndReason::Move, .. } => "moved",
        Why::Ended { by: EndReason::Kick, .. } => "kicked",
    }
}

// === impl Lines ===

impl Lines {
    pub(crate) fn of(protocol: Protocol) -> Self {
        match protocol {
            Protocol::Imap => Self::Imap(Boundary::default()),
            _ => Self::Unseen,
        }
    }
}

// === impl Watched ===

impl Watch for Watched<'_> {
    fn to_client(&mut self, bytes: &[u8]) {
        if let Lines::Imap(boundary) = &mut self.lines {
            boundary.feed(bytes);
        }
    }

    fn at_boundary(&self) -> bool {
        match &self.lines {
            Lines::Imap(boundary) => boundary.at_boundary(),
            Lines::Unseen => true,
        }
    }

    fn unseen(&self) -> u64 {
        match &self.lines {
            Lines::Imap(boundary) => boundary.unseen(),
            Lines::Unseen => u64::MAX,
        }
    }

    fn skip(&mut self, count: u64) {
        if let Lines::Imap(boundary) = &mut self.lines {
            boundary.skip(count);
        }
    }

    fn moved(&mut self, to_backend: u64, to_client: u64) {
        self.session_guard.moved(to_backend, to_client);
        self.traffic.to_backend.fetch_add(to_backend, Ordering::Relaxed);
        self.traffic.to_client.fetch_add(to_client, Ordering::Relaxed);
    }
}
