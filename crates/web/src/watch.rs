//! What watches over an exchange: silence, an end from outside, the brake on guessing, the count of bytes.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use observe::metrics::SessionGuard;
use sessions::{EndReason, SessionTicket};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// What watches over an exchange.
pub(crate) struct Watch<'a> {
    pub(crate) ticket: &'a SessionTicket,
    /// Longest silence of both sides.
    pub(crate) idle: Duration,
    pub(crate) session_guard: &'a SessionGuard,
    /// Told the status of an answer before its client is; says how long it is held back (the brake on guessing).
    pub(crate) verdict: &'a (dyn Fn(u16) -> Duration + Sync),
}

/// What both ways and the watch see of each other.
pub(crate) struct Progress {
    began: Instant,
    /// Milliseconds from `began` to the last piece.
    last: AtomicU64,
    /// Whether the request is whole.
    pub(crate) is_sent: AtomicBool,
    /// Notified when the request is whole.
    pub(crate) sent: Notify,
    /// Whether the client is being given something, and has not taken it yet.
    is_giving: AtomicBool,
    /// Set when the response turns out to be an event stream.
    pub(crate) streams: Notify,
}

// === impl Watch ===

impl Watch<'_> {
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
            is_giving: AtomicBool::new(false),
            streams: Notify::new(),
        }
    }

    /// A piece has passed.
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

    /// Gives the client something: as long as it takes, [`Progress::unanswered`] waits.
    pub(crate) async fn giving<T>(&self, act: impl Future<Output = T>) -> T {
        self.is_giving.store(true, Ordering::Relaxed);
        let done = act.await;
        self.is_giving.store(false, Ordering::Relaxed);
        done
    }

    /// Resolves after `idle` without a piece, of a backend that has none to give.
    pub(crate) async fn unanswered(&self, idle: Duration) {
        loop {
            self.silence(idle).await;
            if !self.is_giving.load(Ordering::Relaxed) {
                return;
            }
            tokio::time::sleep(idle).await;
        }
    }

    /// Resolves when the account's sessions have to end and this is one that would not by itself.
    pub(crate) async fn parted(&self, ticket: &SessionTicket) -> EndReason {
        self.streams.notified().await;
        // Kept for the next time that this is asked.
        self.streams.notify_one();
        ticket.ended().await
    }
}
