//! What the two loops over a channel and the bus share.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::counters::Counters;
use crate::message::{Body, Head, Message};
use crate::outgoing::Outgoing;
use crate::peers::{MAX_SKEW, Peers, Verdict};
use crate::received::{Event, ReceivedOrder};
use crate::throttle::OncePerMinute;
use crate::wait::Waits;

/// A proxy that has nothing else to send sends a heartbeat this often.
pub const BEAT: Duration = Duration::from_secs(5);

/// A proxy that was silent for longer is not waited for.
pub const PRESENT: Duration = Duration::from_secs(15);

/// What the two loops over a channel and the bus share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) node: Arc<str>,
    pub(crate) run: u64,
    pub(crate) number: AtomicU64,
    pub(crate) peers: Mutex<Peers>,
    pub(crate) waits: Waits,
    pub(crate) is_connected: AtomicBool,
    pub(crate) events: mpsc::Sender<Event>,
    pub(crate) counters: Counters,
    pub(crate) complained: OncePerMinute,
}

// === impl Shared ===

impl Shared {
    pub(crate) fn peers(&self) -> MutexGuard<'_, Peers> {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn head(&self, number: u64) -> Head {
        let sent = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis();
        let sent = u64::try_from(sent).unwrap_or(u64::MAX);
        Head { node: Arc::clone(&self.node), run: self.run, number, sent }
    }

    /// Does what another proxy's message asks for, as far as it is the bus's business.
    pub(crate) async fn take(&self, message: Message, outbox: &mpsc::Sender<Outgoing>) {
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
                if self.complained.allow() {
                    tracing::warn!(from = %head.node, seconds = MAX_SKEW.as_secs(),
                        "a change event was ignored: its sender's clock differs from ours by more than that; set the clocks");
                }
                return;
            }
            Verdict::Crowded => {
                if self.complained.allow() {
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
    pub(crate) async fn missed(&self) {
        self.counters.missed.fetch_add(1, Ordering::Relaxed);
        self.report(Event::Missed).await;
    }

    /// Waits while too many events are pending; the line waits too, and loses nothing.
    async fn report(&self, event: Event) {
        // Without a subscription there is no cache that could be wrong.
        let _ = self.events.send(event).await;
    }

    pub(crate) fn count_forged(&self) {
        self.counters.forged.fetch_add(1, Ordering::Relaxed);
        if self.complained.allow() {
            tracing::warn!(
                "a message on the channel of change events was ignored: it is not signed with this proxy's admin token, \
                 which all proxies of a channel have to share"
            );
        }
    }
}
