//! The other proxies on the channel, and what is believed of a message that is theirs.
//!
//! A message counts once: each run's numbers only grow. A run that was forgotten, or that we have never heard
//! of, cannot be repeated to us either, since a message is believed for a minute of its date only. What is
//! left to somebody who records signed messages and may write to the channel: repeating the last minute's to
//! a proxy that has just started.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use crate::message::Head;

/// A proxy on the channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// `[cluster] node`, or its host's name.
    pub name: Arc<str>,
    /// When it was heard last, by our clock.
    pub heard: SystemTime,
    /// How long ago that was.
    pub silent: Duration,
    /// Whether it is this proxy.
    pub is_this: bool,
}

/// Everybody who was heard lately.
#[derive(Debug, Default)]
pub(super) struct Peers {
    by_run: HashMap<u64, Peer>,
}

#[derive(Debug)]
struct Peer {
    name: Arc<str>,
    last: u64,
    heard_at: Instant,
    heard: SystemTime,
}

/// What is to be done with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is the next one.
    Next,
    /// It is news, but messages before it were missed.
    Gap,
    /// It, or a later one, was heard already.
    Repeated,
    /// Its date is further from ours than is allowed.
    OtherTime,
    /// There are too many proxies.
    Crowded,
}

/// Proxies that are told apart; far more than stand in front of two mail servers.
pub(super) const MAX_NODES: usize = 256;

/// How far the clocks of two proxies may be apart, the time on the way included.
pub(super) const MAX_SKEW: Duration = Duration::from_secs(60);

/// Silent for so long, a proxy is taken off the list. Longer than twice [`MAX_SKEW`]: see the module.
const FORGET: Duration = Duration::from_secs(600);

// === impl Peers ===

impl Peers {
    /// Judges a message, and notes that its sender was heard.
    pub(super) fn judge(&mut self, head: &Head, now: Instant, date: SystemTime) -> Verdict {
        let ours = date.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis();
        if ours.abs_diff(u128::from(head.sent)) > MAX_SKEW.as_millis() {
            return Verdict::OtherTime;
        }
        if !self.by_run.contains_key(&head.run) && self.by_run.len() >= MAX_NODES {
            self.by_run.retain(|_, peer| now.duration_since(peer.heard_at) < FORGET);
            if self.by_run.len() >= MAX_NODES {
                return Verdict::Crowded;
            }
        }
        let peer = self.by_run.entry(head.run).or_insert_with(|| Peer {
            name: Arc::clone(&head.node),
            last: 0,
            heard_at: now,
            heard: date,
        });
        if head.number <= peer.last {
            return Verdict::Repeated;
        }
        let is_next = head.number == peer.last + 1;
        (peer.last, peer.heard_at, peer.heard) = (head.number, now, date);
        if is_next { Verdict::Next } else { Verdict::Gap }
    }

    /// Nobody waits for it any more. Its numbers are kept for as long as its messages could be repeated.
    pub(super) fn leave(&mut self, run: u64, now: Instant) {
        if let Some(peer) = self.by_run.get_mut(&run) {
            peer.name = Arc::from("");
            peer.heard_at = now;
        }
    }

    /// The runs that were heard within `within`, and their names.
    pub(super) fn present(&self, now: Instant, within: Duration) -> Vec<(u64, Arc<str>)> {
        let heard = self.listed().filter(|(_, peer)| now.duration_since(peer.heard_at) <= within);
        heard.map(|(run, peer)| (*run, Arc::clone(&peer.name))).collect()
    }

    /// The list, by name.
    pub(super) fn nodes(&self, now: Instant) -> Vec<Node> {
        let recent = self.listed().map(|(_, peer)| (peer, now.duration_since(peer.heard_at)));
        let mut nodes: Vec<Node> = recent
            .filter(|(_, silent)| *silent < FORGET)
            .map(|(peer, silent)| Node {
                name: Arc::clone(&peer.name),
                heard: peer.heard,
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

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: u64 = 1_700_000_000_000;

    fn head(run: u64, number: u64, sent: u64) -> Head {
        Head { node: format!("node{run}").into(), run, number, sent }
    }

    fn date() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(NOW_MS)
    }

    #[tokio::test(start_paused = true)]
    async fn numbers_only_grow_and_dates_are_near() {
        let mut peers = Peers::default();
        let now = Instant::now();
        for (run, number, sent, verdict) in [
            (1, 1, NOW_MS, Verdict::Next),
            (1, 2, NOW_MS, Verdict::Next),
            (1, 2, NOW_MS, Verdict::Repeated),
            (1, 5, NOW_MS, Verdict::Gap),
            (1, 3, NOW_MS, Verdict::Repeated),
            (1, 6, NOW_MS - 60_001, Verdict::OtherTime),
            (1, 6, NOW_MS + 60_001, Verdict::OtherTime),
            (1, 6, NOW_MS - 60_000, Verdict::Next),
            (2, 1, NOW_MS, Verdict::Next),
            (3, 4, NOW_MS, Verdict::Gap),
            (3, 0, NOW_MS, Verdict::Repeated),
            (1, u64::MAX, NOW_MS, Verdict::Gap),
            (1, u64::MAX, NOW_MS, Verdict::Repeated),
        ] {
            assert_eq!(peers.judge(&head(run, number, sent), now, date()), verdict, "{run} {number} {sent}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_list_is_bounded_and_the_silent_make_room() {
        let mut peers = Peers::default();
        let now = Instant::now();
        let count = MAX_NODES as u64;
        for run in 1..=count {
            assert_eq!(peers.judge(&head(run, 1, NOW_MS), now, date()), Verdict::Next);
        }
        assert_eq!(peers.judge(&head(count + 1, 1, NOW_MS), now, date()), Verdict::Crowded);
        assert_eq!(peers.nodes(now).len(), MAX_NODES);
        let later = now + FORGET;
        assert_eq!(peers.nodes(later), []);
        assert_eq!(peers.judge(&head(count + 1, 1, NOW_MS), later, date()), Verdict::Next);
        assert_eq!(peers.nodes(later).len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn who_leaves_is_not_waited_for_and_is_not_repeated_either() {
        let mut peers = Peers::default();
        let now = Instant::now();
        let near = Duration::from_secs(15);
        peers.judge(&head(1, 1, NOW_MS), now, date());
        peers.judge(&head(2, 1, NOW_MS), now, date());
        peers.leave(1, now);
        assert_eq!(peers.present(now, near), [(2, Arc::from("node2"))]);
        assert_eq!(peers.present(now + near + Duration::from_millis(1), near), []);
        assert_eq!(peers.judge(&head(1, 1, NOW_MS), now, date()), Verdict::Repeated);
    }
}
