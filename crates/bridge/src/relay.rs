//! One session from the first byte to the last: who closed, how long silence may last, when it ends from outside.
//!
//! One coarse timer serves every limit. It is not touched as bytes pass: the time of the last one is noted, and
//! the timer looks at it when it fires and is set again. Every wait that starts here ends by it.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::bulk::{Bulk, Fault};
use crate::flow::{Flow, Stage, Tap};
use crate::session::{BOUNDARY_WAIT, Limits, Opening, Outcome, Watch, Why};

/// Instead of a time too far away to add.
const NEVER: Duration = Duration::from_secs(30 * 365 * 24 * 3600);

/// A session under way.
struct Relay<'s, A, B, K, W, E> {
    client: &'s mut A,
    backend: &'s mut B,
    up: Flow<K>,
    down: Flow<K>,
    watch: W,
    limits: Limits,
    last_byte: Instant,
    closing: Option<Closing>,
    ending: Option<Ending<E>>,
}

/// One side has closed.
struct Closing {
    client_first: bool,
    by: Instant,
}

/// The end has been asked for; the next boundary is awaited.
struct Ending<E> {
    value: E,
    by: Instant,
}

/// The tap of the direction to the client.
struct Watched<'w, W> {
    watch: &'w mut W,
    ending: bool,
}

/// The tap of the direction to the backend: nobody looks, and once the end is near nothing more is asked.
struct Unwatched {
    ending: bool,
}

/// [`crate::run`], by any way.
pub(crate) async fn run<A, B, K, W, E>(
    client: &mut A,
    backend: &mut B,
    opening: Opening,
    limits: Limits,
    mut watch: W,
    end: impl Future<Output = E>,
) -> Outcome<E>
where
    A: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
    K: Bulk<A, B> + Bulk<B, A>,
    W: Watch,
{
    watch.to_client(&opening.to_client);
    let mut relay = Relay {
        client,
        backend,
        up: Flow::<K>::new(opening.to_backend),
        down: Flow::<K>::new(opening.to_client),
        watch,
        limits,
        last_byte: Instant::now(),
        closing: None,
        ending: None,
    };
    let mut end = pin!(end);
    let mut alarm = pin!(sleep_until(relay.deadline()));
    let why = poll_fn(|cx| relay.poll(cx, end.as_mut(), alarm.as_mut())).await;
    Outcome { to_backend: relay.up.given(), to_client: relay.down.given(), why }
}

// === impl Relay ===

