//! The two loops over a channel: one hears, one speaks.
//!
//! Numbers are given by the one that speaks, in the order in which messages go out, and are used up by messages
//! that did not get through: the others see the gap. Signs of life come back to us like everything else that is
//! said on the channel, so that a line that has died without a word is noticed too.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout, timeout_at};

use crate::channel::{Channel, ChannelError, Line};
use crate::message::{Body, Key, Message};
use crate::outgoing::Outgoing;
use crate::shared::{BEAT, PRESENT, Shared};

/// A joined channel. Dropping it leaves without a word.
#[derive(Debug)]
pub(super) struct Link {
    outbox: mpsc::Sender<Outgoing>,
    hears: JoinHandle<()>,
    speaks: JoinHandle<()>,
}

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
    pub(super) fn begin(shared: &Arc<Shared>, channel: Arc<dyn Channel>, key: Key) -> Self {
        let (outbox, outgoing) = mpsc::channel(MAX_OUTBOX);
        let key = Arc::new(key);
        let speaks =
            tokio::spawn(speak(Arc::clone(shared), Arc::clone(&channel), Arc::clone(&key), outgoing));
        let hears = tokio::spawn(listen(Arc::clone(shared), channel, key, outbox.clone()));
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

// === speaking ===

async fn speak(
    shared: Arc<Shared>,
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
        let number = 1 + shared.number.fetch_add(1, Ordering::Relaxed);
        let waits_for = match &body {
            Body::Order(_) => shared.peers().present(Instant::now(), PRESENT),
            Body::Beat { .. } | Body::Leave | Body::Done { .. } => Vec::new(),
        };
        let waiting = report.is_some().then(|| shared.waits.begin(number, waits_for));
        let message = Message { head: shared.head(number), body };
        let sent = match timeout(MAX_SAY, channel.say(&key.seal(&message))).await {
            Ok(sent) => sent,
            Err(_) => Err(ChannelError("it takes too long".into())),
        };
        let counter = if sent.is_ok() { &shared.counters.sent } else { &shared.counters.unsent };
        counter.fetch_add(1, Ordering::Relaxed);
        if let (Some(report), Some(waiting)) = (report, waiting) {
            // A caller that no longer waits has dropped the other end.
            let _ = report.send(sent.map(|()| waiting));
        }
    }
}

// === hearing ===

async fn listen(
    shared: Arc<Shared>,
    channel: Arc<dyn Channel>,
    key: Arc<Key>,
    outbox: mpsc::Sender<Outgoing>,
) {
    let mut pause = FIRST_PAUSE;
    let mut is_told = false;
    loop {
        let connected = timeout(MAX_CONNECT, channel.listen()).await;
        let why = match connected.unwrap_or_else(|_| Err(ChannelError("it takes too long".into()))) {
            Ok(line) => {
                shared.is_connected.store(true, Ordering::Relaxed);
                tracing::info!(node = %shared.node, "change events: listening to the other proxies");
                is_told = false;
                // What was said while we did not listen is not known.
                shared.missed().await;
                let _ = outbox.try_send(Outgoing { body: Body::Beat { greets: true }, report: None });
                let began = Instant::now();
                let why = hear(&shared, &key, line, &outbox).await;
                // A line that lives for a moment only is no reason to hurry.
                if began.elapsed() > LAST_PAUSE {
                    pause = FIRST_PAUSE;
                }
                why
            }
            Err(why) => why,
        };
        shared.is_connected.store(false, Ordering::Relaxed);
        if !std::mem::replace(&mut is_told, true) {
            tracing::warn!(%why, "change events: no connection; what other proxies change is seen here when cached answers end");
        }
        sleep(pause.mul_f64(0.5 + fraction())).await;
        pause = (2 * pause).min(LAST_PAUSE);
    }
}

/// Hears until the line is cut; why it was.
async fn hear(
    shared: &Shared,
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
            shared.count_forged();
            continue;
        };
        if message.head.run == shared.run {
            if message.head.number > our_last {
                (heard_ourselves, our_last) = (Instant::now(), message.head.number);
            }
            continue;
        }
        shared.take(message, outbox).await;
    }
}

/// A random number from 0 to 1, so that proxies do not come back all at once.
fn fraction() -> f64 {
    f64::from(u32::try_from(RandomState::new().hash_one(0_u8) >> 32).unwrap_or(0)) / f64::from(u32::MAX)
}
