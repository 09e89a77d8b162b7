//! Counts wrong tokens, and locks the networks that sent too many.
//!
//! One network counts as one address ([`types::network`]). The table is bounded: when it is full, expired entries are
//! removed first, then the oldest entry that is not locked, then the lock that ends first. A client with that many
//! addresses gains a few guesses at a token of 32 random bytes.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The networks that have sent wrong tokens.
#[derive(Debug, Default)]
pub(crate) struct Lockout {
    by_network: Mutex<HashMap<IpAddr, FailureCount>>,
}

/// The limits in `[admin]`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LockoutRule {
    /// The number of wrong tokens that locks a network (`lockout_threshold`).
    pub(crate) threshold: u32,
    /// How long it is locked (`lockout_duration`). Failures further apart than this are not added up.
    pub(crate) duration: Duration,
}

#[derive(Clone, Copy, Debug)]
struct FailureCount {
    count: u32,
    /// When the count or the lock expires.
    until: Instant,
    is_locked: bool,
}

/// The most networks in the table.
const MAX_NETWORKS: usize = 4096;

// === impl LockoutRule ===

impl LockoutRule {
    /// The configuration's defaults, used when a reload has removed `[admin]`: the API is served until a restart.
    pub(crate) const DEFAULT: Self = Self { threshold: 5, duration: Duration::from_secs(300) };
}

// === impl Lockout ===

impl Lockout {
    /// Returns how much longer `address` is locked.
    pub(crate) fn locked(&self, address: IpAddr, now: Instant) -> Option<Duration> {
        let networks = self.lock();
        let failures = networks.get(&types::network::client_network(address))?;
        (failures.is_locked && failures.until > now).then(|| failures.until - now)
    }

    /// Counts a wrong token from `address`. Returns whether that locks it.
    pub(crate) fn failed(&self, address: IpAddr, rule: LockoutRule, now: Instant) -> bool {
        let network = types::network::client_network(address);
        let mut networks = self.lock();
        if !networks.contains_key(&network) {
            make_room(&mut networks, now);
        }
        let fresh = FailureCount { count: 0, until: now + rule.duration, is_locked: false };
        let failures = networks.entry(network).or_insert(fresh);
        if failures.until <= now {
            *failures = fresh;
        }
        failures.count = failures.count.saturating_add(1);
        if failures.count < rule.threshold {
            return false;
        }
        *failures = FailureCount { until: now + rule.duration, is_locked: true, ..*failures };
        true
    }

    /// Resets the count of `address`, which has sent the right token.
    pub(crate) fn succeeded(&self, address: IpAddr) {
        self.lock().remove(&types::network::client_network(address));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, FailureCount>> {
        // A panic under the lock leaves valid numbers.
        self.by_network.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes room for one more entry.
fn make_room(networks: &mut HashMap<IpAddr, FailureCount>, now: Instant) {
    if networks.len() < MAX_NETWORKS {
        return;
    }
    networks.retain(|_, failures| failures.until > now);
    if networks.len() < MAX_NETWORKS {
        return;
    }
    let first =
        networks.iter().min_by_key(|(_, failures)| (failures.is_locked, failures.until)).map(|(key, _)| *key);
    if let Some(key) = first {
        networks.remove(&key);
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;

    const RULE: LockoutRule = LockoutRule { threshold: 3, duration: Duration::from_secs(300) };

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("address")
    }

    #[test]
    fn the_threshold_locks_for_the_duration() {
        let lockout = Lockout::default();
        let now = Instant::now();
        let address = ip("127.0.0.1");
        assert!(!lockout.failed(address, RULE, now));
        assert!(!lockout.failed(address, RULE, now));
        assert_eq!(lockout.locked(address, now), None);
        assert!(lockout.failed(address, RULE, now));
        assert_eq!(lockout.locked(address, now), Some(RULE.duration));
        assert_eq!(lockout.locked(ip("127.0.0.2"), now), None, "another address is free");
        assert_eq!(lockout.locked(address, now + RULE.duration), None, "and so is this one, afterwards");
        assert!(!lockout.failed(address, RULE, now + RULE.duration), "counted from one again");
    }

    #[test]
    fn failures_that_are_far_apart_and_failures_before_a_success_do_not_add_up() {
        let lockout = Lockout::default();
        let now = Instant::now();
        let address = ip("192.0.2.1");
        for n in 0..10 {
            assert!(!lockout.failed(address, RULE, now + RULE.duration * n), "{n}");
        }
        let now = now + RULE.duration * 20;
        for n in 0..10 {
            assert!(!lockout.failed(address, RULE, now) && !lockout.failed(address, RULE, now), "{n}");
            lockout.succeeded(address);
        }
        assert!(lockout.lock().is_empty());
    }

    #[test]
    fn one_ipv6_network_is_one_address_and_mapped_ipv4_is_ipv4() {
        let lockout = Lockout::default();
        let now = Instant::now();
        for host in 1..=3 {
            lockout.failed(ip(&format!("2001:db8::{host}")), RULE, now);
            lockout.failed(ip("::ffff:192.0.2.1"), RULE, now);
        }
        assert!(lockout.locked(ip("2001:db8::ffff:1"), now).is_some());
        assert!(lockout.locked(ip("2001:db8:0:1::1"), now).is_none());
        assert!(lockout.locked(ip("192.0.2.1"), now).is_some());
    }

    #[test]
    fn the_table_has_a_bound_and_locks_outlast_first_failures() {
        let lockout = Lockout::default();
        let now = Instant::now();
        let address = ip("192.0.2.1");
        for _ in 0..RULE.threshold {
            lockout.failed(address, RULE, now);
        }
        for n in 0..3 * MAX_NETWORKS as u128 {
            lockout.failed(IpAddr::V6(Ipv6Addr::from(n << 64)), RULE, now);
        }
        assert_eq!(lockout.lock().len(), MAX_NETWORKS);
        assert!(lockout.locked(address, now).is_some());
        lockout.failed(ip("192.0.2.2"), RULE, now + RULE.duration);
        assert_eq!(lockout.lock().len(), 1, "expired entries are removed first");
    }
}
