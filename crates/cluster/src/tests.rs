use futures_core::future::BoxFuture;
use std::sync::atomic::AtomicUsize;

use tokio::sync::broadcast;
use types::secret::Secret;

use super::*;

/// A channel in memory, which tests cut, and on which they speak themselves.
#[derive(Clone, Debug)]
struct Hub {
    wire: Arc<Mutex<broadcast::Sender<String>>>,
    is_mute: Arc<AtomicBool>,
    is_closed: Arc<AtomicBool>,
    listens: Arc<AtomicUsize>,
}

struct HubLine(broadcast::Receiver<String>);

// === impl Hub ===

impl Hub {
    fn new() -> Self {
        Self {
            wire: Arc::new(Mutex::new(broadcast::channel(1_000).0)),
            is_mute: Arc::default(),
            is_closed: Arc::default(),
            listens: Arc::default(),
        }
    }

    /// Ends every line.
    fn cut(&self) {
        *self.wire.lock().unwrap() = broadcast::channel(1_000).0;
    }

    fn put(&self, message: &str) {
        let _ = self.wire.lock().unwrap().send(message.to_owned());
    }

    fn tap(&self) -> broadcast::Receiver<String> {
        self.wire.lock().unwrap().subscribe()
    }

    fn join(&self, node: &str) -> (Bus, Subscription) {
        let (bus, subscription) = Bus::new(node);
        bus.join(Arc::new(self.clone()), key("a token"));
        (bus, subscription)
    }

    /// Two proxies that know each other, with nothing left to hear.
    async fn pair(&self) -> ((Bus, Subscription), (Bus, Subscription)) {
        let (mut a, mut b) = (self.join("a"), self.join("b"));
        until(|| a.0.nodes().len() == 2 && b.0.nodes().len() == 2).await;
        quiet(&mut a.1);
        quiet(&mut b.1);
        (a, b)
    }
}

impl Channel for Hub {
    fn say<'a>(&'a self, message: &'a str) -> BoxFuture<'a, Result<(), ChannelError>> {
        Box::pin(async move {
            if self.is_mute.load(Ordering::SeqCst) {
                return Err(ChannelError("connection reset".into()));
            }
            self.put(message);
            Ok(())
        })
    }

    fn listen(&self) -> BoxFuture<'_, Result<Box<dyn Line>, ChannelError>> {
        Box::pin(async {
            if self.is_closed.load(Ordering::SeqCst) {
                return Err(ChannelError("connection refused".into()));
            }
            self.listens.fetch_add(1, Ordering::SeqCst);
            Ok(Box::new(HubLine(self.tap())) as Box<dyn Line>)
        })
    }
}

impl Line for HubLine {
    fn hear(&mut self) -> BoxFuture<'_, Result<String, ChannelError>> {
        Box::pin(async { self.0.recv().await.map_err(|error| ChannelError(error.to_string().into())) })
    }
}

fn key(token: &str) -> Key {
    Key::derive(&Secret::copy_of(token.as_bytes()), "pointsman").unwrap()
}

/// Time is paused: it moves on when everybody waits.
async fn until(condition: impl Fn() -> bool) {
    let met = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), met).await.expect("the condition is met within a minute");
}

/// Does what is there to be done; whether anything was.
fn quiet(subscription: &mut Subscription) -> bool {
    let mut was = false;
    while let Ok(heard) = subscription.heard.try_recv() {
        heard.done();
        was = true;
    }
    was
}

async fn next(subscription: &mut Subscription) -> Heard {
    tokio::time::timeout(Duration::from_secs(60), subscription.next())
        .await
        .expect("something is heard")
        .unwrap()
}

fn changed(account: &str) -> Event {
    Event::Changed(vec![account.into()])
}

#[tokio::test(start_paused = true)]
async fn what_one_says_the_other_does_and_says_so() {
    let hub = Hub::new();
    let ((a, mut a_ears), (b, mut b_ears)) = hub.pair().await;
    let publishing = tokio::spawn({
        let a = a.clone();
        async move { a.publish(changed("alice")).await }
    });
    let heard = next(&mut b_ears).await;
    assert_eq!((&heard.event, &*heard.from, heard.run), (&changed("alice"), "a", Some(a.inner.run)));
    heard.done();
    let delivery = publishing.await.unwrap().unwrap();
    assert_eq!(delivery, Delivery { done: vec!["b".into()], silent: vec![] });
    assert!(!quiet(&mut a_ears), "nobody hears its own events");
    assert_eq!((a.state(), b.state()), (State::Connected, State::Connected));
    assert_eq!(b.nodes().iter().map(|node| &*node.name).collect::<Vec<_>>(), ["b", "a"]);
}

