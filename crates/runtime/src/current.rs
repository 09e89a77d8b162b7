//! The plan in force, and the one moment in which a reload replaces it.
//!
//! A login reads the mapping and the plan one after the other, and a reload replaces both. What must never happen: a
//! login that is confirmed by a plan which is gone; a login that fails because it read one of the two before the
//! replacement and the other after it; a lock that is held over an await.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use tokio::sync::watch;

use crate::ActivePlan;

/// A shared value that a reload replaces while others read it. Clones share the value.
pub struct Current<T>(Arc<Shared<T>>);

struct Shared<T> {
    value: RwLock<Arc<T>>,
    /// Notified after every replacement.
    replaced: watch::Sender<()>,
}

/// The plan in force.
pub type CurrentPlan = Current<ActivePlan>;

/// Nothing is replaced while this guard lives. It is not `Send`, so the compiler refuses to hold it over an await.
pub type Held<'c, T> = RwLockReadGuard<'c, Arc<T>>;

// === impl Current ===

impl<T> Current<T> {
    /// Puts `first` in force.
    #[must_use]
    pub fn new(first: Arc<T>) -> Self {
        Self(Arc::new(Shared { value: RwLock::new(first), replaced: watch::Sender::new(()) }))
    }

    /// Returns what is in force now.
    #[must_use]
    pub fn now(&self) -> Arc<T> {
        Arc::clone(&self.hold())
    }

    /// Returns what is in force and keeps it in force while the guard lives. The holder must not call this value's
    /// methods again meanwhile.
    pub fn hold(&self) -> Held<'_, T> {
        // The lock guards a single reference, so a panic cannot leave it half-changed.
        self.0.value.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns a receiver that is notified after every replacement.
    pub fn subscribe(&self) -> watch::Receiver<()> {
        self.0.replaced.subscribe()
    }

    /// Puts `next` in force and returns what was. `also` runs in the same moment: whoever sees one change sees the
    /// other. It must not read this value.
    pub fn replace(&self, next: Arc<T>, also: impl FnOnce()) -> Arc<T> {
        let mut place = self.0.value.write().unwrap_or_else(PoisonError::into_inner);
        also();
        let before = std::mem::replace(&mut *place, next);
        drop(place);
        self.0.replaced.send_replace(());
        before
    }
}

impl<T> Clone for Current<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: fmt::Debug> fmt::Debug for Current<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Current").field(&self.hold()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[test]
    fn a_reader_never_sees_half_a_replacement() {
        const ROUNDS: u32 = 20_000;
        let current = Current::new(Arc::new(0));
        let mapping = AtomicU32::new(0);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for round in 1..=ROUNDS {
                    current.replace(Arc::new(round), || mapping.store(round, Ordering::SeqCst));
                }
            });
            loop {
                // In the order of a login: the mapping first.
                let seen = mapping.load(Ordering::SeqCst);
                let plan = current.now();
                assert!(*plan >= seen, "the plan is older than the mapping");
                let held = current.hold();
                if Arc::ptr_eq(&held, &plan) {
                    assert_eq!(mapping.load(Ordering::SeqCst), **held, "replaced while it was held");
                }
                if **held == ROUNDS {
                    return;
                }
            }
        });
    }
}
