//! A session in the registry: who it belongs to, how many bytes it moved, and the signal that ends it.
//!
//! What must never happen here: a reference that keeps a session alive. Its bridge owns the streams; the registry holds
//! its description and its [`EndSignal`].

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::SystemTime;

use tokio::sync::Notify;
use types::protocol::Protocol;

/// Why a session has to end. A later variant overrides an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EndReason {
    /// The proxy drains, and this session's moment within the spread has come.
    Drain,
    /// The account moves: transfers under way may finish within the grace period.
    Move,
    /// An operator kicked it.
    Kick,
}

/// A session in a listing.
#[derive(Clone, Debug)]
pub struct SessionInfo {
    /// Unique while the process lives.
    pub id: u64,
    /// `None` where no identifier is known: pass-through, opaque tokens.
    pub account: Option<Arc<str>>,
    /// The protocol that it speaks.
    pub protocol: Protocol,
    /// The client's own address.
    pub client: IpAddr,
    /// The destination to which it is bridged.
    pub destination: Arc<str>,
    /// When it was confirmed.
    pub since: SystemTime,
    /// Bytes so far.
    pub traffic: Arc<Traffic>,
}

/// Bytes that a session has moved. The bridge counts them; others read the counters.
#[derive(Debug, Default)]
pub struct Traffic {
    /// From the client to the backend.
    pub to_backend: AtomicU64,
    /// From the backend to the client.
    pub to_client: AtomicU64,
}

/// A session in its account's entry.
#[derive(Debug)]
pub(crate) struct SessionEntry {
    pub(crate) info: SessionInfo,
    pub(crate) end_signal: Arc<EndSignal>,
}

/// Asks a session to end, and reports when it has left the registry.
#[derive(Debug, Default)]
pub(crate) struct EndSignal {
    /// 0 = go on; otherwise 1 + the position of the reason in [`EndReason`]. [`LEFT`] is added when the session has
    /// left.
    state: AtomicU8,
    changed: Notify,
}

/// The bit of [`EndSignal`]'s state that is set when its session has left the registry.
const LEFT: u8 = 0x80;

/// Sessions that were asked to end; see `Registry::ending`.
#[derive(Debug, Default)]
pub struct Ending {
    signals: Vec<Arc<EndSignal>>,
}

// === impl EndReason ===

impl EndReason {
    /// Returns the name in logs and metrics.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Drain => "drain",
            Self::Move => "move",
            Self::Kick => "kick",
        }
    }
}

// === impl EndSignal ===

impl EndSignal {
    /// Asks the session to end. Returns whether that is new: it was not asked before, or for a weaker reason.
    pub(crate) fn send(&self, reason: EndReason) -> bool {
        let state = 1 + reason as u8;
        // Release: a session that sees the signal also sees what led to it (a hold, a changed mapping).
        let is_new = self.state.fetch_max(state, Ordering::AcqRel) < state;
        if is_new {
            self.changed.notify_waiters();
        }
        is_new
    }

    /// Returns the strongest reason so far.
    pub(crate) fn reason(&self) -> Option<EndReason> {
        match self.state.load(Ordering::Acquire) & !LEFT {
            0 => None,
            1 => Some(EndReason::Drain),
            2 => Some(EndReason::Move),
            _ => Some(EndReason::Kick),
        }
    }

    /// Records that the session has left the registry.
    pub(crate) fn set_left(&self) {
        self.state.fetch_or(LEFT, Ordering::AcqRel);
        self.changed.notify_waiters();
    }

    fn has_left(&self) -> bool {
        self.state.load(Ordering::Acquire) & LEFT != 0
    }

    async fn left(&self) {
        loop {
            // Created before the check: `notify_waiters` reaches every future that exists by then.
            let changed = self.changed.notified();
            if self.has_left() {
                return;
            }
            changed.await;
        }
    }

    /// Resolves once there is a reason that is stronger than `known`.
    pub(crate) async fn stronger_than(&self, known: Option<EndReason>) -> EndReason {
        loop {
            // Created before the check, as in `left`.
            let changed = self.changed.notified();
            if let Some(reason) = self.reason().filter(|reason| Some(*reason) > known) {
                return reason;
            }
            changed.await;
        }
    }
}

// === impl Ending ===

impl Ending {
    pub(crate) fn push(&mut self, signal: Arc<EndSignal>) {
        self.signals.push(signal);
    }

    /// Returns how many of the sessions have not left yet.
    #[must_use]
    pub fn count(&self) -> usize {
        self.signals.iter().filter(|signal| !signal.has_left()).count()
    }

    /// Resolves when all of the sessions have left. The caller bounds the wait.
    pub async fn all_left(&self) {
        for signal in &self.signals {
            signal.left().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_stronger_reason_overrides_and_a_weaker_one_does_not() {
        let signal = EndSignal::default();
        assert_eq!(signal.reason(), None);
        assert!(signal.send(EndReason::Drain));
        assert_eq!(signal.stronger_than(None).await, EndReason::Drain);
        assert!(signal.send(EndReason::Kick));
        assert!(!signal.send(EndReason::Move), "a move does not replace a kick");
        assert_eq!(signal.stronger_than(Some(EndReason::Drain)).await, EndReason::Kick);
        assert_eq!(signal.reason(), Some(EndReason::Kick));
    }
}
