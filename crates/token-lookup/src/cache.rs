//! Caches the accounts of tokens by a keyed hash, and shares one query among callers with the same token.
//!
//! Tokens that have an account and tokens that have none are cached separately: anybody can send any number of tokens that
//! no server knows, and they must not evict those of users. What must never happen: a token itself is stored.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_lc_rs::hmac;
use identity::Identifier;
use tokio::sync::OnceCell;
use tokio::time::Instant;

/// The keyed hash of a token.
pub(crate) type Digest = [u8; 32];

/// The account of a token, and when that answer expires.
#[derive(Debug, Clone)]
pub(crate) struct KnownToken {
    pub(crate) account: Option<Identifier>,
    pub(crate) expires: Instant,
}

/// The result of looking a token up in the cache.
pub(crate) enum Cached<'c> {
    /// The answer is cached.
    Known(KnownToken),
    /// A server has to be queried, or is being queried.
    Pending(PendingToken<'c>),
}

/// A token whose query is not finished. The first caller runs it; the others wait for it.
pub(crate) struct PendingToken<'c> {
    cache: &'c Cache,
    digest: Digest,
    answer: Arc<OnceCell<KnownToken>>,
    /// The account in the expired answer, for use when no server can be reached.
    last: Option<Identifier>,
}

/// How many tokens are cached at most.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Capacity {
    /// Tokens that have an account.
    pub(crate) with_account: usize,
    /// Tokens that have none.
    pub(crate) without_account: usize,
}

/// The accounts of recently seen tokens.
pub(crate) struct Cache {
    key: hmac::Key,
    capacity: Capacity,
    entries: Mutex<Entries>,
}

#[derive(Default)]
struct Entries {
    with_account: HashMap<Digest, KnownToken>,
    without_account: HashMap<Digest, KnownToken>,
    /// Queries that are not finished. Each belongs to at least one caller.
    pending: HashMap<Digest, Arc<OnceCell<KnownToken>>>,
}

// === impl Cache ===

impl Cache {
    /// Makes an empty cache. Returns `None` if the system provides no randomness.
    pub(crate) fn new(capacity: Capacity) -> Option<Self> {
        let mut key = [0; 32];
        aws_lc_rs::rand::fill(&mut key).ok()?;
        let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
        Some(Self { key, capacity, entries: Mutex::default() })
    }

    pub(crate) fn digest(&self, token: &[u8]) -> Digest {
        let tag = hmac::sign(&self.key, token);
        let mut digest = [0; 32];
        digest.copy_from_slice(tag.as_ref());
        digest
    }

    /// Returns the token's answer, or its query if there is no answer or it has expired.
    pub(crate) fn look_up(&self, digest: Digest) -> Cached<'_> {
        let now = Instant::now();
        let mut entries = self.lock();
        let known = entries.with_account.get(&digest).or_else(|| entries.without_account.get(&digest));
        let last = match known {
            Some(known) if known.expires > now => return Cached::Known(known.clone()),
            Some(known) => known.account.clone(),
            None => None,
        };
        let answer = Arc::clone(entries.pending.entry(digest).or_default());
        Cached::Pending(PendingToken { cache: self, digest, answer, last })
    }

    /// Returns the number of cached tokens.
    pub(crate) fn len(&self) -> usize {
        let entries = self.lock();
        entries.with_account.len() + entries.without_account.len()
    }

    fn store(&self, digest: Digest, known: &KnownToken) {
        let now = Instant::now();
        let mut entries = self.lock();
        entries.pending.remove(&digest);
        if known.expires <= now {
            return;
        }
        entries.with_account.remove(&digest);
        entries.without_account.remove(&digest);
        let (tokens, max) = match known.account {
            Some(_) => (&mut entries.with_account, self.capacity.with_account),
            None => (&mut entries.without_account, self.capacity.without_account),
        };
        if tokens.len() >= max {
            make_room(tokens, now, max);
        }
        tokens.insert(digest, known.clone());
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        // A poisoned map is consistent: no code of ours runs inside its methods.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl PendingToken ===

impl PendingToken<'_> {
    /// Returns the account in the expired answer, if there is one.
    pub(crate) const fn last(&self) -> Option<&Identifier> {
        self.last.as_ref()
    }

    /// Returns the answer: that of `query`, or of the same query of another caller. An answer that has expired already is
    /// not cached. If the caller that runs the query is cancelled, a waiting caller runs its own.
    pub(crate) async fn resolve(self, query: impl Future<Output = KnownToken>) -> KnownToken {
        let mut is_ours = false;
        let query = async {
            is_ours = true;
            query.await
        };
        let known = self.answer.get_or_init(|| query).await.clone();
        if is_ours {
            self.cache.store(self.digest, &known);
        }
        known
    }
}

impl Drop for PendingToken<'_> {
    fn drop(&mut self) {
        let mut entries = self.cache.lock();
        // The map and this caller: nobody else waits for the query, which was cancelled.
        if Arc::strong_count(&self.answer) == 2
            && entries.pending.get(&self.digest).is_some_and(|pending| Arc::ptr_eq(pending, &self.answer))
        {
            entries.pending.remove(&self.digest);
        }
    }
}

