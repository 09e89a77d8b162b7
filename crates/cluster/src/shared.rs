//! The state that the bus and the two loops over its channel share.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::acknowledgements::Acknowledgements;
use crate::counters::Counters;
use crate::message::{Body, Header, Message};
use crate::outgoing::Outgoing;
use crate::peers::{MAX_SKEW, MessageCheck, Peers};
use crate::received::{Event, ReceivedOrder};
use crate::throttle::OncePerMinute;

/// A proxy that has nothing else to send sends a heartbeat this often.
pub const BEAT: Duration = Duration::from_secs(5);

/// The state of this proxy on its channel.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) node: Arc<str>,
    pub(crate) run: u64,
    pub(crate) number: AtomicU64,
    pub(crate) peers: Mutex<Peers>,
    pub(crate) acknowledgements: Acknowledgements,
    /// Since when this proxy receives the channel's messages.
    pub(crate) receiving_since: Mutex<Option<Instant>>,
    pub(crate) events: mpsc::Sender<Event>,
    pub(crate) counters: Counters,
    pub(crate) log_throttle: OncePerMinute,
}

// === impl Shared ===

impl Shared {
    pub(crate) fn peers(&self) -> MutexGuard<'_, Peers> {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set_receiving(&self, is_receiving: bool) {
        *self.receiving_since.lock().unwrap_or_else(PoisonError::into_inner) =
            is_receiving.then(Instant::now);
    }

    /// Returns how long this proxy has received the channel's messages; `None` while it does not.
    pub(crate) fn receiving_for(&self) -> Option<Duration> {
        let since = *self.receiving_since.lock().unwrap_or_else(PoisonError::into_inner);
        since.map(|since| since.elapsed())
    }

    pub(crate) fn header(&self, number: u64) -> Header {
        let sent = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis();
        let sent = u64::try_from(sent).unwrap_or(u64::MAX);
        Header { node: Arc::clone(&self.node), run: self.run, number, sent }
    }

    /// Processes another proxy's message: answers heartbeats, records acknowledgements, and passes orders on.
    pub(crate) async fn process(&self, message: Message, outbox: &mpsc::Sender<Outgoing>) {
        let Message { header, body } = message;
        let check = self.peers().check(&header, Instant::now(), SystemTime::now());
        match check {
            MessageCheck::Next => {}
            MessageCheck::Gap => self.missed().await,
            MessageCheck::Repeated => {
                self.counters.repeated.fetch_add(1, Ordering::Relaxed);
                return;
            }
            MessageCheck::Misdated => {
                self.counters.misdated.fetch_add(1, Ordering::Relaxed);
                if self.log_throttle.allow() {
                    tracing::warn!(from = %header.node,
                        "a message of another proxy was ignored: its clock differs from ours by more than {} seconds; synchronize the clocks",
                        MAX_SKEW.as_secs());
                }
                return;
            }
            MessageCheck::TooManyPeers => {
                if self.log_throttle.allow() {
                    tracing::warn!(from = %header.node, "a message of another proxy was ignored: too many proxies are on the channel");
                }
                return;
            }
        }
        self.counters.received.fetch_add(1, Ordering::Relaxed);
        match body {
            Body::Heartbeat { wants_reply: false } => {}
            Body::Heartbeat { wants_reply: true } => {
                let _ = outbox.try_send(Outgoing::unattended(Body::Heartbeat { wants_reply: false }));
            }
            Body::Leave => self.peers().leave(header.run, Instant::now()),
            Body::Done { run, number } if run == self.run => {
                self.acknowledgements.acknowledged(number, header.run);
            }
            Body::Done { .. } => {}
            Body::Order(message) => {
                let order = ReceivedOrder {
                    message,
                    run: header.run,
                    from: header.node,
                    outbox: outbox.clone(),
                    acknowledgement: Body::Done { run: header.run, number: header.number },
                };
                self.report(Event::Order(order)).await;
            }
        }
    }

    /// Reports that messages may have been missed.
    pub(crate) async fn missed(&self) {
        self.counters.missed.fetch_add(1, Ordering::Relaxed);
        self.report(Event::Missed).await;
    }

    /// Passes an event on. Waits while too many are pending; the stream is not read meanwhile, so nothing is lost.
    async fn report(&self, event: Event) {
        // Without a subscription there is no cache that could be outdated.
        let _ = self.events.send(event).await;
    }

    pub(crate) fn count_forged(&self) {
        self.counters.forged.fetch_add(1, Ordering::Relaxed);
        if self.log_throttle.allow() {
            tracing::warn!(
                "a message on the cluster channel was ignored: it is not signed with the admin token of this proxy; give \
                 all proxies of a channel the same token"
            );
        }
    }
}
