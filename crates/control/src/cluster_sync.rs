//! The other proxies in front of the same store: orders carried out here are published to them, and theirs are applied
//! here.

use cluster::{Event, ReceivedOrder, Subscription};

use crate::execute::Control;
use crate::hold::Origin;
use crate::order::{Executed, Order};

// === impl Control ===

impl Control {
    /// Publishes an order, and waits until the other proxies have carried it out, for two seconds at most. A proxy that
    /// could not be reached flushes its cache when it receives another message of ours.
    pub(crate) async fn publish(&self, order: &Order) {
        let Some(messages) = order.write() else {
            tracing::warn!(
                order = order.label(),
                "the order concerns this proxy only: other proxies understand a single client address, and no protocol"
            );
            return;
        };
        match self.inner.bus.publish(messages).await {
            Ok(delivery) if delivery.silent.is_empty() => {}
            Ok(delivery) => {
                tracing::warn!(order = order.label(), silent = ?delivery.silent,
                    "other proxies did not acknowledge the order: they may not have carried it out");
            }
            Err(error) => {
                tracing::warn!(order = order.label(), %error, "the order did not reach the other proxies")
            }
        }
    }

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
            // Not acknowledged: the sender names this proxy as one that may not have carried the order out.
            return self.apply_flush().await;
        };
        let label = order.label();
        match self.apply(self.normalized(order), Origin::OtherProxy(received.run)).await {
            Ok(Executed::Kicked(kicked)) => {
                tracing::info!(%from, sessions = kicked.counts.sessions, "sessions kicked by an order of another proxy");
            }
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(%from, order = label, %error, "an order of another proxy had no effect here")
            }
        }
        received.acknowledge();
    }

    async fn apply_flush(&self) {
        // A flush cannot fail.
        let _ = self.apply(Order::Flush, Origin::ThisProxy).await;
    }
}
