//! Change events between the proxies that share one store.
//!
//! Events are values here: the bus says what another proxy did ([`Heard`]), and whoever holds a router and a
//! desk does the same. What must never happen: an event that is believed without the signature of somebody who
//! knows the admin token, or believed twice; a proxy that lost a message and goes on believing its cache; a
//! write that waits long for a proxy that is gone.
//!
//! | module | subject |
//! |---|---|
//! | `event` | [`Event`]: what is told |
//! | `message` | what goes over the channel: signed, numbered, dated |
//! | `peers` | the other proxies: last heard, last number; what is old, missing or of another time |
//! | `link` | the two loops over a channel: one hears, one speaks |
//! | `wait` | who has not answered yet |
//! | `channel` | [`Channel`]: what a store with a channel offers |
//!
//! A lost message is noticed in one of three ways, and each ends in a [`Event::Flush`] for us: the connection
//! was cut, a sender's numbers have a gap, or our own messages do not come back to us. A kick, hold or delay that
//! was missed stays missed: [`Bus::publish`] says who did not answer.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

mod channel;
mod event;
mod link;
mod message;
mod peers;
mod wait;

pub use self::channel::{Channel, ChannelError, Line, MAX_MESSAGE};
pub use self::event::{Event, SessionFilter};
pub use self::message::Key;
pub use self::peers::Node;

use self::link::{Link, Outgoing, Seldom};
use self::message::{Body, MAX_NODE};
use self::peers::Peers;
use self::wait::{Waiting, Waits};

/// This proxy's place among those that share its store. A clone is the same place.
#[derive(Clone, Debug)]
pub struct Bus {
    inner: Arc<Inner>,
}

/// Where what others did is heard.
#[derive(Debug)]
pub struct Subscription {
    heard: mpsc::Receiver<Heard>,
}

/// Something to be done here too.
#[derive(Debug)]
pub struct Heard {
    /// What.
    pub event: Event,
    /// The run of the sender that it comes from: holds are numbered within it. `None` = from the bus itself,
    /// which missed something.
    pub run: Option<u64>,
    /// The sender's name, for the log.
    pub from: Arc<str>,
    reply: Option<(mpsc::Sender<Outgoing>, Body)>,
}

/// What became of an event: who has done it too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delivery {
    /// Proxies that say so.
    pub done: Vec<Arc<str>>,
    /// Proxies that were heard lately and did not answer in time. They may have done it.
    pub silent: Vec<Arc<str>>,
}

/// The other proxies were not told. What was done here stands; they ask anew once they hear of us again.
#[derive(Clone, Debug, Error)]
pub enum BusError {
    /// The channel refused, or took too long.
    #[error(
        "the other proxies could not be told: {0}; they ask the store anew once they hear from this one again"
    )]
    NotSaid(ChannelError),
    /// So many events wait to be said that this one was not taken.
    #[error("the other proxies could not be told: too many events wait to be sent")]
    Full,
}

/// How a bus is connected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It has no channel; why.
    Alone(Arc<str>),
    /// It has one that cannot be used at this moment.
    Cut,
    /// It hears and is heard.
    Connected,
}

/// Counters since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Messages that were said.
    pub said: u64,
    /// Messages that could not be said.
    pub unsaid: u64,
    /// Messages of others that were believed, signs of life included.
    pub heard: u64,
    /// Messages without our signature.
    pub forged: u64,
    /// Messages that had been heard before.
    pub repeated: u64,
    /// Messages whose date was more than a minute from ours.
    pub misdated: u64,
    /// Times that something may have been missed, so that everything cached was asked anew; connecting counts.
    pub missed: u64,
}

/// How long an event's sender waits for the others.
pub const MAX_WAIT: Duration = Duration::from_secs(2);

/// Without anything else to say, a proxy gives a sign of life this often.
pub const BEAT: Duration = Duration::from_secs(5);

/// Who was silent for longer is not waited for.
pub const PRESENT: Duration = Duration::from_secs(15);

/// Events that wait to be done here.
const MAX_HEARD: usize = 1_024;

/// What the clones share.
#[derive(Debug)]
struct Inner {
    node: Arc<str>,
    run: u64,
    number: AtomicU64,
    peers: Mutex<Peers>,
    waits: Waits,
    link: Mutex<Option<Link>>,
    /// Why there is no link.
    alone: ArcSwap<Arc<str>>,
    is_connected: AtomicBool,
    heard: mpsc::Sender<Heard>,
    counters: Counters,
    complained: Seldom,
}

#[derive(Debug, Default)]
struct Counters {
    said: AtomicU64,
    unsaid: AtomicU64,
    heard: AtomicU64,
    forged: AtomicU64,
    repeated: AtomicU64,
    misdated: AtomicU64,
    missed: AtomicU64,
}

// === impl Bus ===

