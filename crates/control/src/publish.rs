//! Publishes orders to the other proxies in front of the same store.
//!
//! What must never happen here: a caller that waits long for a proxy that is gone, or an order that silently reaches only
//! some of them.

use std::sync::Arc;

use cluster::Publisher;

use crate::order::Order;

/// Publishes an order, and waits until the other proxies have carried it out, for two seconds at most. A proxy that
/// could not be reached flushes its cache when it receives another message of ours. Returns the proxies that did not
/// acknowledge the order.
pub(crate) async fn publish(publisher: &Publisher, order: &Order) -> Vec<Arc<str>> {
    let Some(messages) = order.write() else {
        tracing::warn!(
            order = order.label(),
            "the order concerns this proxy only: other proxies understand a single client address, and no protocol"
        );
        return Vec::new();
    };
    match publisher.publish(messages, order.audience()).await {
        Ok(delivery) => {
            // Sessions take their time to end, and the order is repeated until they have.
            if !delivery.silent.is_empty() && !matches!(order, Order::EndSessions { .. }) {
                tracing::warn!(order = order.label(), silent = ?delivery.silent,
                    "other proxies did not acknowledge the order: they may not have carried it out");
            }
            delivery.silent
        }
        Err(error) => {
            tracing::warn!(order = order.label(), %error, "the order did not reach the other proxies");
            vec![format!("every other proxy ({error})").into()]
        }
    }
}