#[tokio::test(start_paused = true)]
async fn who_does_not_answer_is_named_and_who_has_left_is_not_waited_for() {
    let hub = Hub::new();
    let ((a, _a_ears), (b, _b_ears)) = hub.pair().await;
    let began = Instant::now();
    let delivery = a.publish(Event::Flush).await.unwrap();
    assert_eq!(delivery, Delivery { done: vec![], silent: vec!["b".into()] });
    assert_eq!(began.elapsed(), MAX_WAIT);
    b.leave().await;
    until(|| a.nodes().len() == 1).await;
    let began = Instant::now();
    assert_eq!(a.publish(Event::Flush).await.unwrap(), Delivery::default());
    assert_eq!(began.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_proxy_that_died_is_waited_for_only_so_long() {
    let hub = Hub::new();
    let ((a, _a_ears), (b, b_ears)) = hub.pair().await;
    drop((b.inner.link().take(), b_ears));
    tokio::time::sleep(PRESENT + Duration::from_millis(1)).await;
    let began = Instant::now();
    assert_eq!(a.publish(Event::Flush).await.unwrap(), Delivery::default());
    assert_eq!(began.elapsed(), Duration::ZERO);
    assert_eq!(a.nodes().len(), 2, "it stays on the list for a while");
}

#[tokio::test(start_paused = true)]
async fn forged_and_repeated_messages_are_ignored_and_counted() {
    let hub = Hub::new();
    let ((a, _a_ears), (b, mut b_ears)) = hub.pair().await;
    hub.put("kick everybody");
    hub.put(&key("another token").seal(&message::Message {
        head: message::Head { node: "a".into(), run: a.inner.run, number: 1_000, sent: u64::MAX },
        body: Body::Event(Event::Kick(SessionFilter::default())),
    }));
    until(|| b.counts().forged == 2).await;
    assert!(!quiet(&mut b_ears));
    let mut tap = hub.tap();
    let delivery = tokio::join!(a.publish(changed("alice")), async { next(&mut b_ears).await.done() }).0;
    assert_eq!(delivery.unwrap().done.len(), 1);
    // Taken off the tap first: what is put back comes out of it again.
    let said: Vec<String> = std::iter::from_fn(|| tap.try_recv().ok()).collect();
    let mut repeated = 0;
    for message in &said {
        hub.put(message);
        repeated += u64::from(message.contains("\"node\":\"a\""));
    }
    assert!(repeated > 0);
    until(|| b.counts().repeated == repeated).await;
    assert!(!quiet(&mut b_ears), "nothing is done twice");
}

#[tokio::test(start_paused = true)]
async fn messages_of_another_time_are_ignored_and_counted() {
    let hub = Hub::new();
    let (b, mut b_ears) = hub.join("b");
    until(|| b.state() == State::Connected).await;
    quiet(&mut b_ears);
    let old = message::Message {
        head: message::Head { node: "a".into(), run: 1, number: 1, sent: 1_700_000_000_000 },
        body: Body::Event(Event::Kick(SessionFilter::default())),
    };
    hub.put(&key("a token").seal(&old));
    until(|| b.counts().misdated == 1).await;
    assert!(!quiet(&mut b_ears));
}

#[tokio::test(start_paused = true)]
async fn after_a_cut_everything_is_asked_anew() {
    let hub = Hub::new();
    let ((a, _a_ears), (b, mut b_ears)) = hub.pair().await;
    hub.is_closed.store(true, Ordering::SeqCst);
    hub.cut();
    until(|| b.state() == State::Cut).await;
    assert!(!quiet(&mut b_ears));
    hub.is_closed.store(false, Ordering::SeqCst);
    let heard = next(&mut b_ears).await;
    assert_eq!((heard.event, heard.run), (Event::Flush, None));
    until(|| a.state() == State::Connected && b.state() == State::Connected).await;
}

#[tokio::test(start_paused = true)]
async fn a_message_that_did_not_get_through_is_noticed_with_the_next() {
    let hub = Hub::new();
    let ((a, _a_ears), (b, mut b_ears)) = hub.pair().await;
    hub.is_mute.store(true, Ordering::SeqCst);
    let error = a.publish(changed("alice")).await.unwrap_err();
    assert!(error.to_string().contains("connection reset"), "{error}");
    assert!(!quiet(&mut b_ears));
    hub.is_mute.store(false, Ordering::SeqCst);
    // The next sign of life is enough.
    let heard = next(&mut b_ears).await;
    assert_eq!((heard.event, heard.run), (Event::Flush, None));
    assert_eq!((a.counts().unsaid, hub.listens.load(Ordering::SeqCst)), (1, 2), "the lines were not cut");
    assert_eq!(b.state(), State::Connected);
}

#[tokio::test(start_paused = true)]
async fn a_line_that_says_nothing_is_cut() {
    let hub = Hub::new();
    let ((a, _a_ears), (_b, _b_ears)) = hub.pair().await;
    hub.is_mute.store(true, Ordering::SeqCst);
    until(|| a.state() == State::Cut).await;
    hub.is_mute.store(false, Ordering::SeqCst);
    until(|| a.state() == State::Connected).await;
}

#[tokio::test(start_paused = true)]
async fn attempts_to_connect_become_rare() {
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
async fn a_large_hold_is_done_when_all_of_it_is() {
    let hub = Hub::new();
    let ((a, _a_ears), (_b, mut b_ears)) = hub.pair().await;
    let accounts: Vec<Arc<str>> = (0..100).map(|number| format!("{number:0300}").into()).collect();
    let hold = Event::Hold { hold: 3, accounts: accounts.clone(), lasts: Duration::from_secs(60) };
    let publishing = tokio::spawn(async move { a.publish(hold).await });
    let mut held = Vec::new();
    while held.len() < accounts.len() {
        let heard = next(&mut b_ears).await;
        let Event::Hold { hold: 3, accounts, .. } = &heard.event else { panic!("{heard:?}") };
        held.extend(accounts.clone());
        assert!(!publishing.is_finished());
        heard.done();
    }
    assert_eq!(held, accounts);
    assert_eq!(publishing.await.unwrap().unwrap().done, [Arc::from("b")]);
}

#[tokio::test(start_paused = true)]
async fn alone_there_is_nobody_to_tell() {
    let (bus, _ears) = Bus::new(&"é".repeat(60));
    bus.stay_alone("the mapping is a file");
    assert_eq!(bus.publish(Event::Flush).await.unwrap(), Delivery::default());
    assert_eq!(bus.state(), State::Alone("the mapping is a file".into()));
    assert_eq!(bus.nodes().len(), 1);
    assert_eq!(bus.nodes()[0].name.len(), MAX_NODE, "a long name is cut");
}