impl Bus {
    /// A bus without a channel, for the proxy called `node`.
    #[must_use]
    pub fn new(node: &str) -> (Self, Subscription) {
        let (heard, subscription) = mpsc::channel(MAX_HEARD);
        let end = node.floor_char_boundary(MAX_NODE);
        let inner = Inner {
            node: if end == 0 { "unnamed".into() } else { node[..end].into() },
            // Every proxy needs another one; nobody needs to be unable to guess it, since it is signed.
            run: RandomState::new().hash_one(SystemTime::now()),
            number: AtomicU64::new(0),
            peers: Mutex::default(),
            waits: Waits::default(),
            link: Mutex::default(),
            alone: ArcSwap::from_pointee("it has not joined a channel yet".into()),
            is_connected: AtomicBool::new(false),
            heard,
            counters: Counters::default(),
            complained: Seldom::default(),
        };
        (Self { inner: Arc::new(inner) }, Subscription { heard: subscription })
    }

    /// Goes over to `channel`, where messages are signed with `key`. Never fails: a channel that cannot be used
    /// is tried again, and joined when it can. Has to be called within a runtime.
    pub fn join(&self, channel: Arc<dyn Channel>, key: Key) {
        let link = Link::begin(&self.inner, channel, key);
        drop(self.inner.link().replace(link));
    }

    /// Goes over to no channel, for the reason `why`.
    pub fn stay_alone(&self, why: &str) {
        drop(self.inner.link().take());
        self.inner.is_connected.store(false, Ordering::Relaxed);
        self.inner.alone.store(Arc::new(why.into()));
    }

    /// Tells the others what was done here, and waits until those that were heard within [`PRESENT`] say that
    /// they did the same, at most for [`MAX_WAIT`]. To be called after the act itself. Without a channel there is
    /// nobody to tell.
    ///
    /// # Errors
    /// [`BusError`]: nobody, or not everybody, was told. What they have cached is asked anew as soon as they
    /// hear of us; a kick, hold or delay is not made up for.
    pub async fn publish(&self, event: Event) -> Result<Delivery, BusError> {
        let Some(outbox) = self.inner.link().as_ref().map(Link::outbox) else {
            return Ok(Delivery::default());
        };
        let deadline = Instant::now() + MAX_WAIT;
        let mut said = Vec::new();
        for part in event.parts() {
            let (told, hears) = oneshot::channel();
            let outgoing = Outgoing { body: Body::Event(part), told: Some(told) };
            match timeout_at(deadline, outbox.send(outgoing)).await {
                Ok(Ok(())) => said.push(hears),
                Ok(Err(_)) | Err(_) => return Err(BusError::Full),
            }
        }
        let mut delivery = Delivery::default();
        for hears in said {
            let gone = || BusError::NotSaid(ChannelError("the channel was left".into()));
            let slow = || BusError::NotSaid(ChannelError("it takes too long".into()));
            let waiting: Waiting = timeout_at(deadline, hears)
                .await
                .map_err(|_| slow())?
                .map_err(|_| gone())?
                .map_err(BusError::NotSaid)?;
            delivery.add(waiting.until(deadline).await);
        }
        Ok(delivery)
    }

    /// Every proxy that was heard lately, this one first.
    #[must_use]
    pub fn nodes(&self) -> Vec<Node> {
        let this = Node {
            name: Arc::clone(&self.inner.node),
            heard: SystemTime::now(),
            silent: Duration::ZERO,
            is_this: true,
        };
        let others = self.inner.peers().nodes(Instant::now());
        [this].into_iter().chain(others).collect()
    }

    /// How it is connected.
    #[must_use]
    pub fn state(&self) -> State {
        match (self.inner.link().is_some(), self.inner.is_connected.load(Ordering::Relaxed)) {
            (false, _) => State::Alone(Arc::clone(&self.inner.alone.load())),
            (true, false) => State::Cut,
            (true, true) => State::Connected,
        }
    }

    /// The counters at this moment.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let counters = &self.inner.counters;
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            said: read(&counters.said),
            unsaid: read(&counters.unsaid),
            heard: read(&counters.heard),
            forged: read(&counters.forged),
            repeated: read(&counters.repeated),
            misdated: read(&counters.misdated),
            missed: read(&counters.missed),
        }
    }

    /// Says goodbye, so that nobody waits for this proxy, and goes. Takes at most a second.
    pub async fn leave(&self) {
        let link = self.inner.link().take();
        if let Some(link) = link {
            link.leave().await;
        }
    }
}

// === impl Subscription ===

impl Subscription {
    /// The next thing to be done here; `None` when no bus is left.
    pub async fn next(&mut self) -> Option<Heard> {
        self.heard.recv().await
    }
}

// === impl Heard ===

impl Heard {
    /// Tells the sender that it is done. Dropping it instead leaves the sender waiting for its time.
    pub fn done(self) {
        if let Some((outbox, body)) = self.reply {
            // With a full outbox the sender waits for its time, which is what it is for.
            let _ = outbox.try_send(Outgoing { body, told: None });
        }
    }
}

// === impl Delivery ===

impl Delivery {
    /// Adds another message's. Who was silent once is not among the others.
    fn add(&mut self, other: Self) {
        for name in other.silent {
            self.done.retain(|done| *done != name);
            if !self.silent.contains(&name) {
                self.silent.push(name);
            }
        }
        for name in other.done {
            if !self.silent.contains(&name) && !self.done.contains(&name) {
                self.done.push(name);
            }
        }
    }
}

// === impl Inner ===

impl Inner {
    /// Never held over an await. Nothing panics under it that would leave half of something.
    fn link(&self) -> MutexGuard<'_, Option<Link>> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn peers(&self) -> MutexGuard<'_, Peers> {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
