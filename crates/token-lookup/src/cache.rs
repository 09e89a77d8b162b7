//! Caches the accounts of tokens by a keyed hash, and shares one query among callers with the same token.
//!
//! What must never happen: a token itself is stored.

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

/// The accounts of recently seen tokens.
pub(crate) struct Cache {
    key: hmac::Key,
    entries: Mutex<HashMap<Digest, TokenEntry>>,
    max: usize,
}

/// The entry of a token. The first caller fills it; the others wait for it.
#[derive(Clone, Default)]
pub(crate) struct TokenEntry {
    pub(crate) answer: Arc<OnceCell<KnownToken>>,
    /// The account in the expired answer, for use when no server can be reached.
    pub(crate) last: Option<Identifier>,
}

// === impl Cache ===

impl Cache {
    /// Makes a cache of at most `max` tokens. Returns `None` if the system provides no randomness.
    pub(crate) fn new(max: usize) -> Option<Self> {
        let mut key = [0; 32];
        aws_lc_rs::rand::fill(&mut key).ok()?;
        let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
        Some(Self { key, entries: Mutex::default(), max })
    }

    pub(crate) fn digest(&self, token: &[u8]) -> Digest {
        let tag = hmac::sign(&self.key, token);
        let mut digest = [0; 32];
        digest.copy_from_slice(tag.as_ref());
        digest
    }

    /// Returns the token's entry: a new one if there was none or its answer has expired.
    pub(crate) fn entry(&self, digest: Digest) -> TokenEntry {
        let now = Instant::now();
        let mut entries = self.lock();
        let last = match entries.get(&digest) {
            Some(entry) => match entry.answer.get() {
                None => return entry.clone(),
                Some(known) if known.expires > now => return entry.clone(),
                Some(known) => known.account.clone(),
            },
            None => None,
        };
        if entries.len() >= self.max {
            make_room(&mut entries, now, self.max);
        }
        let entry = TokenEntry { answer: Arc::default(), last };
        entries.insert(digest, entry.clone());
        entry
    }

    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Digest, TokenEntry>> {
        // A poisoned map is consistent: no code of ours runs inside its methods.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Removes expired entries. If that frees less than a quarter, it removes others in hash order, which is as good as
/// random.
fn make_room(entries: &mut HashMap<Digest, TokenEntry>, now: Instant, max: usize) {
    entries.retain(|_, entry| entry.answer.get().is_none_or(|known| known.expires > now));
    let goal = max / 4 * 3;
    let mut surplus = entries.len().saturating_sub(goal);
    entries.retain(|_, _| {
        let stays = surplus == 0;
        surplus = surplus.saturating_sub(1);
        stays
    });
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn known(account: &str, seconds: u64) -> KnownToken {
        let account = Some(Identifier::parse(account).expect("an identifier"));
        KnownToken { account, expires: Instant::now() + Duration::from_secs(seconds) }
    }

    #[tokio::test(start_paused = true)]
    async fn an_expired_answer_stays_for_an_outage() {
        let cache = Cache::new(8).expect("randomness");
        let digest = cache.digest(b"token");
        let entry = cache.entry(digest);
        entry.answer.set(known("alice", 10)).expect("empty");
        assert!(cache.entry(digest).answer.get().is_some());

        tokio::time::advance(Duration::from_secs(11)).await;
        let again = cache.entry(digest);
        assert!(again.answer.get().is_none());
        assert_eq!(again.last.as_ref().map(Identifier::as_str), Some("alice"));
    }

    #[tokio::test(start_paused = true)]
    async fn the_number_of_entries_is_bounded() {
        let cache = Cache::new(100).expect("randomness");
        for number in 0..10_000_u32 {
            let entry = cache.entry(cache.digest(&number.to_be_bytes()));
            entry.answer.set(known("alice", 60)).expect("empty");
            assert!(cache.len() <= 100);
        }
        let digest = cache.digest(&9_999_u32.to_be_bytes());
        assert!(cache.entry(digest).answer.get().is_some(), "the latest token is cached");
    }

    #[test]
    fn two_caches_hash_a_token_differently() {
        let one = Cache::new(1).expect("randomness");
        let other = Cache::new(1).expect("randomness");
        assert_ne!(one.digest(b"token"), other.digest(b"token"));
    }
}
