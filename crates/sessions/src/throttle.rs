//! The throttle on password guessing: the more logins have failed, the later the answer to the next failed one.
//!
//! Failures are counted for the client's network and for the account, each in a bucket that empties by itself.
//! What must never happen here: a login that is refused, or a delay for one that succeeds, since guessing would then lock
//! out the account's owner; a table that grows with what clients send; a name or an address that stays readable in
//! memory. The caller waits for the delay. It keeps its [place](crate::Guess) meanwhile, and no place of the account's
//! logins in flight, which networks other than the guesser's need.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use types::network::client_network;

use crate::guesses::{Guess, Guesses};

/// The buckets of all clients and accounts. Clones share them.
#[derive(Clone, Debug)]
pub struct LoginThrottle {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    hasher: RandomState,
    epoch: Instant,
    /// `limits.auth_delay_max`, in milliseconds.
    longest: AtomicU64,
    /// How many credentials of an account a client network may try at once; 0 = no limit.
    places: AtomicUsize,
    guesses: Guesses,
    table: Mutex<Table>,
}

/// Slots in sets. A key belongs to one set, where a new one replaces the key with the fewest failures. So the table is
/// bounded, and a bucket is evicted only by a set full of keys with more failures.
#[derive(Debug)]
struct Table {
    /// Keyed hashes.
    keys: Box<[u64]>,
    /// When the bucket is empty again, in milliseconds since `Inner::epoch`; 0 in a slot that was never used.
    empty_at: Box<[u64]>,
}

/// What a bucket counts the failures of.
#[derive(Hash)]
enum Subject<'a> {
    Client(IpAddr),
    Account(&'a str),
}

/// Buckets in the table: 1 MiB, which is touched as it is needed.
const SLOTS: usize = 1 << 16;
/// Slots in a set.
const WAYS: usize = 8;

/// After this time one failure is forgotten.
const FORGOTTEN_IN: Duration = Duration::from_secs(30);
/// Failures of an account without a delay: a typing error, and a second try with the old password.
const FREE_OF_ACCOUNT: u64 = 2;
/// Failures of a network without a delay: a household or an office shares an address.
const FREE_OF_CLIENT: u64 = 8;
/// The first delay; each further failure doubles it.
const FIRST: Duration = Duration::from_secs(1);
/// The most failures that a bucket counts, so that it is empty within eight minutes of the last one.
const CAPACITY: u64 = 16;

// === impl LoginThrottle ===

