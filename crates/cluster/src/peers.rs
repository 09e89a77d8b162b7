//! The other proxies on the channel, and which of their messages are accepted.
//!
//! A message is accepted once: the numbers of a run only increase. A message of a run that is unknown or was forgotten
//! cannot be replayed later either, since it is accepted only within a minute of its date. An attacker who records signed
//! messages and may write to the channel can still replay those of the last minute to a proxy that has just started.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use crate::delivery::Audience;
use crate::message::Header;

/// A proxy on the channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// `[cluster] node`, or its host's name.
    pub name: Arc<str>,
    /// When its last message was received, by our clock.
    pub last_received: SystemTime,
    /// The time since then.
    pub silent: Duration,
    /// Whether it is this proxy.
    pub is_this: bool,
}

/// The proxies that have sent a message lately.
#[derive(Debug, Default)]
pub(super) struct Peers {
    by_run: HashMap<u64, Peer>,
}

#[derive(Debug)]
struct Peer {
    name: Arc<str>,
    last: u64,
    received_at: Instant,
    last_received: SystemTime,
}

/// Whether a message is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MessageCheck {
    /// It is: the next one of its run.
    Next,
    /// It is, but messages before it were missed.
    Gap,
    /// It is not: this message or a later one was received before.
    Repeated,
    /// It is not: its date differs from ours by more than [`MAX_SKEW`].
    Misdated,
    /// It is not: [`MAX_NODES`] other proxies are known.
    TooManyPeers,
}

/// The sender of most orders does not wait for a proxy that has sent nothing for longer than this.
pub const PRESENT: Duration = Duration::from_secs(15);

/// The most proxies in the list; far more than anybody runs in front of two mail servers.
pub(super) const MAX_NODES: usize = 256;

/// The largest difference between the clocks of two proxies, the time of delivery included.
pub(super) const MAX_SKEW: Duration = Duration::from_secs(60);

/// After this time without a message, a proxy is removed from the list. Longer than twice [`MAX_SKEW`]: see the module.
const FORGET: Duration = Duration::from_secs(600);

// === impl Peers ===

impl Peers {
    /// Returns whether a message is accepted, and records that its sender is alive.
    pub(super) fn check(&mut self, header: &Header, now: Instant, date: SystemTime) -> MessageCheck {
        let ours = date.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis();
        if ours.abs_diff(u128::from(header.sent)) > MAX_SKEW.as_millis() {
            return MessageCheck::Misdated;
        }
        if !self.by_run.contains_key(&header.run) && self.by_run.len() >= MAX_NODES {
            self.by_run.retain(|_, peer| now.duration_since(peer.received_at) < FORGET);
            if self.by_run.len() >= MAX_NODES {
                return MessageCheck::TooManyPeers;
            }
        }
        let peer = self.by_run.entry(header.run).or_insert_with(|| Peer {
            name: Arc::clone(&header.node),
            last: 0,
            received_at: now,
            last_received: date,
        });
        if header.number <= peer.last {
            return MessageCheck::Repeated;
        }
        let is_next = header.number == peer.last + 1;
        (peer.last, peer.received_at, peer.last_received) = (header.number, now, date);
        if is_next { MessageCheck::Next } else { MessageCheck::Gap }
    }

    /// Records that a proxy has left, so that no order waits for it. Its number is kept for as long as its messages could
    /// be replayed.
    pub(super) fn leave(&mut self, run: u64, now: Instant) {
        if let Some(peer) = self.by_run.get_mut(&run) {
            peer.name = Arc::from("");
            peer.received_at = now;
        }
    }

    /// Returns the runs that an order waits for, and their names.
    pub(super) fn audience(&self, audience: Audience, now: Instant) -> Vec<(u64, Arc<str>)> {
        let waited_for = self.listed().filter(|(_, peer)| match audience {
            Audience::Present => peer.is_present(now),
            Audience::Known => peer.is_present(now) || self.may_be_running(peer, now),
        });
        waited_for.map(|(run, peer)| (*run, Arc::clone(&peer.name))).collect()
    }

    /// Returns whether a proxy that is silent may only be cut off from the channel. One that was started anew is not.
    fn may_be_running(&self, silent: &Peer, now: Instant) -> bool {
        let was_restarted = self.listed().any(|(_, peer)| peer.name == silent.name && peer.is_present(now));
        now.duration_since(silent.received_at) < FORGET && !was_restarted
    }