/// Removes expired entries. If that frees less than a quarter, it removes others in hash order, which is as good as
/// random.
fn make_room(tokens: &mut HashMap<Digest, KnownToken>, now: Instant, max: usize) {
    tokens.retain(|_, known| known.expires > now);
    let goal = max / 4 * 3;
    let mut surplus = tokens.len().saturating_sub(goal);
    tokens.retain(|_, _| {
        let stays = surplus == 0;
        surplus = surplus.saturating_sub(1);
        stays
    });
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const CAPACITY: Capacity = Capacity { with_account: 100, without_account: 50 };

    fn cache() -> Cache {
        Cache::new(CAPACITY).expect("randomness")
    }

    fn known(account: Option<&str>, seconds: u64) -> KnownToken {
        let account = account.map(|account| Identifier::parse(account).expect("an identifier"));
        KnownToken { account, expires: Instant::now() + Duration::from_secs(seconds) }
    }

    /// Looks a token up; `answer` is the result of a query.
    async fn resolve(cache: &Cache, token: &[u8], answer: KnownToken) -> Option<String> {
        let known = match cache.look_up(cache.digest(token)) {
            Cached::Known(known) => known,
            Cached::Pending(pending) => pending.resolve(async { answer }).await,
        };
        known.account.map(|account| account.as_str().to_owned())
    }

    fn is_cached(cache: &Cache, token: &[u8]) -> bool {
        matches!(cache.look_up(cache.digest(token)), Cached::Known(_))
    }

    #[tokio::test(start_paused = true)]
    async fn an_expired_answer_stays_for_an_outage() {
        let cache = cache();
        assert_eq!(resolve(&cache, b"token", known(Some("alice"), 10)).await.as_deref(), Some("alice"));
        assert_eq!(
            resolve(&cache, b"token", known(Some("bob"), 10)).await.as_deref(),
            Some("alice"),
            "cached"
        );
        tokio::time::advance(Duration::from_secs(11)).await;
        let Cached::Pending(pending) = cache.look_up(cache.digest(b"token")) else { panic!("still cached") };
        assert_eq!(pending.last().map(Identifier::as_str), Some("alice"));
        assert_eq!(pending.resolve(async { known(None, 10) }).await.account, None);
        assert_eq!(cache.len(), 1, "an answer replaces the one of the other kind");
    }

    #[tokio::test(start_paused = true)]
    async fn unknown_tokens_do_not_evict_those_of_users() {
        let cache = cache();
        for number in 0..100_u32 {
            resolve(&cache, &number.to_be_bytes(), known(Some("alice"), 60)).await;
        }
        for number in 1_000..11_000_u32 {
            resolve(&cache, &number.to_be_bytes(), known(None, 60)).await;
            assert!(cache.len() <= CAPACITY.with_account + CAPACITY.without_account);
        }
        assert!(
            (0..100_u32).all(|number| is_cached(&cache, &number.to_be_bytes())),
            "a user's token was evicted"
        );
        assert!(is_cached(&cache, &10_999_u32.to_be_bytes()), "the latest token is cached");
        for number in 20_000..30_000_u32 {
            resolve(&cache, &number.to_be_bytes(), known(Some("alice"), 60)).await;
            assert!(cache.len() <= CAPACITY.with_account + CAPACITY.without_account);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_query_answers_all_callers_and_a_cancelled_one_leaves_nothing() {
        let cache = cache();
        let digest = cache.digest(b"token");
        let slow = async {
            let Cached::Pending(pending) = cache.look_up(digest) else { panic!("cached") };
            pending
                .resolve(async {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    known(Some("alice"), 60)
                })
                .await
        };
        let other = async {
            let Cached::Pending(pending) = cache.look_up(digest) else { panic!("cached") };
            pending.resolve(async { panic!("a second query") }).await
        };
        let (first, second) = tokio::join!(slow, other);
        assert_eq!(first.account, second.account);
        assert!(cache.lock().pending.is_empty());

        let Cached::Pending(pending) = cache.look_up(cache.digest(b"other")) else { panic!("cached") };
        let cancelled = tokio::time::timeout(Duration::from_secs(1), pending.resolve(std::future::pending()));
        assert!(cancelled.await.is_err());
        assert!(cache.lock().pending.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_has_expired_is_not_cached() {
        let cache = cache();
        assert_eq!(resolve(&cache, b"token", known(Some("alice"), 0)).await.as_deref(), Some("alice"));
        assert_eq!(cache.len(), 0);
        assert_eq!(resolve(&cache, b"token", known(Some("bob"), 60)).await.as_deref(), Some("bob"));
    }

    #[test]
    fn two_caches_hash_a_token_differently() {
        assert_ne!(cache().digest(b"token"), cache().digest(b"token"));
    }
}
