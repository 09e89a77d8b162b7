//! The two loops over a channel: one hears, one speaks.
//!
//! Numbers are given by the one that speaks, in the order in which messages go out, and are used up by messages
//! that did not get through: the others see the gap. Signs of life come back to us like everything else that is
//! said on the channel, so that a line that has died without a word is noticed too.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout, timeout_at};

use super::channel::{Channel, ChannelError, Line};
use super::message::{Body, Head, Key, Message};
use super::peers::{MAX_SKEW, Verdict};
use super::wait::Waiting;
use super::{BEAT, Event, Inner, PRESENT, ReceivedOrder};

/// A joined channel. Dropping it leaves without a word.
#[derive(Debug)]
pub(super) struct Link {
    outbox: mpsc::Sender<Outgoing>,
    hears: JoinHandle<()>,
    speaks: JoinHandle<()>,
}

/// Something to be said.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) body: Body,
    /// Gets the result of the sending, with the wait for the acknowledgements.
    pub(super) report: Option<oneshot::Sender<Result<Waiting, ChannelError>>>,
}

/// Lets something through once a minute.
#[derive(Debug, Default)]
pub(super) struct Seldom(Mutex<Option<Instant>>);

/// Messages that wait to be said.
const MAX_OUTBOX: usize = 1_024;

/// How long one message may take to be said.
const MAX_SAY: Duration = Duration::from_secs(2);

/// How long connecting may take.
const MAX_CONNECT: Duration = Duration::from_secs(10);

/// A line on which we do not hear ourselves for so long is dead: two signs of life, and time for a third.
const MAX_SILENCE: Duration = Duration::from_secs(15);

/// Between two attempts to connect: doubled from the first to the last, with a random part.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LAST_PAUSE: Duration = Duration::from_secs(5);

// === impl Link ===

impl Link {
    pub(super) fn begin(inner: &Arc<Inner>, channel: Arc<dyn Channel>, key: Key) -> Self {
        let (outbox, outgoing) = mpsc::channel(MAX_OUTBOX);
        let key = Arc::new(key);
        let speaks = tokio::spawn(speak(Arc::clone(inner), Arc::clone(&channel), Arc::clone(&key), outgoing));
        let hears = tokio::spawn(listen(Arc::clone(inner), channel, key, outbox.clone()));
        Self { outbox, hears, speaks }
    }

    pub(super) fn outbox(&self) -> mpsc::Sender<Outgoing> {
        self.outbox.clone()
    }

    /// Says goodbye.
    pub(super) async fn leave(self) {
        const MAX_GOODBYE: Duration = Duration::from_secs(1);
        let (report, sent) = oneshot::channel();
        let goodbye = Outgoing { body: Body::Leave, report: Some(report) };
        let _ = timeout(MAX_GOODBYE, async {
            if self.outbox.send(goodbye).await.is_ok() {
                let _ = sent.await;
            }
        })
        .await;
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.hears.abort();
        self.speaks.abort();
    }
}

// === impl Seldom ===

impl Seldom {
    pub(super) fn now(&self) -> bool {
        const EVERY: Duration = Duration::from_secs(60);
        let now = Instant::now();
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_time = last.is_none_or(|last| now.duration_since(last) >= EVERY);
        if is_time {
            *last = Some(now);
        }
        is_time
    }
}

// === speaking ===

async fn speak(
    inner: Arc<Inner>,
    channel: Arc<dyn Channel>,
    key: Arc<Key>,
    mut outgoing: mpsc::Receiver<Outgoing>,
) {
    let mut beats = interval(BEAT);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first sign of life is the greeting, which the other loop asks for.
    beats.tick().await;
    loop {
        let next = tokio::select! {
            biased;
            next = outgoing.recv() => next,
            _ = beats.tick() => Some(Outgoing { body: Body::Beat { greets: false }, report: None }),
        };
        let Some(Outgoing { body, report }) = next else { return };
        let number = 1 + inner.number.fetch_add(1, Ordering::Relaxed);
        let waits_for = match &body {
            Body::Order(_) => inner.peers().present(Instant::now(), PRESENT),
            Body::Beat { .. } | Body::Leave | Body::Done { .. } => Vec::new(),
        };
        let waiting = report.is_some().then(|| inner.waits.begin(number, waits_for));
        let message = Message { head: inner.head(number), body };
        let sent = match timeout(MAX_SAY, channel.say(&key.seal(&message))).await {
            Ok(sent) => sent,
            Err(_) => Err(ChannelError("it takes too long".into())),
        };
        let counter = if sent.is_ok() { &inner.counters.sent } else { &inner.counters.unsent };
        counter.fetch_add(1, Ordering::Relaxed);
        if let (Some(report), Some(waiting)) = (report, waiting) {
            // A caller that no longer waits has dropped the other end.
            let _ = report.send(sent.map(|()| waiting));
        }
    }
}

// === hearing ===