impl LoginThrottle {
    /// Makes an empty throttle with `longest` as the longest delay; zero switches the delay off. A client network may try
    /// `places` credentials of an account at once; 0 = no limit.
    #[must_use]
    pub fn new(longest: Duration, places: usize) -> Self {
        let inner = Inner {
            hasher: RandomState::new(),
            epoch: Instant::now(),
            longest: AtomicU64::new(milliseconds(longest)),
            places: AtomicUsize::new(places),
            guesses: Guesses::default(),
            table: Mutex::new(Table {
                keys: vec![0; SLOTS].into_boxed_slice(),
                empty_at: vec![0; SLOTS].into_boxed_slice(),
            }),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Changes the longest delay for later failures, and the places for accounts that nobody logs in to at the moment.
    pub fn set_limits(&self, longest: Duration, places: usize) {
        self.inner.longest.store(milliseconds(longest), Ordering::Relaxed);
        self.inner.places.store(places, Ordering::Relaxed);
    }

    /// Waits for the place of a login to `account`, before its credential is sent to a backend. Where the login is
    /// refused, its place is to be kept until the delay that [`failed`](Self::failed) returns is over, even if the
    /// client is gone. `credential`: its [fingerprint](Self::fingerprint), if the login may share the place of another
    /// one. Returns `None` if the client is not known, or nothing is limited.
    pub async fn enter(
        &self,
        client: Option<IpAddr>,
        account: &str,
        credential: Option<u64>,
    ) -> Option<Guess> {
        let places = self.inner.places.load(Ordering::Relaxed);
        if places == 0 {
            return None;
        }
        let subject = (client_network(client?), self.inner.hasher.hash_one(Subject::Account(account)));
        Some(self.inner.guesses.enter(subject, places, credential).await)
    }

    /// Returns the keyed hash of a credential.
    #[must_use]
    pub fn fingerprint(&self, credential: &[u8]) -> u64 {
        self.inner.hasher.hash_one(credential)
    }

    /// Returns how long the answer to a failed login would be delayed now. `client` is the real client behind a trusted
    /// front, and `None` where the front does not report it; `account` is normalised, and `None` where it is not known.
    #[must_use]
    pub fn delay_for(&self, client: Option<IpAddr>, account: Option<&str>) -> Duration {
        let now = self.now();
        let table = self.lock();
        let delays = self.buckets(client, account).map(|(key, free)| delay(table.level(key, now), free));
        delays.max().unwrap_or_default().min(self.longest())
    }

    /// Counts a failed login, and returns how long its answer is to be delayed.
    #[must_use = "the delay is to be waited"]
    pub fn failed(&self, client: Option<IpAddr>, account: Option<&str>) -> Duration {
        let now = self.now();
        let mut table = self.lock();
        for (key, _) in self.buckets(client, account) {
            table.fill(key, now);
        }
        drop(table);
        self.delay_for(client, account)
    }

    /// Takes one failure back from the account. Not all of them: the owner's mail program logs in all day, and would
    /// reset the count for a client that guesses meanwhile. None from the network: a guesser may have an account too.
    pub fn succeeded(&self, account: Option<&str>) {
        let now = self.now();
        let mut table = self.lock();
        for (key, _) in self.buckets(None, account) {
            table.drain(key, now);
        }
    }

    /// Returns the keys of a client and an account, each with the number of failures without a delay.
    fn buckets(
        &self,
        client: Option<IpAddr>,
        account: Option<&str>,
    ) -> impl Iterator<Item = (u64, u64)> + use<> {
        let key = |subject: Subject<'_>| self.inner.hasher.hash_one(subject);
        let client = client.map(|ip| (key(Subject::Client(client_network(ip))), FREE_OF_CLIENT));
        let account = account.map(|account| (key(Subject::Account(account)), FREE_OF_ACCOUNT));
        client.into_iter().chain(account)
    }

    fn longest(&self) -> Duration {
        Duration::from_millis(self.inner.longest.load(Ordering::Relaxed))
    }

    /// Returns the time in milliseconds since the epoch; at least 1, since 0 marks an empty slot.
    fn now(&self) -> u64 {
        milliseconds(self.inner.epoch.elapsed()) + 1
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.inner.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Table ===

impl Table {
    /// Returns the failures in the bucket of `key`.
    fn level(&self, key: u64, now: u64) -> u64 {
        self.find(key).map_or(0, |slot| self.empty_at[slot].saturating_sub(now).div_ceil(per_failure()))
    }

    fn fill(&mut self, key: u64, now: u64) {
        let slot = self.find(key).unwrap_or_else(|| self.least(key));
        let left = if self.keys[slot] == key { self.empty_at[slot].max(now) } else { now };
        self.keys[slot] = key;
        self.empty_at[slot] = (left + per_failure()).min(now + CAPACITY * per_failure());
    }

    fn drain(&mut self, key: u64, now: u64) {
        if let Some(slot) = self.find(key) {
            self.empty_at[slot] = self.empty_at[slot].saturating_sub(per_failure()).max(now);
        }
    }

    fn find(&self, key: u64) -> Option<usize> {
        set(key).find(|&slot| self.keys[slot] == key && self.empty_at[slot] != 0)
    }

    fn least(&self, key: u64) -> usize {
        set(key).min_by_key(|&slot| self.empty_at[slot]).unwrap_or_default()
    }
}

/// Returns the slots in which `key` may be.
fn set(key: u64) -> std::ops::Range<usize> {
    #[expect(clippy::cast_possible_truncation, reason = "the remainder is below the number of sets")]
    let first = (key % (SLOTS / WAYS) as u64) as usize * WAYS;
    first..first + WAYS
}

/// Returns the delay after `level` failures, of which `free` have none.
fn delay(level: u64, free: u64) -> Duration {
    match level.saturating_sub(free) {
        0 => Duration::ZERO,
        // A level is at most CAPACITY, so the shift does not overflow.
        over => FIRST * (1 << (over - 1).min(CAPACITY)),
    }
}

fn per_failure() -> u64 {
    milliseconds(FORGOTTEN_IN)
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    const LONGEST: Duration = Duration::from_secs(15);

    fn ip(text: &str) -> Option<IpAddr> {
        Some(text.parse().expect("an address"))
    }

    fn fail(throttle: &LoginThrottle, client: Option<IpAddr>, account: Option<&str>, times: u64) -> Vec<u64> {
        (0..times).map(|_| throttle.failed(client, account).as_secs()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn delays_of_an_account_grow_to_the_longest_from_any_client() {
        let throttle = LoginThrottle::new(LONGEST, 0);
        let alice = Some("alice");
        let delays: Vec<u64> =
            (0..9_u8).map(|n| throttle.failed(Some(IpAddr::from([192, 0, 2, n])), alice).as_secs()).collect();
        assert_eq!(delays, [0, 0, 1, 2, 4, 8, 15, 15, 15]);
        assert_eq!(throttle.delay_for(None, alice), LONGEST, "reading the delay counts nothing");
        assert_eq!(throttle.delay_for(None, Some("bob")), Duration::ZERO, "another account has none");
    }

    #[tokio::test(start_paused = true)]
    async fn delays_of_a_network_grow_for_any_account() {
        let throttle = LoginThrottle::new(LONGEST, 0);
        let delays: Vec<u64> = (0..13_u64)
            .map(|n| throttle.failed(ip("2001:db8::1"), Some(&format!("user{n}"))).as_secs())
            .collect();
        assert_eq!(delays, [0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 4, 8, 15]);
        assert_eq!(throttle.delay_for(ip("2001:db8::2:3"), None), LONGEST, "the same /64");
        assert_eq!(throttle.delay_for(ip("2001:db8:0:1::1"), None), Duration::ZERO);
        assert_eq!(fail(&throttle, None, None, 20), [0; 20], "neither is known");
    }

    #[tokio::test(start_paused = true)]
    async fn failures_are_forgotten() {
        let throttle = LoginThrottle::new(LONGEST, 0);
        let alice = Some("alice");
        assert_eq!(fail(&throttle, None, alice, 4), [0, 0, 1, 2]);
        advance(FORGOTTEN_IN).await;
        assert_eq!(throttle.delay_for(None, alice).as_secs(), 1);
        advance(FORGOTTEN_IN * 3).await;
        assert_eq!(throttle.delay_for(None, alice), Duration::ZERO);
        assert_eq!(fail(&throttle, None, alice, 3), [0, 0, 1]);
        fail(&throttle, None, alice, 10_000);
        advance(FORGOTTEN_IN * 14).await;
        assert_eq!(throttle.delay_for(None, alice), Duration::ZERO, "however many there were");
    }

    #[tokio::test(start_paused = true)]
    async fn a_success_takes_one_failure_back_from_the_account_only() {
        let throttle = LoginThrottle::new(LONGEST, 0);
        let client = ip("192.0.2.1");
        let alice = Some("alice");
        fail(&throttle, client, alice, 10);
        assert_eq!(throttle.delay_for(None, alice), LONGEST);
        for _ in 0..7 {
            throttle.succeeded(alice);
        }
        assert_eq!(throttle.delay_for(None, alice).as_secs(), 1);
        assert_eq!(throttle.delay_for(client, None).as_secs(), 2);
        for _ in 0..100 {
            throttle.succeeded(alice);
            throttle.succeeded(Some("nobody"));
        }
        assert_eq!(fail(&throttle, None, alice, 3), [0, 0, 1], "no credit is given");
    }

    #[tokio::test(start_paused = true)]
    async fn the_longest_delay_can_change_and_be_zero() {
        let throttle = LoginThrottle::new(LONGEST, 0);
        fail(&throttle, None, Some("alice"), 20);
        throttle.set_limits(Duration::from_millis(50), 0);
        assert_eq!(throttle.delay_for(None, Some("alice")), Duration::from_millis(50));
        throttle.set_limits(Duration::ZERO, 0);
        assert_eq!(throttle.failed(None, Some("alice")), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn the_table_is_bounded_and_evicts_the_most_failures_last() {
        let throttle = LoginThrottle::new(LONGEST, 0);
        let alice = Some("alice");
        fail(&throttle, None, alice, 16);
        for n in 0..2 * SLOTS {
            let _ = throttle.failed(None, Some(&n.to_string()));
        }
        let table = throttle.lock();
        assert_eq!((table.keys.len(), table.empty_at.len()), (SLOTS, SLOTS));
        drop(table);
        assert_eq!(throttle.delay_for(None, alice), LONGEST);
    }
}