    /// Returns the list, sorted by name.
    pub(super) fn nodes(&self, now: Instant) -> Vec<Node> {
        let recent = self.listed().map(|(_, peer)| (peer, now.duration_since(peer.received_at)));
        let mut nodes: Vec<Node> = recent
            .filter(|(_, silent)| *silent < FORGET)
            .map(|(peer, silent)| Node {
                name: Arc::clone(&peer.name),
                last_received: peer.last_received,
                silent,
                is_this: false,
            })
            .collect();
        nodes.sort_by(|a, b| (&a.name, a.silent).cmp(&(&b.name, b.silent)));
        nodes
    }

    /// Those that have not left.
    fn listed(&self) -> impl Iterator<Item = (&u64, &Peer)> {
        self.by_run.iter().filter(|(_, peer)| !peer.name.is_empty())
    }
}

// === impl Peer ===

impl Peer {
    fn is_present(&self, now: Instant) -> bool {
        now.duration_since(self.received_at) <= PRESENT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: u64 = 1_700_000_000_000;

    fn header(run: u64, number: u64, sent: u64) -> Header {
        Header { node: format!("node{run}").into(), run, number, sent }
    }

    fn date() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(NOW_MS)
    }

    #[tokio::test(start_paused = true)]
    async fn numbers_only_grow_and_dates_are_near() {
        let mut peers = Peers::default();
        let now = Instant::now();
        for (run, number, sent, expected) in [
            (1, 1, NOW_MS, MessageCheck::Next),
            (1, 2, NOW_MS, MessageCheck::Next),
            (1, 2, NOW_MS, MessageCheck::Repeated),
            (1, 5, NOW_MS, MessageCheck::Gap),
            (1, 3, NOW_MS, MessageCheck::Repeated),
            (1, 6, NOW_MS - 60_001, MessageCheck::Misdated),
            (1, 6, NOW_MS + 60_001, MessageCheck::Misdated),
            (1, 6, NOW_MS - 60_000, MessageCheck::Next),
            (2, 1, NOW_MS, MessageCheck::Next),
            (3, 4, NOW_MS, MessageCheck::Gap),
            (3, 0, NOW_MS, MessageCheck::Repeated),
            (1, u64::MAX, NOW_MS, MessageCheck::Gap),
            (1, u64::MAX, NOW_MS, MessageCheck::Repeated),
        ] {
            assert_eq!(
                peers.check(&header(run, number, sent), now, date()),
                expected,
                "{run} {number} {sent}"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_list_is_bounded_and_silent_proxies_are_removed() {
        let mut peers = Peers::default();
        let now = Instant::now();
        let count = MAX_NODES as u64;
        for run in 1..=count {
            assert_eq!(peers.check(&header(run, 1, NOW_MS), now, date()), MessageCheck::Next);
        }
        assert_eq!(peers.check(&header(count + 1, 1, NOW_MS), now, date()), MessageCheck::TooManyPeers);
        assert_eq!(peers.nodes(now).len(), MAX_NODES);
        let later = now + FORGET;
        assert_eq!(peers.nodes(later), []);
        assert_eq!(peers.check(&header(count + 1, 1, NOW_MS), later, date()), MessageCheck::Next);
        assert_eq!(peers.nodes(later).len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_proxy_that_left_is_not_waited_for_and_its_messages_cannot_be_replayed() {
        let mut peers = Peers::default();
        let now = Instant::now();
        peers.check(&header(1, 1, NOW_MS), now, date());
        peers.check(&header(2, 1, NOW_MS), now, date());
        peers.leave(1, now);
        let later = now + PRESENT + Duration::from_millis(1);
        for (audience, time, expected) in [
            (Audience::Present, now, vec![(2, Arc::from("node2"))]),
            (Audience::Present, later, vec![]),
            (Audience::Known, later, vec![(2, Arc::from("node2"))]),
            (Audience::Known, now + FORGET, vec![]),
        ] {
            assert_eq!(peers.audience(audience, time), expected, "{audience:?}");
        }
        // Another run of the same name: the silent one has ended.
        let restarted = Header { node: "node2".into(), ..header(3, 1, NOW_MS) };
        peers.check(&restarted, later, date());
        assert_eq!(peers.audience(Audience::Known, later), [(3, Arc::from("node2"))]);
        assert_eq!(peers.check(&header(1, 1, NOW_MS), now, date()), MessageCheck::Repeated);
    }
}
