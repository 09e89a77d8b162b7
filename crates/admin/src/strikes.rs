//! Addresses that have shown wrong tokens, and for how long they are not listened to.
//!
//! One network counts as one address ([`types::network`]). The table has a bound: when it is full, what is over
//! goes first, then the oldest entry that is no lock, then the lock that ends first. Whoever has that many
//! addresses gains a handful of guesses at a token of 32 random bytes.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// See the module's comment.
#[derive(Debug, Default)]
pub(crate) struct Strikes {
    by_network: Mutex<HashMap<IpAddr, Strike>>,
}

/// `[admin]`'s numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rule {
    /// Wrong tokens that lock an address (`lockout_threshold`).
    pub(crate) threshold: u32,
    /// For how long (`lockout_duration`); failures further apart than this are not counted together.
    pub(crate) duration: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Strike {
    count: u32,
    /// When the count, or the lock, is over.
    until: Instant,
    is_locked: bool,
}

/// Networks that are remembered.
const MAX_NETWORKS: usize = 4096;

// === impl Rule ===

impl Rule {
    /// The configuration's defaults, for when a reload has taken `[admin]` away: the API runs until a restart.
    pub(crate) const DEFAULT: Self = Self { threshold: 5, duration: Duration::from_secs(300) };
}

// === impl Strikes ===

impl Strikes {
    /// How much longer `address` is locked.
    pub(crate) fn locked(&self, address: IpAddr, now: Instant) -> Option<Duration> {
        let strikes = self.lock();
        let strike = strikes.get(&types::network::client_network(address))?;
        (strike.is_locked && strike.until > now).then(|| strike.until - now)
    }

    /// A wrong token came from `address`. True when that locks it.
    pub(crate) fn failed(&self, address: IpAddr, rule: Rule, now: Instant) -> bool {
        let network = types::network::client_network(address);
        let mut strikes = self.lock();
        if !strikes.contains_key(&network) {
            make_room(&mut strikes, now);
        }
        let fresh = Strike { count: 0, until: now + rule.duration, is_locked: false };
        let strike = strikes.entry(network).or_insert(fresh);
        if strike.until <= now {
            *strike = fresh;
        }
        strike.count = strike.count.saturating_add(1);
        if strike.count < rule.threshold {
            return false;
        }
        *strike = Strike { until: now + rule.duration, is_locked: true, ..*strike };
        true
    }

    /// The right token came from `address`.
    pub(crate) fn succeeded(&self, address: IpAddr) {
        self.lock().remove(&types::network::client_network(address));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, Strike>> {
        // A panic elsewhere leaves plain numbers behind.
        self.by_network.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Leaves room for one more.
fn make_room(strikes: &mut HashMap<IpAddr, Strike>, now: Instant) {
    if strikes.len() < MAX_NETWORKS {
        return;
    }
    strikes.retain(|_, strike| strike.until > now);
    if strikes.len() < MAX_NETWORKS {
        return;
    }
    let first =
        strikes.iter().min_by_key(|(_, strike)| (strike.is_locked, strike.until)).map(|(key, _)| *key);
    if let Some(key) = first {
        strikes.remove(&key);
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;

    const RULE: Rule = Rule { threshold: 3, duration: Duration::from_secs(300) };

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("address")
    }

    #[test]
    fn the_threshold_locks_for_the_duration() {
        let strikes = Strikes::default();
        let now = Instant::now();
        let address = ip("127.0.0.1");
        assert!(!strikes.failed(address, RULE, now));
        assert!(!strikes.failed(address, RULE, now));
        assert_eq!(strikes.locked(address, now), None);
        assert!(strikes.failed(address, RULE, now));
        assert_eq!(strikes.locked(address, now), Some(RULE.duration));
        assert_eq!(strikes.locked(ip("127.0.0.2"), now), None, "another address is free");
        assert_eq!(strikes.locked(address, now + RULE.duration), None, "and so is this one, afterwards");
        assert!(!strikes.failed(address, RULE, now + RULE.duration), "counted from one again");
    }

    #[test]
    fn failures_that_are_far_apart_and_failures_before_a_success_do_not_add_up() {
        let strikes = Strikes::default();
        let now = Instant::now();
        let address = ip("192.0.2.1");
        for n in 0..10 {
            assert!(!strikes.failed(address, RULE, now + RULE.duration * n), "{n}");
        }
        let now = now + RULE.duration * 20;
        for n in 0..10 {
            assert!(!strikes.failed(address, RULE, now) && !strikes.failed(address, RULE, now), "{n}");
            strikes.succeeded(address);
        }
        assert!(strikes.lock().is_empty());
    }

    #[test]
    fn one_ipv6_network_is_one_address_and_mapped_ipv4_is_ipv4() {
        let strikes = Strikes::default();
        let now = Instant::now();
        for host in 1..=3 {
            strikes.failed(ip(&format!("2001:db8::{host}")), RULE, now);
            strikes.failed(ip("::ffff:192.0.2.1"), RULE, now);
        }
        assert!(strikes.locked(ip("2001:db8::ffff:1"), now).is_some());
        assert!(strikes.locked(ip("2001:db8:0:1::1"), now).is_none());
        assert!(strikes.locked(ip("192.0.2.1"), now).is_some());
    }

    #[test]
    fn the_table_has_a_bound_and_locks_outlast_first_failures() {
        let strikes = Strikes::default();
        let now = Instant::now();
        let address = ip("192.0.2.1");
        for _ in 0..RULE.threshold {
            strikes.failed(address, RULE, now);
        }
        for n in 0..3 * MAX_NETWORKS as u128 {
            strikes.failed(IpAddr::V6(Ipv6Addr::from(n << 64)), RULE, now);
        }
        assert_eq!(strikes.lock().len(), MAX_NETWORKS);
        assert!(strikes.locked(address, now).is_some());
        strikes.failed(ip("192.0.2.2"), RULE, now + RULE.duration);
        assert_eq!(strikes.lock().len(), 1, "what is over goes first");
    }
}
