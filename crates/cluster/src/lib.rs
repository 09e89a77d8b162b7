//! The signed channel between the proxies that share one store.
//!
//! This crate carries orders and does not know them: an [`OrderMessage`] is a name and its JSON. Crate `control` writes
//! and reads them, and carries them out. What must never happen: an order that is accepted without the signature of a
//! proxy that knows the admin token, or accepted twice; a proxy that missed a message and keeps its cache; a write that
//! waits long for a proxy that is gone.
//!
//! | module | subject |
//! |---|---|
//! | `message` | the messages: signed, numbered, dated |
//! | `peers` | the other proxies: their last messages; which messages are repeated, missing or misdated |
//! | `link` | the two loops over a channel: one receives, one sends |
//! | `acknowledgements` | the proxies that have not acknowledged a message yet |
//! | `shared` | processes received messages |
//! | `channel` | [`Channel`]: the channel of a store |
//!
//! A lost message is noticed in one of three ways, each reported as [`Event::Missed`]: the connection was cut, a sender's
//! numbers have a gap, or our own messages do not come back to us. A kick, hold or delay that was missed stays missed:
//! [`Publisher::publish`] returns the proxies that did not acknowledge it.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

mod acknowledgements;
mod channel;
mod counters;
mod delivery;
mod link;
mod message;
mod outgoing;
mod peers;
mod received;
mod shared;
mod throttle;

pub use self::channel::{Channel, ChannelError, MAX_MESSAGE, MessageStream};
pub use self::counters::Counts;
pub use self::delivery::{Audience, Delivery};
pub use self::message::{ChannelKey, MAX_ORDER, OrderMessage};
pub use self::peers::{Node, PRESENT};
pub use self::received::{Event, ReceivedOrder};
pub use self::shared::BEAT;

use self::acknowledgements::Acknowledgements;
use self::counters::Counters;
use self::link::Link;
use self::message::{Body, MAX_NODE};
use self::outgoing::Outgoing;
use self::shared::Shared;
use self::throttle::OncePerMinute;

/// This proxy's membership in the group of proxies that share its store. Clones share it.
#[derive(Clone, Debug)]
pub struct Bus {
    inner: Arc<Inner>,
}

/// The right to send orders on a bus. There is one for each bus, owned by crate `control`, which carries an order out on
/// this proxy before it sends it.
#[derive(Debug)]
pub struct Publisher {
    bus: Bus,
}

/// The receiving end of the bus.
#[derive(Debug)]
pub struct Subscription {
    received: mpsc::Receiver<Event>,
}

/// The order did not reach the other proxies. It has taken effect here; the others flush their caches once they receive
/// another message of ours.
#[derive(Clone, Debug, Error)]
pub enum BusError {
    /// The channel failed, or took too long.
    #[error(
        "the order could not be sent to the other proxies: {0}; they look accounts up again once they receive another message of this proxy"
    )]
    NotSent(ChannelError),
    /// Too many messages wait to be sent.
    #[error("the order could not be sent to the other proxies: too many messages wait to be sent")]
    Full,
    /// This proxy does not receive the channel's messages, or has only begun to, and cannot know which proxies there are.
    #[error(
        "this proxy does not receive the messages of the other proxies yet, so none can confirm the order"
    )]
    NotReceiving,
}

/// Whether a bus is connected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BusState {
    /// It has no channel, for the given reason.
    Alone(Arc<str>),
    /// Its channel cannot be used at the moment.
    Disconnected,
    /// It receives messages.
    Connected,
}

/// How long the sender of an order waits for the other proxies.
pub const MAX_WAIT: Duration = Duration::from_secs(2);

/// A proxy that receives the channel's messages for so long has had the answers to its first heartbeat.
const ANSWERED: Duration = Duration::from_secs(1);

/// The most events that wait to be carried out here.
const MAX_EVENTS: usize = 1_024;

/// The state that the clones share.
#[derive(Debug)]
struct Inner {
    shared: Arc<Shared>,
    link: Mutex<Option<Link>>,
    /// The reason for a missing link.
    alone: ArcSwap<Arc<str>>,
}

// === impl Bus ===

impl Bus {
    /// Makes a bus without a channel for the proxy called `node`. [`Publisher::bus`] returns the bus itself.
    #[must_use]
    #[expect(clippy::new_ret_no_self, reason = "the bus comes with the one right to publish on it")]
    pub fn new(node: &str) -> (Publisher, Subscription) {
        let (events, received) = mpsc::channel(MAX_EVENTS);
        let end = node.floor_char_boundary(MAX_NODE);
        let shared = Shared {
            node: if end == 0 { "unnamed".into() } else { node[..end].into() },
            // Different in every run. It may be guessed, since messages are signed.
            run: RandomState::new().hash_one(SystemTime::now()),
            number: AtomicU64::new(0),
            peers: Mutex::default(),
            acknowledgements: Acknowledgements::default(),
            receiving_since: Mutex::default(),
            events,
            counters: Counters::default(),
            log_throttle: OncePerMinute::default(),
        };
        let inner = Inner {
            shared: Arc::new(shared),
            link: Mutex::default(),
            alone: ArcSwap::from_pointee("it has not joined a channel yet".into()),
        };
        let bus = Self { inner: Arc::new(inner) };
        (Publisher { bus }, Subscription { received })
    }

