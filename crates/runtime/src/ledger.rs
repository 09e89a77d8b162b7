//! The record of a session: its ticket in the registry, its bytes as they pass, its end in the log.
//!
//! Text sessions and WebSockets are listed, counted and kicked in the same way, so they share one record.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bridge::{BridgeEnd, BridgeOutcome, Direction, EndRequest, Follow, Position, Watch};
use observe::Accounts;
use observe::metrics::SessionGuard;
use plan::Listener;
use sessions::{EndReason, SessionTicket, Traffic};
use tokio::time::sleep;
use types::outcome::SessionEnd;

use crate::ActivePlan;

/// How long a kicked session may take to reach a boundary: long enough for a backend that is queueing a message, and
/// shorter than those who kick wait for the session to leave (5 s in a move, 8 s in the management API).
const KICK_WAIT: Duration = Duration::from_secs(4);

/// The record of one session.
pub struct Ledger {
    /// The proof that the login was confirmed.
    pub ticket: SessionTicket,
    destination: Arc<str>,
    accounts: Arc<Accounts>,
    guard: SessionGuard,
    began: Instant,
}

/// Sessions without words for their end, such as WebSockets: they are closed at once and in silence.
#[derive(Debug, Default, Clone, Copy)]
pub struct NotFollowed;

/// The bridge's view of a session.
pub(crate) struct Watched<'s, F> {
    follower: F,
    guard: &'s SessionGuard,
    traffic: &'s Traffic,
}

// === impl Ledger ===

impl Ledger {
    /// Begins with the session.
    #[must_use]
    pub fn open(
        plan: &ActivePlan,
        accounts: &Arc<Accounts>,
        listener: &Listener,
        ticket: SessionTicket,
        destination: Arc<str>,
    ) -> Self {
        let guard = plan.meters.route(&listener.name, &destination).begin();
        Self { ticket, destination, accounts: Arc::clone(accounts), guard, began: Instant::now() }
    }

    /// Moves bytes between streams that only the caller can close, and writes the end of the session.
    pub async fn bridge<C, S>(
        self,
        client: &mut C,
        backend: &mut S,
        opening: bridge::Opening,
        limits: bridge::Limits,
    ) where
        C: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    {
        let end = self.end_request();
        let watch = self.watch(NotFollowed);
        // Boxed: clippy::large_futures; the bridge's state would be part of every request's future.
        let outcome = Box::pin(bridge::run(client, backend, opening, limits, watch, end)).await;
        self.close(&outcome);
    }

    pub(crate) fn watch<F: Follow>(&self, follower: F) -> Watched<'_, F> {
        Watched { follower, guard: &self.guard, traffic: self.ticket.traffic() }
    }

    /// Resolves when the session has to end at its next boundary. A drain and a move let a message under way finish: the
    /// process that ends, or the kick at the end of the move's grace period, bounds their wait.
    pub(crate) async fn end_request(&self) -> EndRequest<'_, EndReason> {
        let by = self.ticket.ended().await;
        let give_up = async move {
            if by != EndReason::Kick {
                self.ticket.kicked().await;
            }
            sleep(KICK_WAIT).await;
            EndReason::Kick
        };
        EndRequest::new(by, give_up)
    }

    /// Counts and logs the end of the session.
    pub(crate) fn close(self, outcome: &BridgeOutcome<EndReason>) {
        let BridgeOutcome { to_backend, to_client, why } = outcome;
        let end = session_end(why);
        self.guard.ended(end);
        let account = self.ticket.account().map(|account| self.accounts.show(account));
        tracing::info!(
            account = account.as_deref().unwrap_or("-"),
            destination = &*self.destination,
            to_backend,
            to_client,
            seconds = self.began.elapsed().as_secs(),
            why = end.label(),
            "session ended"
        );
    }
}

const fn session_end(why: &BridgeEnd<EndReason>) -> SessionEnd {
    match why {
        BridgeEnd::ClientClosed => SessionEnd::ClientClosed,
        BridgeEnd::BackendClosed => SessionEnd::BackendClosed,
        BridgeEnd::Idle => SessionEnd::Idle,
        BridgeEnd::HalfCloseTimeout => SessionEnd::HalfClosed,
        BridgeEnd::ClientReset => SessionEnd::ClientReset,
        BridgeEnd::BackendReset => SessionEnd::BackendReset,
        BridgeEnd::ClientError(_) => SessionEnd::ClientFailed,
        BridgeEnd::BackendError(_) => SessionEnd::BackendFailed,
        BridgeEnd::Refused { .. } => SessionEnd::Unauthenticated,
        BridgeEnd::Ended { by: EndReason::Drain, .. } => SessionEnd::Drained,
        BridgeEnd::Ended { by: EndReason::Move, .. } => SessionEnd::Moved,
        BridgeEnd::Ended { by: EndReason::Kick, .. } => SessionEnd::Kicked,
    }
}

// === impl NotFollowed ===

impl Follow for NotFollowed {
    fn see(&mut self, _: Direction, _: &[u8]) -> bool {
        true
    }

    fn position(&self) -> Position {
        Position::Opaque
    }

    fn unseen(&self, _: Direction) -> u64 {
        u64::MAX
    }

    fn skip(&mut self, _: Direction, _: u64) {}
}

// === impl Watched ===

impl<F: Follow> Follow for Watched<'_, F> {
    fn see(&mut self, direction: Direction, bytes: &[u8]) -> bool {
        self.follower.see(direction, bytes)
    }

    fn position(&self) -> Position {
        self.follower.position()
    }

    fn unseen(&self, direction: Direction) -> u64 {
        self.follower.unseen(direction)
    }

    fn skip(&mut self, direction: Direction, count: u64) {
        self.follower.skip(direction, count);
    }

    fn end_requested(&mut self) {
        self.follower.end_requested();
    }
}

impl<F: Follow> Watch for Watched<'_, F> {
    fn moved(&mut self, to_backend: u64, to_client: u64) {
        self.guard.moved(to_backend, to_client);
        self.traffic.to_backend.fetch_add(to_backend, Ordering::Relaxed);
        self.traffic.to_client.fetch_add(to_client, Ordering::Relaxed);
    }
}
