//! Orders of other proxies, over a channel in memory.

use cluster::{Audience, Bus, Channel, ChannelError, ChannelKey, Delivery, MessageStream, OrderMessage};
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

/// Time is paused: it advances when every task waits.
async fn know_each_other(buses: &[&Bus]) {
    let met = async {
        while buses.iter().any(|bus| bus.nodes().len() < buses.len()) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(TIME_LIMIT, met).await.expect("the proxies know each other");
}

/// A proxy that carries out the orders of others.
struct Proxy {
    control: Control,
    registry: Registry,
    applying: tokio::task::JoinHandle<()>,
}

impl Proxy {
    fn start(node: &str, hub: &Hub) -> Self {
        let (_, router_control) =
            Router::new(Arc::new(Memory::default()) as Arc<dyn Store>, settings(), 1_000);
        let (registry, registry_control) = Registry::new(Limits::default());
        let (publisher, subscription) = Bus::new(node);
        let control = Control::new(router_control, registry_control, publisher);
        join(hub, control.bus());
        let applying = tokio::spawn(control.clone().apply_remote(subscription));
        Self { control, registry, applying }
    }

    /// Ends it as a crash does: without a word to the others.
    fn crash(self) {
        self.applying.abort();
        self.control.bus().stay_alone("it has crashed");
    }

    async fn hold(&self, account: &str) -> HeldAccounts {
        let order = Order::hold(vec![account.into()], Duration::from_secs(60));
        self.control.execute(order).await.unwrap().held().unwrap()
    }
}

const NO_PROXY: [Arc<str>; 0] = [];

/// Long enough for the answers to the first heartbeat.
async fn settle() {
    tokio::time::sleep(Duration::from_secs(2)).await;
}

#[tokio::test(start_paused = true)]
async fn a_hold_is_confirmed_only_by_the_proxies_that_have_it() {
    let hub = Hub(broadcast::channel(100).0);
    let mover = Proxy::start("mover", &hub);
    // It has just begun to receive: it cannot know which proxies there are.
    let too_soon = mover.hold("alice").await;
    let why = too_soon.not_held_by()[0].to_string();
    assert!(why.contains("does not receive the messages of the other proxies"), "{why}");
    drop(too_soon);

    let other = Proxy::start("other", &hub);
    know_each_other(&[mover.control.bus(), other.control.bus()]).await;
    settle().await;
    let held = mover.hold("alice").await;
    assert_eq!(held.not_held_by(), NO_PROXY);
    assert_eq!(held.unconfirmed_by().await.unwrap(), NO_PROXY);
    let mut login = other.registry.begin("alice", Protocol::Imap, CLIENT).unwrap();
    assert!(timeout(Duration::from_millis(50), login.wait_admitted()).await.is_err(), "it is held there");
    drop(login);

    // The other proxy crashes. Silent for longer than a heartbeat takes, it may still accept logins.
    other.crash();
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(held.unconfirmed_by().await.unwrap(), [Arc::from("other")]);

    // It is started anew, and knows nothing of the hold: logins complete there.
    let restarted = Proxy::start("other", &hub);
    know_each_other(&[restarted.control.bus(), mover.control.bus()]).await;
    assert_eq!(held.unconfirmed_by().await.unwrap(), [Arc::from("other")]);
    // A new hold is known there.
    drop(held);
    settle().await;
    let held = mover.hold("alice").await;
    assert_eq!(held.not_held_by(), NO_PROXY);
    assert_eq!(held.unconfirmed_by().await.unwrap(), NO_PROXY);
}

/// The release of a proxy that has crashed never comes.
#[tokio::test(start_paused = true)]
async fn a_hold_of_another_proxy_ends_with_its_time() {
    let hub = Hub(broadcast::channel(100).0);
    let mover = Proxy::start("mover", &hub);
    let other = Proxy::start("other", &hub);
    know_each_other(&[mover.control.bus(), other.control.bus()]).await;
    settle().await;
    let held = mover.hold("alice").await;
    assert_eq!(held.not_held_by(), NO_PROXY);
    mover.control.bus().stay_alone("it has crashed");
    let mut login = other.registry.begin("alice", Protocol::Imap, CLIENT).unwrap();
    let began = Instant::now();
    // A login fails when the time of the hold is over; the next one is not held any more.
    assert!(login.wait_admitted().await.is_err());
    assert!(began.elapsed() <= Duration::from_secs(60));
    drop(login);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut next = other.registry.begin("alice", Protocol::Imap, CLIENT).unwrap();
    timeout(Duration::from_millis(50), next.wait_admitted()).await.expect("it is not held").unwrap();
    drop(held);
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
    know_each_other(&[other.bus(), control.bus()]).await;

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
        assert_eq!(other.publish(vec![order], Audience::Present).await.unwrap(), delivery, "{name}");
        assert_eq!(!router.resolve("alice").await.cached, is_flushed, "{name}");
        assert_eq!(is_outdated(login), is_flushed, "{name}");
    }
}