impl<A, B, K, W, E> Relay<'_, A, B, K, W, E>
where
    A: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
    K: Bulk<A, B> + Bulk<B, A>,
    W: Watch,
{
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        end: Pin<&mut impl Future<Output = E>>,
        mut alarm: Pin<&mut Sleep>,
    ) -> Poll<Why<E>> {
        if self.ending.is_none()
            && let Poll::Ready(value) = end.poll(cx)
        {
            self.ending = Some(Ending { value, by: after(Instant::now(), BOUNDARY_WAIT) });
            alarm.as_mut().reset(self.deadline());
        }
        let up = self.up.given();
        let down = self.down.given();
        let polled = self.poll_flows(cx);
        let up = self.up.given() - up;
        let down = self.down.given() - down;
        if up + down != 0 {
            self.last_byte = Instant::now();
            self.watch.moved(up, down);
        }
        if let Err(why) = polled {
            return Poll::Ready(why);
        }
        if let Some(why) = self.over() {
            return Poll::Ready(why);
        }
        if self.closing.is_none() && (self.up.stage() != Stage::Open || self.down.stage() != Stage::Open) {
            self.closing = Some(Closing {
                client_first: self.down.stage() == Stage::Open,
                by: after(Instant::now(), self.limits.half_close),
            });
            alarm.as_mut().reset(self.deadline());
        }
        while alarm.as_mut().poll(cx).is_ready() {
            if let Some(why) = self.overdue(Instant::now()) {
                return Poll::Ready(why);
            }
            alarm.as_mut().reset(self.deadline());
        }
        Poll::Pending
    }

    /// Both directions, the backend's first: what it said before it went reaches the client even if the
    /// client's next bytes cannot be written any more.
    fn poll_flows(&mut self, cx: &mut Context<'_>) -> Result<(), Why<E>> {
        self.poll_down(cx)?;
        let mut tap = Unwatched { ending: self.ending.is_some() };
        let Err(fault) = self.up.poll(cx, self.client, self.backend, &mut tap) else {
            return Ok(());
        };
        if let Fault::To(_) = fault {
            self.poll_down(cx)?;
        }
        Err(match fault {
            Fault::From(kind) => client_failed(kind),
            Fault::To(kind) => backend_failed(kind),
        })
    }

    fn poll_down(&mut self, cx: &mut Context<'_>) -> Result<(), Why<E>> {
        let mut tap = Watched { watch: &mut self.watch, ending: self.ending.is_some() };
        self.down.poll(cx, self.backend, self.client, &mut tap).map_err(|fault| match fault {
            Fault::From(kind) => backend_failed(kind),
            Fault::To(kind) => client_failed(kind),
        })
    }

    /// Whether it is over, time apart.
    fn over(&mut self) -> Option<Why<E>> {
        let told_client = self.down.stage() != Stage::Open;
        let at_boundary = !told_client && self.down.is_settled() && self.watch.at_boundary();
        if (at_boundary || told_client)
            && let Some(Ending { value, .. }) = self.ending.take()
        {
            return Some(Why::Ended { by: value, at_boundary });
        }
        if self.up.stage() != Stage::Done || self.down.stage() != Stage::Done {
            return None;
        }
        let client_first = self.closing.as_ref().is_some_and(|closing| closing.client_first);
        Some(if client_first { Why::ClientClosed } else { Why::BackendClosed })
    }

    /// The limit that has passed, if one has.
    fn overdue(&mut self, now: Instant) -> Option<Why<E>> {
        if let Some(Ending { value, .. }) = self.ending.take_if(|ending| ending.by <= now) {
            return Some(Why::Ended { by: value, at_boundary: false });
        }
        if self.closing.as_ref().is_some_and(|closing| closing.by <= now) {
            return Some(Why::HalfCloseTimeout);
        }
        (after(self.last_byte, self.limits.idle) <= now).then_some(Why::Idle)
    }

    /// When the next limit may pass.
    fn deadline(&self) -> Instant {
        let idle = after(self.last_byte, self.limits.idle);
        let closing = self.closing.as_ref().map_or(idle, |closing| closing.by);
        let ending = self.ending.as_ref().map_or(idle, |ending| ending.by);
        idle.min(closing).min(ending)
    }
}

fn after(start: Instant, time: Duration) -> Instant {
    start.checked_add(time.min(NEVER)).unwrap_or(start)
}

fn client_failed<E>(kind: io::ErrorKind) -> Why<E> {
    if is_reset(kind) { Why::ClientReset } else { Why::ClientError(kind) }
}

fn backend_failed<E>(kind: io::ErrorKind) -> Why<E> {
    if is_reset(kind) { Why::BackendReset } else { Why::BackendError(kind) }
}

/// How a peer's RST shows: at a read, or at a write behind it, which no longer has the news itself.
fn is_reset(kind: io::ErrorKind) -> bool {
    matches!(
        kind,
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted | io::ErrorKind::BrokenPipe
    )
}

// === impl Watched ===

impl<W: Watch> Tap for Watched<'_, W> {
    fn is_open(&self) -> bool {
        !(self.ending && self.watch.at_boundary())
    }

    fn see(&mut self, bytes: &[u8]) {
        self.watch.to_client(bytes);
    }

    fn unseen(&self) -> u64 {
        self.watch.unseen()
    }

    fn skip(&mut self, count: u64) {
        self.watch.skip(count);
    }
}

// === impl Unwatched ===

impl Tap for Unwatched {
    fn is_open(&self) -> bool {
        !self.ending
    }

    fn see(&mut self, _: &[u8]) {}

    fn unseen(&self) -> u64 {
        u64::MAX
    }

    fn skip(&mut self, _: u64) {}
}

#[cfg(test)]
mod tests;
