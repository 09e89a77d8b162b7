//! The two loops over a channel: one sends, one receives.
//!
//! The sending loop numbers the messages in the order in which they are sent. A message that could not be sent uses up
//! its number, so that the other proxies see the gap. Our own heartbeats come back to us like every message on the
//! channel, so that a connection that has died silently is noticed too.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout, timeout_at};

use crate::channel::{Channel, ChannelError, MessageStream};
use crate::delivery::Audience;
use crate::message::{Body, ChannelKey, Message};
use crate::outgoing::Outgoing;
use crate::shared::{BEAT, Shared};

/// A joined channel. Dropping it leaves without a message to the other proxies.
#[derive(Debug)]
pub(super) struct Link {
    outbox: mpsc::Sender<Outgoing>,
    receiver: JoinHandle<()>,
    sender: JoinHandle<()>,
}

/// The most messages that wait to be sent.
const MAX_OUTBOX: usize = 1_024;

/// How long sending one message may take.
const SEND_TIMEOUT: Duration = Duration::from_secs(2);

/// How long subscribing may take.
const SUBSCRIBE_TIMEOUT: Duration = Duration::from_secs(10);

/// A connection on which our own messages do not come back for so long is dead: it has missed two heartbeats and had
/// time for a third.
const MAX_SILENCE: Duration = Duration::from_secs(15);

/// The pause between two attempts to subscribe: doubled from the first to the last, with a random part.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LAST_PAUSE: Duration = Duration::from_secs(5);

// === impl Link ===

impl Link {
    pub(super) fn begin(shared: &Arc<Shared>, channel: Arc<dyn Channel>, key: ChannelKey) -> Self {
        let (outbox, outgoing) = mpsc::channel(MAX_OUTBOX);
        let key = Arc::new(key);
        let sender =
            tokio::spawn(send_all(Arc::clone(shared), Arc::clone(&channel), Arc::clone(&key), outgoing));
        let receiver = tokio::spawn(keep_subscribed(Arc::clone(shared), channel, key, outbox.clone()));
        Self { outbox, receiver, sender }
    }

    pub(super) fn outbox(&self) -> mpsc::Sender<Outgoing> {
        self.outbox.clone()
    }

    /// Sends the other proxies a message that this one leaves, and leaves. Takes at most a second.
    pub(super) async fn leave(self) {
        const LEAVE_TIMEOUT: Duration = Duration::from_secs(1);
        let (report, sent) = oneshot::channel();
        let message = Outgoing { body: Body::Leave, audience: Audience::Present, report: Some(report) };
        let _ = timeout(LEAVE_TIMEOUT, async {
            if self.outbox.send(message).await.is_ok() {
                let _ = sent.await;
            }
        })
        .await;
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.receiver.abort();
        self.sender.abort();
    }
}

// === sending ===

async fn send_all(
    shared: Arc<Shared>,
    channel: Arc<dyn Channel>,
    key: Arc<ChannelKey>,
    mut outgoing: mpsc::Receiver<Outgoing>,
) {
    let mut heartbeats = interval(BEAT);
    heartbeats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The other loop sends the first heartbeat, once it has subscribed.
    heartbeats.tick().await;
    loop {
        let next = tokio::select! {
            biased;
            next = outgoing.recv() => next,
            _ = heartbeats.tick() => Some(Outgoing::unattended(Body::Heartbeat { wants_reply: false })),
        };
        let Some(Outgoing { body, audience, report }) = next else { return };
        let number = 1 + shared.number.fetch_add(1, Ordering::Relaxed);
        let waits_for = match &body {
            Body::Order(_) => shared.peers().audience(audience, Instant::now()),
            Body::Heartbeat { .. } | Body::Leave | Body::Done { .. } => Vec::new(),
        };
        let waiting = report.is_some().then(|| shared.acknowledgements.begin(number, waits_for));
        let message = Message { header: shared.header(number), body };
        let sent = match timeout(SEND_TIMEOUT, channel.send(&key.seal(&message))).await {
            Ok(sent) => sent,
            Err(_) => Err(ChannelError("it took too long".into())),
        };
        let counter = if sent.is_ok() { &shared.counters.sent } else { &shared.counters.unsent };
        counter.fetch_add(1, Ordering::Relaxed);
        if let (Some(report), Some(waiting)) = (report, waiting) {
            // A caller that no longer waits has dropped the other end.
            let _ = report.send(sent.map(|()| waiting));
        }
    }
}

// === receiving ===

/// Subscribes to the channel, again after every cut, and processes what is received.
async fn keep_subscribed(
    shared: Arc<Shared>,
    channel: Arc<dyn Channel>,
    key: Arc<ChannelKey>,
    outbox: mpsc::Sender<Outgoing>,
) {
    let mut pause = FIRST_PAUSE;
    let mut is_logged = false;
    loop {
        let subscribed = match timeout(SUBSCRIBE_TIMEOUT, channel.subscribe()).await {
            Ok(subscribed) => subscribed,
            Err(_) => Err(ChannelError("it took too long".into())),
        };
        let error = match subscribed {
            Ok(stream) => {
                shared.set_receiving(true);
                tracing::info!(node = %shared.node, "cluster channel connected");
                is_logged = false;
                // Messages that were sent before we subscribed are unknown.
                shared.missed().await;
                let _ = outbox.try_send(Outgoing::unattended(Body::Heartbeat { wants_reply: true }));
                let began = Instant::now();
                let error = receive(&shared, &key, stream, &outbox).await;
                // A connection that was cut at once does not shorten the pause.
                if began.elapsed() > LAST_PAUSE {
                    pause = FIRST_PAUSE;
                }
                error
            }
            Err(error) => error,
        };
        shared.set_receiving(false);
        if !std::mem::replace(&mut is_logged, true) {
            tracing::warn!(%error, "cluster channel not connected: changes of other proxies take effect here when cached answers expire");
        }
        sleep(pause.mul_f64(0.5 + fraction())).await;
        pause = (2 * pause).min(LAST_PAUSE);
    }
}

/// Receives messages until the connection is cut, and returns why it was.
async fn receive(
    shared: &Shared,
    key: &ChannelKey,
    mut stream: Box<dyn MessageStream>,
    outbox: &mpsc::Sender<Outgoing>,
) -> ChannelError {
    let mut own_received_at = Instant::now();
    let mut own_last = 0;
    loop {
        let Ok(next) = timeout_at(own_received_at + MAX_SILENCE, stream.next()).await else {
            return ChannelError("our own messages do not come back".into());
        };
        let sealed = match next {
            Ok(sealed) => sealed,
            Err(error) => return error,
        };
        let Some(message) = key.open(&sealed) else {
            shared.count_forged();
            continue;
        };
        if message.header.run == shared.run {
            if message.header.number > own_last {
                own_received_at = Instant::now();
                own_last = message.header.number;
            }
            continue;
        }
        shared.process(message, outbox).await;
    }
}

/// Returns a random number from 0 to 1, so that proxies do not reconnect all at once.
fn fraction() -> f64 {
    f64::from(u32::try_from(RandomState::new().hash_one(0_u8) >> 32).unwrap_or(0)) / f64::from(u32::MAX)
}
