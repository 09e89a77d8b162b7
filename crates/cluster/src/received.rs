//! Events for this proxy that the messages of the other proxies cause.

use std::sync::Arc;

use tokio::sync::mpsc;

use crate::message::{Body, OrderMessage};
use crate::outgoing::Outgoing;

/// An event that this proxy has to act on.
#[derive(Debug)]
pub enum Event {
    /// Another proxy has carried out an order and sent it to this one.
    Order(ReceivedOrder),
    /// Messages may have been missed: the cache must be flushed.
    Missed,
}

/// An order of another proxy, to be carried out here too.
#[derive(Debug)]
pub struct ReceivedOrder {
    /// The order.
    pub message: OrderMessage,
    /// The run of the sender: holds are numbered within it.
    pub run: u64,
    /// The sender's name, for the log.
    pub from: Arc<str>,
    pub(crate) outbox: mpsc::Sender<Outgoing>,
    pub(crate) acknowledgement: Body,
}

// === impl ReceivedOrder ===

impl ReceivedOrder {
    /// Reports to the sender that the order was carried out. Without it the sender waits for its full time.
    pub fn acknowledge(self) {
        // With a full outbox the sender waits for its full time, too.
        let _ = self.outbox.try_send(Outgoing::unattended(self.acknowledgement));
    }
}
