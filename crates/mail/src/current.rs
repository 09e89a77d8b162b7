//! What is in force, and the one moment in which a reload replaces it.
//!
//! A login reads the mapping and the plan one after the other, and a reload replaces both. What must never
//! happen: a login that is confirmed by a plan which is gone; one that fails because it read the one before and
//! the other behind the replacement; a lock that is held over an await.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

/// What a reload replaces while others read it. A clone is the same place.
pub struct Current<T>(Arc<RwLock<Arc<T>>>);

/// While it lives nothing is replaced. It cannot be sent, so the compiler sees to it that nothing is awaited.
pub type Held<'c, T> = RwLockReadGuard<'c, Arc<T>>;

// === impl Current ===

impl<T> Current<T> {
    /// With what is in force at first.
    #[must_use]
    pub fn new(first: Arc<T>) -> Self {
        Self(Arc::new(RwLock::new(first)))
    }

    /// What is in force at this moment.
    #[must_use]
    pub fn now(&self) -> Arc<T> {
        Arc::clone(&self.hold())
    }

    /// The same, and it stays in force as long as it is held: for acts of an instant, which must not ask here.
    pub fn hold(&self) -> Held<'_, T> {
        // A lock of a reference: nothing is half done when its holder panics.
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts `next` in force, and gives what was. `also` is done in the same moment: whoever sees one of both sees
    /// the other. It must not ask for what is in force here.
    pub fn replace(&self, next: Arc<T>, also: impl FnOnce()) -> Arc<T> {
        let mut permit = self.0.write().unwrap_or_else(PoisonError::into_inner);
        also();
        std::mem::replace(&mut permit, next)
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
    fn whoever_sees_one_part_sees_the_other() {
        const ROUNDS: u32 = 20_000;
        let (current, mapping) = (Current::new(Arc::new(0)), AtomicU32::new(0));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for round in 1..=ROUNDS {
                    current.replace(Arc::new(round), || mapping.store(round, Ordering::SeqCst));
                }
            });
            loop {
                // As a login does: the mapping first.
                let seen = mapping.load(Ordering::SeqCst);
                let plan = current.now();
                assert!(*plan >= seen, "a plan that is older than the mapping");
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
