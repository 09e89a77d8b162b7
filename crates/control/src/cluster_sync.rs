//! Applies the orders of the other proxies in front of the same store.
//!
//! What must never happen here: an order that is published again, which would travel between the proxies for ever.

use cluster::{Event, MAX_WAIT, ReceivedOrder, Subscription};
use tokio::time::timeout;

use crate::execute::{Control, Executed};
use crate::hold::{HoldId, Origin};
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
        if let Order::EndSessions { number } = order {
            return self
                .end_remote_hold(HoldId { origin: Origin::OtherProxy(received.run), number }, received);
        }
        match self.apply(self.normalized(order), Origin::OtherProxy(received.run)).await {
            Ok(Executed::Kicked(kicked)) => {
                tracing::info!(%from, sessions = kicked.counts.sessions, "sessions kicked by an order of another proxy");
            }
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(%from, order = label, %error, "an order of another proxy had no effect here");
                // Not acknowledged: the sender must not believe that it holds these accounts everywhere.
                return;
            }
        }
        received.acknowledge();
    }

    /// Ends the sessions of a hold, and acknowledges the order when none is left. The sender repeats the order until
    /// then.
    fn end_remote_hold(&self, id: HoldId, received: ReceivedOrder) {
        let groups = self.inner.holds.groups(id);
        if groups.is_empty() {
            // Not acknowledged: this proxy has restarted since, or the hold's time is over, so logins complete here.
            tracing::warn!(from = %received.from, "sessions were not ended: the hold of the other proxy is not known here");
            return;
        }
        for group in &groups {
            group.end_sessions();
        }
        // In a task of its own: other orders must not wait for sessions to end. The sender waits no longer than this one
        // does, and repeats the order only then, so there are only a few of these tasks for each hold.
        tokio::spawn(async move {
            let emptied = async {
                for group in &groups {
                    group.emptied().await;
                }
            };
            if timeout(MAX_WAIT, emptied).await.is_ok() {
                received.acknowledge();
            }
        });
    }

    async fn apply_flush(&self) {
        // A flush cannot fail.
        let _ = self.apply(Order::Flush, Origin::ThisProxy).await;
    }
}