async fn listen(inner: Arc<Inner>, channel: Arc<dyn Channel>, key: Arc<Key>, outbox: mpsc::Sender<Outgoing>) {
    let mut pause = FIRST_PAUSE;
    let mut is_told = false;
    loop {
        let connected = timeout(MAX_CONNECT, channel.listen()).await;
        let why = match connected.unwrap_or_else(|_| Err(ChannelError("it takes too long".into()))) {
            Ok(line) => {
                inner.is_connected.store(true, Ordering::Relaxed);
                tracing::info!(node = %inner.node, "change events: listening to the other proxies");
                is_told = false;
                // What was said while we did not listen is not known.
                inner.missed().await;
                let _ = outbox.try_send(Outgoing { body: Body::Beat { greets: true }, report: None });
                let began = Instant::now();
                let why = hear(&inner, &key, line, &outbox).await;
                // A line that lives for a moment only is no reason to hurry.
                if began.elapsed() > LAST_PAUSE {
                    pause = FIRST_PAUSE;
                }
                why
            }
            Err(why) => why,
        };
        inner.is_connected.store(false, Ordering::Relaxed);
        if !std::mem::replace(&mut is_told, true) {
            tracing::warn!(%why, "change events: no connection; what other proxies change is seen here when cached answers end");
        }
        sleep(pause.mul_f64(0.5 + fraction())).await;
        pause = (2 * pause).min(LAST_PAUSE);
    }
}

/// Hears until the line is cut; why it was.
async fn hear(
    inner: &Inner,
    key: &Key,
    mut line: Box<dyn Line>,
    outbox: &mpsc::Sender<Outgoing>,
) -> ChannelError {
    let mut heard_ourselves = Instant::now();
    let mut our_last = 0;
    loop {
        let Ok(next) = timeout_at(heard_ourselves + MAX_SILENCE, line.hear()).await else {
            return ChannelError("our own messages do not come back".into());
        };
        let sealed = match next {
            Ok(sealed) => sealed,
            Err(why) => return why,
        };
        let Some(message) = key.open(&sealed) else {
            inner.count_forged();
            continue;
        };
        if message.head.run == inner.run {
            if message.head.number > our_last {
                (heard_ourselves, our_last) = (Instant::now(), message.head.number);
            }
            continue;
        }
        inner.take(message, outbox).await;
    }
}

// === impl Inner ===

impl Inner {
    fn head(&self, number: u64) -> Head {
        let sent = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis();
        let sent = u64::try_from(sent).unwrap_or(u64::MAX);
        Head { node: Arc::clone(&self.node), run: self.run, number, sent }
    }

    /// Does what another proxy's message asks for, as far as it is the bus's business.
    async fn take(&self, message: Message, outbox: &mpsc::Sender<Outgoing>) {
        let Message { head, body } = message;
        let verdict = self.peers().judge(&head, Instant::now(), SystemTime::now());
        match verdict {
            Verdict::Next => {}
            Verdict::Gap => self.missed().await,
            Verdict::Repeated => {
                self.counters.repeated.fetch_add(1, Ordering::Relaxed);
                return;
            }
            Verdict::OtherTime => {
                self.counters.misdated.fetch_add(1, Ordering::Relaxed);
                if self.complained.now() {
                    tracing::warn!(from = %head.node, seconds = MAX_SKEW.as_secs(),
                        "a change event was ignored: its sender's clock differs from ours by more than that; set the clocks");
                }
                return;
            }
            Verdict::Crowded => {
                if self.complained.now() {
                    tracing::warn!(from = %head.node, "a change event was ignored: too many proxies are on the channel");
                }
                return;
            }
        }
        self.counters.received.fetch_add(1, Ordering::Relaxed);
        match body {
            Body::Beat { greets: false } => {}
            Body::Beat { greets: true } => {
                let _ = outbox.try_send(Outgoing { body: Body::Beat { greets: false }, report: None });
            }
            Body::Leave => self.peers().leave(head.run, Instant::now()),
            Body::Done { run, number } if run == self.run => self.waits.answered(number, head.run),
            Body::Done { .. } => {}
            Body::Order(message) => {
                let order = ReceivedOrder {
                    message,
                    run: head.run,
                    from: head.node,
                    outbox: outbox.clone(),
                    acknowledgement: Body::Done { run: head.run, number: head.number },
                };
                self.report(Event::Order(order)).await;
            }
        }
    }

    /// Something may have been missed.
    async fn missed(&self) {
        self.counters.missed.fetch_add(1, Ordering::Relaxed);
        self.report(Event::Missed).await;
    }

    /// Waits while too many events are pending; the line waits too, and loses nothing.
    async fn report(&self, event: Event) {
        // Without a subscription there is no cache that could be wrong.
        let _ = self.events.send(event).await;
    }

    fn count_forged(&self) {
        self.counters.forged.fetch_add(1, Ordering::Relaxed);
        if self.complained.now() {
            tracing::warn!(
                "a message on the channel of change events was ignored: it is not signed with this proxy's admin token, \
                 which all proxies of a channel have to share"
            );
        }
    }
}

/// A random number from 0 to 1, so that proxies do not come back all at once.
fn fraction() -> f64 {
    f64::from(u32::try_from(RandomState::new().hash_one(0_u8) >> 32).unwrap_or(0)) / f64::from(u32::MAX)
}
