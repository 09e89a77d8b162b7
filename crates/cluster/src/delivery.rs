//! Whom a publication waits for, and its result.

use std::sync::Arc;

/// The proxies whose acknowledgement the sender of an order waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Those that have sent a message within [`PRESENT`](crate::PRESENT).
    Present,
    /// Every proxy that may be running: one that has been silent for longer, too, until it has left the channel, another
    /// run of its name is present, or ten minutes are over. For an order that must not take effect at some proxies only.
    Known,
}

/// The result of a publication.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delivery {
    /// Proxies that have carried out the order.
    pub done: Vec<Arc<str>>,
    /// Proxies that were present and did not acknowledge the order in time. They may have carried it out.
    pub silent: Vec<Arc<str>>,
}

// === impl Delivery ===

impl Delivery {
    /// Adds the delivery of another message. A proxy that did not acknowledge one of them is only in `silent`.
    pub(crate) fn add(&mut self, other: Self) {
        for name in other.silent {
            self.done.retain(|done| *done != name);
            if !self.silent.contains(&name) {
                self.silent.push(name);
            }
        }
        for name in other.done {
            if !self.silent.contains(&name) && !self.done.contains(&name) {
                self.done.push(name);
            }
        }
    }
}
