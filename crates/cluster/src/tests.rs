use futures_core::future::BoxFuture;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::json;
use tokio::sync::broadcast;
use types::secret::Secret;

use super::*;

/// A channel in memory. Tests can cut it and send messages of their own.
#[derive(Clone, Debug)]
struct Hub {
    wire: Arc<Mutex<broadcast::Sender<String>>>,
    is_mute: Arc<AtomicBool>,
    is_closed: Arc<AtomicBool>,
    subscriptions: Arc<AtomicUsize>,
}

struct HubStream(broadcast::Receiver<String>);

// === impl Hub ===

impl Hub {
    fn new() -> Self {
        Self {
            wire: Arc::new(Mutex::new(broadcast::channel(1_000).0)),
            is_mute: Arc::default(),
            is_closed: Arc::default(),
            subscriptions: Arc::default(),
        }
    }

    /// Cuts every connection.
    fn cut(&self) {
        *self.wire.lock().unwrap() = broadcast::channel(1_000).0;
    }

    fn put(&self, message: &str) {
        let _ = self.wire.lock().unwrap().send(message.to_owned());
    }

    fn tap(&self) -> broadcast::Receiver<String> {
        self.wire.lock().unwrap().subscribe()
    }

    fn join(&self, node: &str) -> (Publisher, Subscription) {
        let (publisher, subscription) = Bus::new(node);
        publisher.bus().join(Arc::new(self.clone()), key("a token"));
        (publisher, subscription)
    }

    /// Returns two proxies that know each other, with no event pending.
    async fn pair(&self) -> ((Publisher, Subscription), (Publisher, Subscription)) {
        let mut a = self.join("a");
        let mut b = self.join("b");
        until(|| a.0.bus().nodes().len() == 2 && b.0.bus().nodes().len() == 2).await;
        drain(&mut a.1);
        drain(&mut b.1);
        (a, b)
    }
}

impl Channel for Hub {
    fn send<'a>(&'a self, message: &'a str) -> BoxFuture<'a, Result<(), ChannelError>> {
        Box::pin(async move {
            if self.is_mute.load(Ordering::SeqCst) {
                return Err(ChannelError("connection reset".into()));
            }
            self.put(message);
            Ok(())
        })
    }

    fn subscribe(&self) -> BoxFuture<'_, Result<Box<dyn MessageStream>, ChannelError>> {
        Box::pin(async {
            if self.is_closed.load(Ordering::SeqCst) {
                return Err(ChannelError("connection refused".into()));
            }
            self.subscriptions.fetch_add(1, Ordering::SeqCst);
            Ok(Box::new(HubStream(self.tap())) as Box<dyn MessageStream>)
        })
    }
}

impl MessageStream for HubStream {
    fn next(&mut self) -> BoxFuture<'_, Result<String, ChannelError>> {
        Box::pin(async { self.0.recv().await.map_err(|error| ChannelError(error.to_string().into())) })
    }
}

fn key(token: &str) -> ChannelKey {
    ChannelKey::derive(&Secret::copy_of(token.as_bytes()), "pointsman").unwrap()
}

/// Time is paused: it advances when every task waits.
async fn until(condition: impl Fn() -> bool) {
    let met = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), met).await.expect("the condition is met within a minute");
}

/// Acknowledges the pending orders; returns whether any event was pending.
fn drain(subscription: &mut Subscription) -> bool {
    let mut has_received = false;
    while let Ok(event) = subscription.received.try_recv() {
        if let Event::Order(order) = event {
            order.acknowledge();
        }
        has_received = true;
    }
    has_received
}

async fn next(subscription: &mut Subscription) -> Event {
    tokio::time::timeout(Duration::from_secs(60), subscription.next())
        .await
        .expect("an event is received")
        .unwrap()
}

async fn next_order(subscription: &mut Subscription) -> ReceivedOrder {
    match next(subscription).await {
        Event::Order(order) => order,
        Event::Missed => panic!("an order was expected"),
    }
}

fn order(name: &'static str, contents: serde_json::Value) -> OrderMessage {
    OrderMessage { name: name.into(), contents }
}

fn changed(account: &str) -> Vec<OrderMessage> {
    vec![order("changed", json!([account]))]
}