    /// Switches to `channel`, where messages are signed with `key`. Never fails: a channel that cannot be used is tried
    /// again until it can. Call it within a runtime.
    pub fn join(&self, channel: Arc<dyn Channel>, key: ChannelKey) {
        let link = Link::begin(&self.inner.shared, channel, key);
        drop(self.inner.link().replace(link));
    }

    /// Leaves any channel, for the reason `why`.
    pub fn stay_alone(&self, why: &str) {
        drop(self.inner.link().take());
        self.inner.shared.set_receiving(false);
        self.inner.alone.store(Arc::new(why.into()));
    }

    /// Returns the proxies that have sent a message lately, this one first.
    #[must_use]
    pub fn nodes(&self) -> Vec<Node> {
        let this = Node {
            name: Arc::clone(&self.inner.shared.node),
            last_received: SystemTime::now(),
            silent: Duration::ZERO,
            is_this: true,
        };
        let others = self.inner.shared.peers().nodes(Instant::now());
        [this].into_iter().chain(others).collect()
    }

    /// Returns whether the bus is connected.
    #[must_use]
    pub fn state(&self) -> BusState {
        match (self.inner.link().is_some(), self.inner.shared.receiving_for().is_some()) {
            (false, _) => BusState::Alone(Arc::clone(&self.inner.alone.load())),
            (true, false) => BusState::Disconnected,
            (true, true) => BusState::Connected,
        }
    }

    /// Returns the counters at this moment.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.inner.shared.counters.counts()
    }

    /// Leaves the channel, after a message to the other proxies so that none waits for this one. Takes at most a second.
    pub async fn leave(&self) {
        let link = self.inner.link().take();
        if let Some(link) = link {
            link.leave().await;
        }
    }
}

// === impl Publisher ===

impl Publisher {
    /// Returns the bus.
    #[must_use]
    pub const fn bus(&self) -> &Bus {
        &self.bus
    }

    /// Sends an order, in as many messages as it takes, and waits until its audience has acknowledged it, at most for
    /// [`MAX_WAIT`]. Call it after the order was carried out here. Without a channel there is nothing to do.
    ///
    /// # Errors
    /// [`BusError`]: some of the proxies did not get the order. They flush their caches when they receive another message
    /// of ours; a kick, hold or delay is not made up for.
    pub async fn publish(
        &self,
        messages: Vec<OrderMessage>,
        audience: Audience,
    ) -> Result<Delivery, BusError> {
        let Some(outbox) = self.bus.inner.link().as_ref().map(Link::outbox) else {
            return Ok(Delivery::default());
        };
        if audience == Audience::Known
            && self.bus.inner.shared.receiving_for().is_none_or(|time| time < ANSWERED)
        {
            return Err(BusError::NotReceiving);
        }
        let deadline = Instant::now() + MAX_WAIT;
        let mut sending = Vec::new();
        for message in messages {
            let (report, sent) = oneshot::channel();
            let outgoing = Outgoing { body: Body::Order(message), audience, report: Some(report) };
            match timeout_at(deadline, outbox.send(outgoing)).await {
                Ok(Ok(())) => sending.push(sent),
                Ok(Err(_)) | Err(_) => return Err(BusError::Full),
            }
        }
        let mut delivery = Delivery::default();
        for sent in sending {
            let waiting = match timeout_at(deadline, sent).await {
                Ok(Ok(sent)) => sent.map_err(BusError::NotSent)?,
                Ok(Err(_)) => {
                    return Err(BusError::NotSent(ChannelError("this proxy left the channel".into())));
                }
                Err(_) => return Err(BusError::NotSent(ChannelError("it took too long".into()))),
            };
            delivery.add(waiting.until(deadline).await);
        }
        Ok(delivery)
    }
}

// === impl Subscription ===

impl Subscription {
    /// Returns the next event; `None` when no bus is left.
    pub async fn next(&mut self) -> Option<Event> {
        self.received.recv().await
    }
}

// === impl Inner ===

impl Inner {
    /// Never held over an await. A panic under the lock cannot leave the link half replaced.
    fn link(&self) -> MutexGuard<'_, Option<Link>> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
