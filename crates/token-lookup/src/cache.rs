//! What is known of tokens: by a keyed hash, with deadlines, one question for each.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_lc_rs::hmac;
use identity::Identifier;
use tokio::sync::OnceCell;
use tokio::time::Instant;

/// A token as the cache knows it.
pub(crate) type Digest = [u8; 32];

/// What is known of a token, and until when that is believed.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    pub(crate) account: Option<Identifier>,
    pub(crate) until: Instant,
}

/// See the module's comment.
pub(crate) struct Cache {
    key: hmac::Key,
    entries: Mutex<HashMap<Digest, Entry>>,
    max: usize,
}

/// One token's place. Filled by whoever asks first; the others wait for it.
#[derive(Clone, Default)]
pub(crate) struct Entry {
    pub(crate) answer: Arc<OnceCell<Known>>,
    /// What was known before, for when nobody can be asked.
    pub(crate) last: Option<Identifier>,
}

// === impl Cache ===

impl Cache {
    /// Remembers at most `max` tokens. `None` when the system gives no randomness.
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

    /// The token's place; a fresh one where there was none, or its answer has grown old.
    pub(crate) fn entry(&self, digest: Digest) -> Entry {
        let now = Instant::now();
        let mut entries = self.lock();
        let last = match entries.get(&digest) {
            Some(entry) => match entry.answer.get() {
                None => return entry.clone(),
                Some(known) if known.until > now => return entry.clone(),
                Some(known) => known.account.clone(),
            },
            None => None,
        };
        if entries.len() >= self.max {
            make_room(&mut entries, now, self.max);
        }
        let entry = Entry { answer: Arc::default(), last };
        entries.insert(digest, entry.clone());
        entry
    }

    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Digest, Entry>> {
        // Nothing is half done between two calls.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Forgets what has grown old; should that not be a quarter, whatever comes first, which is as good as random.
fn make_room(entries: &mut HashMap<Digest, Entry>, now: Instant, max: usize) {
    entries.retain(|_, entry| entry.answer.get().is_none_or(|known| known.until > now));
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

    fn known(account: &str, seconds: u64) -> Known {
        let account = Some(Identifier::parse(account).expect("an identifier"));
        Known { account, until: Instant::now() + Duration::from_secs(seconds) }
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_grows_old_and_stays_for_an_outage() {
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
    async fn it_is_bounded_whatever_comes() {
        let cache = Cache::new(100).expect("randomness");
        for number in 0..10_000_u32 {
            let entry = cache.entry(cache.digest(&number.to_be_bytes()));
            entry.answer.set(known("alice", 60)).expect("empty");
            assert!(cache.len() <= 100);
        }
        let digest = cache.digest(&9_999_u32.to_be_bytes());
        assert!(cache.entry(digest).answer.get().is_some(), "the latest is remembered");
    }

    #[test]
    fn two_caches_know_a_token_by_two_names() {
        let one = Cache::new(1).expect("randomness");
        let other = Cache::new(1).expect("randomness");
        assert_ne!(one.digest(b"token"), other.digest(b"token"));
    }
}