fn flush() -> Vec<OrderMessage> {
    vec![order("flush", json!(true))]
}

#[tokio::test(start_paused = true)]
async fn an_order_is_received_and_acknowledged() {
    let hub = Hub::new();
    let ((a, mut a_events), (b, mut b_events)) = hub.pair().await;
    let receive = async {
        let received = next_order(&mut b_events).await;
        assert_eq!((&received.message, &*received.from), (&changed("alice")[0], "a"));
        assert_eq!(received.run, a.bus.inner.shared.run);
        received.acknowledge();
    };
    let delivery = tokio::join!(a.publish(changed("alice"), Audience::Present), receive).0.unwrap();
    assert_eq!(delivery, Delivery { done: vec!["b".into()], silent: vec![] });
    assert!(!drain(&mut a_events), "a proxy does not receive its own orders");
    assert_eq!((a.bus().state(), b.bus().state()), (BusState::Connected, BusState::Connected));
    assert_eq!(b.bus().nodes().iter().map(|node| &*node.name).collect::<Vec<_>>(), ["b", "a"]);
}

#[tokio::test(start_paused = true)]
async fn a_silent_proxy_is_named_and_one_that_left_is_not_waited_for() {
    let hub = Hub::new();
    let ((a, _a_events), (b, _b_events)) = hub.pair().await;
    let began = Instant::now();
    let delivery = a.publish(flush(), Audience::Present).await.unwrap();
    assert_eq!(delivery, Delivery { done: vec![], silent: vec!["b".into()] });
    assert_eq!(began.elapsed(), MAX_WAIT);
    b.bus().leave().await;
    until(|| a.bus().nodes().len() == 1).await;
    let began = Instant::now();
    assert_eq!(a.publish(flush(), Audience::Present).await.unwrap(), Delivery::default());
    assert_eq!(began.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_proxy_that_died_is_not_waited_for_after_a_while() {
    let hub = Hub::new();
    let ((a, _a_events), (b, b_events)) = hub.pair().await;
    drop((b.bus.inner.link().take(), b_events));
    tokio::time::sleep(PRESENT + Duration::from_millis(1)).await;
    let began = Instant::now();
    assert_eq!(a.publish(flush(), Audience::Present).await.unwrap(), Delivery::default());
    assert_eq!(began.elapsed(), Duration::ZERO);
    assert_eq!(a.bus().nodes().len(), 2, "it stays on the list for a while");
}

#[tokio::test(start_paused = true)]
async fn forged_and_repeated_messages_are_ignored_and_counted() {
    let hub = Hub::new();
    let ((a, _a_events), (b, mut b_events)) = hub.pair().await;
    hub.put("no signature");
    hub.put(&key("another token").seal(&message::Message {
        header: message::Header {
            node: "a".into(),
            run: a.bus.inner.shared.run,
            number: 1_000,
            sent: u64::MAX,
        },
        body: Body::Order(order("kick", json!({}))),
    }));
    until(|| b.bus().counts().forged == 2).await;
    assert!(!drain(&mut b_events));
    let mut tap = hub.tap();
    let delivery = tokio::join!(a.publish(changed("alice"), Audience::Present), async {
        next_order(&mut b_events).await.acknowledge();
    })
    .0;
    assert_eq!(delivery.unwrap().done.len(), 1);
    // Collected first: what is put back is received by the tap again.
    let sent: Vec<String> = std::iter::from_fn(|| tap.try_recv().ok()).collect();
    let mut repeated = 0;
    for message in &sent {
        hub.put(message);
        repeated += u64::from(message.contains("\"node\":\"a\""));
    }
    assert!(repeated > 0);
    until(|| b.bus().counts().repeated == repeated).await;
    assert!(!drain(&mut b_events), "no order is passed on twice");
}

#[tokio::test(start_paused = true)]
async fn messages_of_another_time_are_ignored_and_counted() {
    let hub = Hub::new();
    let (b, mut b_events) = hub.join("b");
    until(|| b.bus().state() == BusState::Connected).await;
    drain(&mut b_events);
    let old = message::Message {
        header: message::Header { node: "a".into(), run: 1, number: 1, sent: 1_700_000_000_000 },
        body: Body::Order(order("kick", json!({}))),
    };
    hub.put(&key("a token").seal(&old));
    until(|| b.bus().counts().misdated == 1).await;
    assert!(!drain(&mut b_events));
}

#[tokio::test(start_paused = true)]
async fn a_cut_is_reported_as_missed_messages() {
    let hub = Hub::new();
    let ((a, _a_events), (b, mut b_events)) = hub.pair().await;
    hub.is_closed.store(true, Ordering::SeqCst);
    hub.cut();
    until(|| b.bus().state() == BusState::Disconnected).await;
    assert!(!drain(&mut b_events));
    hub.is_closed.store(false, Ordering::SeqCst);
    assert!(matches!(next(&mut b_events).await, Event::Missed));
    until(|| a.bus().state() == BusState::Connected && b.bus().state() == BusState::Connected).await;
}

#[tokio::test(start_paused = true)]
async fn a_message_that_could_not_be_sent_is_noticed_with_the_next() {
    let hub = Hub::new();
    let ((a, _a_events), (b, mut b_events)) = hub.pair().await;
    hub.is_mute.store(true, Ordering::SeqCst);
    let error = a.publish(changed("alice"), Audience::Present).await.unwrap_err();
    assert!(error.to_string().contains("connection reset"), "{error}");
    assert!(!drain(&mut b_events));
    hub.is_mute.store(false, Ordering::SeqCst);
    // The next heartbeat is enough.
    assert!(matches!(next(&mut b_events).await, Event::Missed));
    assert_eq!(
        (a.bus().counts().unsent, hub.subscriptions.load(Ordering::SeqCst)),
        (1, 2),
        "no connection was cut"
    );
    assert_eq!(b.bus().state(), BusState::Connected);
}

#[tokio::test(start_paused = true)]
async fn a_silent_connection_is_cut() {
    let hub = Hub::new();
    let ((a, _a_events), (_b, _b_events)) = hub.pair().await;
    hub.is_mute.store(true, Ordering::SeqCst);
    until(|| a.bus().state() == BusState::Disconnected).await;
    hub.is_mute.store(false, Ordering::SeqCst);
    until(|| a.bus().state() == BusState::Connected).await;
}

#[tokio::test(start_paused = true)]
async fn attempts_to_subscribe_become_rare() {
    let hub = Hub::new();
    hub.is_mute.store(true, Ordering::SeqCst);
    let (_a, mut subscription) = hub.join("a");
    let mut attempts = Vec::new();
    let minute = Instant::now() + Duration::from_secs(60);
    while tokio::time::timeout_at(minute, subscription.next()).await.is_ok() {
        attempts.push(Instant::now());
        hub.cut();
    }
    // 100 ms doubled to 5 s, each with half to one and a half of it: between 12 and 30 in a minute.
    assert!((10..=32).contains(&attempts.len()), "{} attempts in a minute", attempts.len());
}

#[tokio::test(start_paused = true)]
async fn an_order_in_parts_is_done_when_every_part_is() {
    let hub = Hub::new();
    let ((a, _a_events), (_b, mut b_events)) = hub.pair().await;
    let parts: Vec<_> = (0..100).map(|number| order("hold", json!({ "hold": 3, "part": number }))).collect();
    let sent = parts.clone();
    let publishing = tokio::spawn(async move { a.publish(sent, Audience::Present).await });
    let mut received = Vec::new();
    while received.len() < parts.len() {
        let part = next_order(&mut b_events).await;
        received.push(part.message.clone());
        assert!(!publishing.is_finished());
        part.acknowledge();
    }
    assert_eq!(received, parts);
    assert_eq!(publishing.await.unwrap().unwrap().done, [Arc::from("b")]);
}

#[tokio::test(start_paused = true)]
async fn a_bus_without_a_channel_sends_nothing() {
    let (publisher, _events) = Bus::new(&"é".repeat(60));
    let bus = publisher.bus();
    bus.stay_alone("the mapping is a file");
    assert_eq!(publisher.publish(flush(), Audience::Present).await.unwrap(), Delivery::default());
    assert_eq!(bus.state(), BusState::Alone("the mapping is a file".into()));
    assert_eq!(bus.nodes().len(), 1);
    assert_eq!(bus.nodes()[0].name.len(), MAX_NODE, "a long name is cut");
}
