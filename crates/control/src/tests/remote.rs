//! Orders of other proxies, over a channel in memory.

use cluster::{Bus, Channel, ChannelError, ChannelKey, Delivery, MessageStream, OrderMessage};
use tokio::sync::broadcast;
use types::secret::Secret;

use super::*;

#[derive(Clone, Debug)]
struct Hub(broadcast::Sender<String>);

struct HubStream(broadcast::Receiver<String>);

impl Channel for Hub {
    fn send<'a>(&'a self, message: &'a str) -> BoxFuture<'a, Result<(), ChannelError>> {
        Box::pin(async {
            let _ = self.0.send(message.to_owned());
            Ok(())
        })
    }

    fn subscribe(&self) -> BoxFuture<'_, Result<Box<dyn MessageStream>, ChannelError>> {
        Box::pin(async { Ok(Box::new(HubStream(self.0.subscribe())) as Box<dyn MessageStream>) })
    }
}

impl MessageStream for HubStream {
    fn next(&mut self) -> BoxFuture<'_, Result<String, ChannelError>> {
        Box::pin(async { self.0.recv().await.map_err(|error| ChannelError(error.to_string().into())) })
    }
}

fn join(hub: &Hub, bus: &Bus) {
    let key = ChannelKey::derive(&Secret::copy_of(b"a token"), "pointsman").unwrap();
    bus.join(Arc::new(hub.clone()), key);
}

/// An order that this version does not know may have changed a mapping. So the cache is flushed, logins under way are
/// looked up again, and the sender learns that the order was not carried out. An order that is known flushes nothing.
#[tokio::test(start_paused = true)]
async fn an_unknown_order_flushes_the_cache_and_is_not_acknowledged() {
    let hub = Hub(broadcast::channel(100).0);
    let (router, router_control) =
        Router::new(Arc::new(Memory::default()) as Arc<dyn Store>, settings(), 1_000);
    let (registry, registry_control) = Registry::new(Limits::default());
    let (publisher, subscription) = Bus::new("this");
    let control = Control::new(router_control, registry_control, publisher);
    join(&hub, control.bus());
    tokio::spawn(control.clone().apply_remote(subscription));
    let (other, _other_events) = Bus::new("other");
    join(&hub, other.bus());
    let met = async {
        while other.bus().nodes().len() < 2 || control.bus().nodes().len() < 2 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(TIME_LIMIT, met).await.expect("the proxies know each other");

    for (name, contents, delivery, is_flushed) in [
        (
            "changed",
            serde_json::json!(["bob"]),
            Delivery { done: vec!["this".into()], silent: vec![] },
            false,
        ),
        (
            "split",
            serde_json::json!({ "domain": "a" }),
            Delivery { done: vec![], silent: vec!["this".into()] },
            true,
        ),
        ("kick", serde_json::json!("all"), Delivery { done: vec![], silent: vec!["this".into()] }, true),
    ] {
        let login = looked_up(&registry, &router, "alice").await;
        assert!(router.resolve("alice").await.cached);
        let order = OrderMessage { name: name.into(), contents };
        assert_eq!(other.publish(vec![order]).await.unwrap(), delivery, "{name}");
        assert_eq!(!router.resolve("alice").await.cached, is_flushed, "{name}");
        assert_eq!(is_outdated(login), is_flushed, "{name}");
    }
}
