//! Who has not answered yet: the sender of an event waits for those who were there when it was said.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use crate::delivery::Delivery;

/// Events that are waited for, by number. Each is somebody's [`Waiting`], so there are as many as callers.
#[derive(Clone, Debug, Default)]
pub(super) struct Waits {
    by_number: Arc<Mutex<HashMap<u64, Wait>>>,
}

#[derive(Debug)]
struct Wait {
    missing: Vec<(u64, Arc<str>)>,
    answered: Vec<Arc<str>>,
    complete: Option<oneshot::Sender<()>>,
}

/// An event that was said. Dropping it ends the wait.
#[derive(Debug)]
pub(super) struct Waiting {
    waits: Waits,
    number: u64,
    complete: oneshot::Receiver<()>,
}

// === impl Waits ===

impl Waits {
    /// Waits for these runs' answers to the event `number`. To be called before it is said.
    pub(super) fn begin(&self, number: u64, missing: Vec<(u64, Arc<str>)>) -> Waiting {
        let (sender, complete) = oneshot::channel();
        let wait = Wait { complete: Some(sender), missing, answered: Vec::new() };
        self.with(|waits| {
            let wait = waits.entry(number).insert_entry(wait).into_mut();
            wait.tell_if_complete();
        });
        Waiting { waits: self.clone(), number, complete }
    }

    /// `run` has answered.
    pub(super) fn answered(&self, number: u64, run: u64) {
        self.with(|waits| {
            let Some(wait) = waits.get_mut(&number) else { return };
            if let Some(index) = wait.missing.iter().position(|(missing, _)| *missing == run) {
                let (_, name) = wait.missing.swap_remove(index);
                wait.answered.push(name);
                wait.tell_if_complete();
            }
        });
    }

    fn with<T>(&self, act: impl FnOnce(&mut HashMap<u64, Wait>) -> T) -> T {
        act(&mut self.by_number.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

// === impl Wait ===

impl Wait {
    fn tell_if_complete(&mut self) {
        if self.missing.is_empty()
            && let Some(complete) = self.complete.take()
        {
            // Who no longer waits need not hear of it.
            let _ = complete.send(());
        }
    }
}

// === impl Waiting ===

impl Waiting {
    /// Who answers until `deadline`.
    pub(super) async fn until(mut self, deadline: Instant) -> Delivery {
        let _ = timeout_at(deadline, &mut self.complete).await;
        let wait = self.waits.with(|waits| waits.remove(&self.number));
        wait.map_or_else(Delivery::default, |wait| Delivery {
            done: wait.answered,
            silent: wait.missing.into_iter().map(|(_, name)| name).collect(),
        })
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.waits.with(|waits| drop(waits.remove(&self.number)));
    }
}
