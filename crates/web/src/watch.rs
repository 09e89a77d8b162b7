//! Supervises an exchange: silence, an end from outside, the delay of refused logins, and the byte counts.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use observe::metrics::SessionGuard;
use sessions::{EndReason, SessionTicket};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use crate::credential::PresentedCredential;

/// Supervises an exchange.
pub(crate) struct Watch<'a> {
    pub(crate) ticket: &'a SessionTicket,
    /// Longest silence of both sides.
    pub(crate) idle: Duration,
    pub(crate) session_guard: &'a SessionGuard,
    /// The credential of the request.
    pub(crate) credential: Option<&'a PresentedCredential>,
    /// How long the verdict on it is awaited after the client is gone.
    pub(crate) verdict_timeout: Duration,
    /// Records the status of a response before the client gets it, and returns how long it must be delayed: a refused
    /// login is delayed to slow down guessing.
    pub(crate) record_status: &'a (dyn Fn(u16) -> Duration + Sync),
}

/// State that both directions and their supervisor share.
pub(crate) struct Progress {
    began: Instant,
    /// When the last piece passed, in milliseconds after `began`.
    last: AtomicU64,
    /// Whether the request was sent whole.
    pub(crate) is_sent: AtomicBool,
    /// Notified when the request was sent whole.
    pub(crate) sent: Notify,
    /// Whether a write to the client is under way.
    is_writing: AtomicBool,
    /// Notified when the response is an event stream.
    pub(crate) event_stream: Notify,
}

/// How long an exchange whose session was ended may be silent.
const STALLED: Duration = Duration::from_secs(10);

// === impl Watch ===

impl Watch<'_> {
    /// Returns whether a backend may still show whether the credential of the request is right.
    pub(crate) fn awaits_verdict(&self) -> bool {
        self.credential.is_some_and(PresentedCredential::awaits_verdict)
    }

    /// Counts content, for the listing of sessions and for metrics.
    pub(crate) fn moved(&self, to_backend: u64, to_client: u64) {
        let traffic = self.ticket.traffic();
        traffic.to_backend.fetch_add(to_backend, Ordering::Relaxed);
        traffic.to_client.fetch_add(to_client, Ordering::Relaxed);
        self.session_guard.moved(to_backend, to_client);
    }
}

// === impl Progress ===

impl Progress {
    pub(crate) fn begin() -> Self {
        Self {
            began: Instant::now(),
            last: AtomicU64::new(0),
            is_sent: AtomicBool::new(false),
            sent: Notify::new(),
            is_writing: AtomicBool::new(false),
            event_stream: Notify::new(),
        }
    }

    /// Records that a piece has passed.
    pub(crate) fn note(&self) {
        let passed = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last.store(passed, Ordering::Relaxed);
    }

    /// Resolves after `idle` without a piece.
    pub(crate) async fn silence(&self, idle: Duration) {
        loop {
            let until = self.began + Duration::from_millis(self.last.load(Ordering::Relaxed)) + idle;
            if until <= Instant::now() {
                return;
            }
            sleep_until(until).await;
        }
    }

    /// Carries out a write to the client; while it lasts, [`Progress::unanswered`] does not resolve.
    pub(crate) async fn writing<T>(&self, write: impl Future<Output = T>) -> T {
        self.is_writing.store(true, Ordering::Relaxed);
        let done = write.await;
        self.is_writing.store(false, Ordering::Relaxed);
        done
    }

    /// Resolves after `idle` in which the backend sent nothing.
    pub(crate) async fn unanswered(&self, idle: Duration) {
        loop {
            self.silence(idle).await;
            if !self.is_writing.load(Ordering::Relaxed) {
                return;
            }
            tokio::time::sleep(idle).await;
        }
    }

    /// Resolves when the exchange must end before its response does: its session was ended from outside, and it is an
    /// event stream, which has no end, or nothing has passed for [`STALLED`].
    pub(crate) async fn ended(&self, ticket: &SessionTicket) -> EndReason {
        tokio::select! {
            reason = self.ended_stream(ticket) => reason,
            reason = self.ended_stalled(ticket) => reason,
        }
    }

    async fn ended_stream(&self, ticket: &SessionTicket) -> EndReason {
        self.event_stream.notified().await;
        // For the next call.
        self.event_stream.notify_one();
        ticket.ended().await
    }

    async fn ended_stalled(&self, ticket: &SessionTicket) -> EndReason {
        let reason = ticket.ended().await;
        self.silence(STALLED).await;
        reason
    }
}
