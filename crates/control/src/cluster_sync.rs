//! Applies the orders of the other proxies in front of the same store.
//!
//! What must never happen here: an order that is published again, which would travel between the proxies for ever.

use cluster::{Event, ReceivedOrder, Subscription};

use crate::execute::{Control, Executed};
use crate::hold::Origin;
use crate::order::Order;

// === impl Control ===

impl Control {
    /// Applies the orders of other proxies, for as long as there is a bus.
    pub async fn apply_remote(self, mut subscription: Subscription) {
        while let Some(event) = subscription.next().await {
            match event {
                Event::Order(order) => self.apply_received(order).await,
                Event::Missed => self.apply_flush().await,
            }
        }
    }

    async fn apply_received(&self, received: ReceivedOrder) {
        let from = &received.from;
        let Some(order) = Order::read(&received.message) else {
            tracing::warn!(%from, order = %received.message.name,
                "an order of another proxy cannot be read and may be of another version: the cache was flushed instead");
            // An unknown order may have changed a mapping, and a flush makes up for any change of one. Only a proxy that
            // knows the admin token can cause it, once for each order. Not acknowledged: the sender names this proxy as
            // one that may not have carried the order out.
            return self.apply_flush().await;
        };
        let label = order.label();
        match self.apply(self.normalized(order), Origin::OtherProxy(received.run)).await {
            Ok(Executed::Kicked(kicked)) => {
                tracing::info!(%from, sessions = kicked.counts.sessions, "sessions kicked by an order of another proxy");
            }
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(%from, order = label, %error, "an order of another proxy had no effect here");
            }
        }
        received.acknowledge();
    }

    async fn apply_flush(&self) {
        // A flush cannot fail.
        let _ = self.apply(Order::Flush, Origin::ThisProxy).await;
    }
}
