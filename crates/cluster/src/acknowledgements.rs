//! The acknowledgements that are still missing: the sender of an order waits for the proxies that were present when it
//! was sent.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use crate::delivery::Delivery;

/// Messages that wait for acknowledgements, by number. Each belongs to an [`AckWait`], so there are as many as callers.
#[derive(Clone, Debug, Default)]
pub(super) struct Acknowledgements {
    by_number: Arc<Mutex<HashMap<u64, Pending>>>,
}

#[derive(Debug)]
struct Pending {
    /// The runs that have not acknowledged the message, with their names.
    missing: Vec<(u64, Arc<str>)>,
    done: Vec<Arc<str>>,
    complete: Option<oneshot::Sender<()>>,
}

/// Waits for the acknowledgements of one message. Dropping it ends the wait.
#[derive(Debug)]
pub(super) struct AckWait {
    acknowledgements: Acknowledgements,
    number: u64,
    complete: oneshot::Receiver<()>,
}

// === impl Acknowledgements ===

impl Acknowledgements {
    /// Begins to wait for these runs to acknowledge the message `number`. Call it before the message is sent.
    pub(super) fn begin(&self, number: u64, missing: Vec<(u64, Arc<str>)>) -> AckWait {
        let (sender, complete) = oneshot::channel();
        let pending = Pending { complete: Some(sender), missing, done: Vec::new() };
        self.with(|messages| {
            let pending = messages.entry(number).insert_entry(pending).into_mut();
            pending.notify_if_complete();
        });
        AckWait { acknowledgements: self.clone(), number, complete }
    }

    /// Records that `run` has acknowledged the message `number`.
    pub(super) fn acknowledged(&self, number: u64, run: u64) {
        self.with(|messages| {
            let Some(pending) = messages.get_mut(&number) else { return };
            if let Some(index) = pending.missing.iter().position(|(missing, _)| *missing == run) {
                let (_, name) = pending.missing.swap_remove(index);
                pending.done.push(name);
                pending.notify_if_complete();
            }
        });
    }

    fn with<T>(&self, act: impl FnOnce(&mut HashMap<u64, Pending>) -> T) -> T {
        act(&mut self.by_number.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

// === impl Pending ===

impl Pending {
    fn notify_if_complete(&mut self) {
        if self.missing.is_empty()
            && let Some(complete) = self.complete.take()
        {
            // A caller that no longer waits has dropped the other end.
            let _ = complete.send(());
        }
    }
}

// === impl AckWait ===

impl AckWait {
    /// Returns which proxies have acknowledged the message by `deadline`, and which have not.
    pub(super) async fn until(mut self, deadline: Instant) -> Delivery {
        let _ = timeout_at(deadline, &mut self.complete).await;
        match self.acknowledgements.with(|messages| messages.remove(&self.number)) {
            Some(pending) => Delivery {
                done: pending.done,
                silent: pending.missing.into_iter().map(|(_, name)| name).collect(),
            },
            None => Delivery::default(),
        }
    }
}

impl Drop for AckWait {
    fn drop(&mut self) {
        self.acknowledgements.with(|messages| drop(messages.remove(&self.number)));
    }
}
