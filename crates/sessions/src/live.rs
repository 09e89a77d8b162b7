//! One session as the rest of the house sees it: who it is, what it moved, why it has to end.
//!
//! Nothing here may keep a session alive: its bridge owns the streams, and this is only the wire to its bell.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::SystemTime;

use tokio::sync::Notify;
use types::protocol::Protocol;

/// Why a session has to end. A later variant overrules an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EndReason {
    /// The proxy drains; this session's share of the spread is over.
    Drain,
    /// The account moves: transfers under way may finish within the grace.
    Move,
    /// Somebody kicked it.
    Kick,
}

/// A session in a listing.
#[derive(Clone, Debug)]
pub struct SessionInfo {
    /// Unique while the process lives.
    pub id: u64,
    /// `None` where no identifier is known: pass-through, opaque tokens.
    pub account: Option<Arc<str>>,
    /// What is spoken.
    pub protocol: Protocol,
    /// The client's own address.
    pub client: IpAddr,
    /// Where it is bridged to.
    pub destination: Arc<str>,
    /// When it was confirmed.
    pub since: SystemTime,
    /// Bytes so far.
    pub traffic: Arc<Traffic>,
}

/// Bytes that a session has moved. The bridge counts; others read.
#[derive(Debug, Default)]
pub struct Traffic {
    /// From the client to the backend.
    pub to_backend: AtomicU64,
    /// From the backend to the client.
    pub to_client: AtomicU64,
}

/// A session in its account's entry.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) info: SessionInfo,
    pub(crate) bell: Arc<Bell>,
}

/// Where a session hears that it has to end.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    /// 0 = go on; else 1 + the reason's place in [`EndReason`]. [`GONE`] is added when the session has left.
    state: AtomicU8,
    rung: Notify,
}

/// In a bell's state: its session has left the desk.
const GONE: u8 = 0x80;

/// Sessions that were told to end; see `Registry::ending`.
#[derive(Debug, Default)]
pub struct Ending {
    bells: Vec<Arc<Bell>>,
}

// === impl EndReason ===

impl EndReason {
    /// Name in logs and metrics.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Drain => "drain",
            Self::Move => "move",
            Self::Kick => "kick",
        }
    }
}

// === impl Bell ===

impl Bell {
    /// Tells the session to end. Returns whether it had not been told so, or not for as strong a reason.
    pub(crate) fn ring(&self, reason: EndReason) -> bool {
        let state = 1 + reason as u8;
        // Release: what led to the end (a hold, a flipped mapping) is seen by the session that hears of it.
        let is_news = self.state.fetch_max(state, Ordering::AcqRel) < state;
        if is_news {
            self.rung.notify_waiters();
        }
        is_news
    }

    /// The strongest reason so far.
    pub(crate) fn heard(&self) -> Option<EndReason> {
        match self.state.load(Ordering::Acquire) & !GONE {
            0 => None,
            1 => Some(EndReason::Drain),
            2 => Some(EndReason::Move),
            _ => Some(EndReason::Kick),
        }
    }

    /// The session has left the desk.
    pub(crate) fn leave(&self) {
        self.state.fetch_or(GONE, Ordering::AcqRel);
        self.rung.notify_waiters();
    }

    fn is_gone(&self) -> bool {
        self.state.load(Ordering::Acquire) & GONE != 0
    }

    async fn gone(&self) {
        loop {
            // Created before the look, as below.
            let rung = self.rung.notified();
            if self.is_gone() {
                return;
            }
            rung.await;
        }
    }

    /// Resolves once a reason stronger than `known` is there.
    pub(crate) async fn stronger_than(&self, known: Option<EndReason>) -> EndReason {
        loop {
            // Created before the look: `notify_waiters` reaches every future that exists by then.
            let rung = self.rung.notified();
            if let Some(reason) = self.heard().filter(|reason| Some(*reason) > known) {
                return reason;
            }
            rung.await;
        }
    }
}

// === impl Ending ===

impl Ending {
    pub(crate) fn push(&mut self, bell: Arc<Bell>) {
        self.bells.push(bell);
    }

    /// Those that are still there.
    #[must_use]
    pub fn count(&self) -> usize {
        self.bells.iter().filter(|bell| !bell.is_gone()).count()
    }

    /// Resolves when all of them have left. The caller bounds the wait.
    pub async fn gone(&self) {
        for bell in &self.bells {
            bell.gone().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_stronger_reason_overrules_and_a_weaker_one_does_not() {
        let bell = Bell::default();
        assert_eq!(bell.heard(), None);
        assert!(bell.ring(EndReason::Drain));
        assert_eq!(bell.stronger_than(None).await, EndReason::Drain);
        assert!(bell.ring(EndReason::Kick));
        assert!(!bell.ring(EndReason::Move), "a kick is not softened");
        assert_eq!(bell.stronger_than(Some(EndReason::Drain)).await, EndReason::Kick);
        assert_eq!(bell.heard(), Some(EndReason::Kick));
    }
}
