//! The record of a session: its ticket in the registry, its bytes as they pass, its end in the log.
//!
//! Text sessions and WebSockets are listed, counted and kicked in the same way, so they share one record.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use bridge::{BridgeEnd, BridgeOutcome, Watch};
use observe::Accounts;
use observe::metrics::SessionGuard;
use plan::Listener;
use sessions::{EndReason, SessionTicket, Traffic};
use types::outcome::SessionEnd;

use crate::ActivePlan;

/// The record of one session.
pub struct Ledger {
    /// The proof that the login was confirmed.
    pub ticket: SessionTicket,
    destination: Arc<str>,
    accounts: Arc<Accounts>,
    guard: SessionGuard,
    began: Instant,
}

/// Follows the bytes to the client, so that an end from outside does not cut a response in two, and checks those to the
/// backend.
pub trait Boundary: Send {
    /// Reads bytes that go to the client next.
    fn feed(&mut self, bytes: &[u8]);

    /// Returns whether the stream to the client may be cut after the bytes seen so far.
    fn at_boundary(&self) -> bool;

    /// Returns how many of the next bytes need not be seen; see [`Watch::unseen`].
    fn unseen(&self) -> u64;

    /// Passes over `count` bytes.
    fn skip(&mut self, count: u64);

    /// Checks bytes of the client; see [`Watch::to_backend`].
    #[must_use]
    fn check(&mut self, bytes: &[u8]) -> bool {
        let _ = bytes;
        true
    }

    /// Returns how many of the client's next bytes need not be checked; see [`Watch::unseen_to_backend`].
    fn unchecked(&self) -> u64 {
        u64::MAX
    }

    /// Passes over `count` bytes of the client.
    fn skip_unchecked(&mut self, count: u64) {
        let _ = count;
    }
}

/// Protocols without words for the middle of a session: they are closed at once.
#[derive(Debug, Default, Clone, Copy)]
pub struct NoBoundary;

/// The bridge's view of a session.
pub(crate) struct Watched<'s, B> {
    boundary: B,
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
        let end = self.ticket.ended();
        let watch = self.watch(NoBoundary);
        // Boxed: clippy::large_futures; the bridge's state would be part of every request's future.
        let outcome = Box::pin(bridge::run(client, backend, opening, limits, watch, end)).await;
        self.close(&outcome);
    }

    pub(crate) fn watch<B: Boundary>(&self, boundary: B) -> Watched<'_, B> {
        Watched { boundary, guard: &self.guard, traffic: self.ticket.traffic() }
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

// === impl NoBoundary ===

impl Boundary for NoBoundary {
    fn feed(&mut self, _: &[u8]) {}

    fn at_boundary(&self) -> bool {
        true
    }

    fn unseen(&self) -> u64 {
        u64::MAX
    }

    fn skip(&mut self, _: u64) {}
}

// === impl Watched ===

impl<B: Boundary> Watch for Watched<'_, B> {
    fn to_client(&mut self, bytes: &[u8]) {
        self.boundary.feed(bytes);
    }

    fn at_boundary(&self) -> bool {
        self.boundary.at_boundary()
    }

    fn unseen(&self) -> u64 {
        self.boundary.unseen()
    }

    fn skip(&mut self, count: u64) {
        self.boundary.skip(count);
    }

    fn to_backend(&mut self, bytes: &[u8]) -> bool {
        self.boundary.check(bytes)
    }

    fn unseen_to_backend(&self) -> u64 {
        self.boundary.unchecked()
    }

    fn skip_to_backend(&mut self, count: u64) {
        self.boundary.skip_unchecked(count);
    }

    fn moved(&mut self, to_backend: u64, to_client: u64) {
        self.guard.moved(to_backend, to_client);
        self.traffic.to_backend.fetch_add(to_backend, Ordering::Relaxed);
        self.traffic.to_client.fetch_add(to_client, Ordering::Relaxed);
    }
}
