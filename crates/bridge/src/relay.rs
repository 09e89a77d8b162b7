//! One session from the first byte to the last: closes, time limits and ends from outside.
//!
//! One timer serves every limit. Moving bytes only records the time of the last byte; the timer compares it when it
//! fires, and is then set again. It bounds every wait of this module, except that for a boundary, which ends with
//! [`EndRequest::give_up`].

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::fast_path::{FastPath, FlowError};
use crate::flow::{Flow, FlowStage, Inspector};
use crate::session::{BridgeEnd, BridgeOutcome, Direction, EndRequest, Limits, Opening, Position, Watch};

/// Replaces a duration too long to add to an instant.
const NEVER: Duration = Duration::from_secs(30 * 365 * 24 * 3600);

/// A session under way.
struct Relay<'s, 'e, A, B, K, W, E> {
    client: &'s mut A,
    backend: &'s mut B,
    to_backend: Flow<K>,
    to_client: Flow<K>,
    watch: W,
    limits: Limits,
    last_byte: Instant,
    closing: Option<Closing>,
    /// The end was requested from outside; the next boundary is awaited.
    ending: Option<EndRequest<'e, E>>,
    /// The watch has refused bytes of the opening.
    is_opening_refused: bool,
}

/// One side has closed.
struct Closing {
    client_first: bool,
    by: Instant,
}

/// The watch as the inspector of one direction.
struct Watched<'w, W> {
    watch: &'w mut W,
    direction: Direction,
    is_ending: bool,
}

/// [`crate::run`] with any fast path.
pub(crate) async fn run<'e, A, B, K, W, E>(
    client: &mut A,
    backend: &mut B,
    mut opening: Opening,
    limits: Limits,
    mut watch: W,
    end: impl Future<Output = EndRequest<'e, E>>,
) -> BridgeOutcome<E>
where
    A: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
    K: FastPath<A, B> + FastPath<B, A>,
    W: Watch,
{
    let is_opening_refused = !see_opening(&mut watch, &mut opening);
    let mut relay = Relay {
        client,
        backend,
        to_backend: Flow::<K>::new(opening.to_backend),
        to_client: Flow::<K>::new(opening.to_client),
        watch,
        limits,
        last_byte: Instant::now(),
        closing: None,
        ending: None,
        is_opening_refused,
    };
    let mut end = pin!(end);
    let mut timer = pin!(sleep_until(relay.deadline()));
    let why = poll_fn(|cx| relay.poll(cx, end.as_mut(), timer.as_mut())).await;
    BridgeOutcome { to_backend: relay.to_backend.delivered(), to_client: relay.to_client.delivered(), why }
}

/// Shows the watch the opening, and drops what it refuses. Returns whether it refused nothing.
fn see_opening(watch: &mut impl Watch, opening: &mut Opening) -> bool {
    if !watch.see(Direction::ToClient, &opening.to_client) {
        *opening = Opening::default();
        return false;
    }
    if !watch.see(Direction::ToBackend, &opening.to_backend) {
        opening.to_backend.clear();
        return false;
    }
    true
}

// === impl Relay ===

impl<'e, A, B, K, W, E> Relay<'_, 'e, A, B, K, W, E>
where
    A: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
    K: FastPath<A, B> + FastPath<B, A>,
    W: Watch,
{
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        end: Pin<&mut impl Future<Output = EndRequest<'e, E>>>,
        mut timer: Pin<&mut Sleep>,
    ) -> Poll<BridgeEnd<E>> {
        if self.ending.is_none()
            && let Poll::Ready(request) = end.poll(cx)
        {
            self.ending = Some(request);
            self.watch.end_requested();
        }
        let up = self.to_backend.delivered();
        let down = self.to_client.delivered();
        let polled = self.poll_flows(cx);
        let up = self.to_backend.delivered() - up;
        let down = self.to_client.delivered() - down;
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
        if let Some(request) = &mut self.ending
            && let Poll::Ready(by) = request.give_up.as_mut().poll(cx)
        {
            return Poll::Ready(BridgeEnd::Ended { by, at_boundary: false });
        }
        if self.closing.is_none()
            && (self.to_backend.stage() != FlowStage::Open || self.to_client.stage() != FlowStage::Open)
        {
            self.closing = Some(Closing {
                client_first: self.to_client.stage() == FlowStage::Open,
                by: after(Instant::now(), self.limits.half_close),
            });
            timer.as_mut().reset(self.deadline());
        }
        while timer.as_mut().poll(cx).is_ready() {
            if let Some(why) = self.overdue(Instant::now()) {
                return Poll::Ready(why);
            }
            timer.as_mut().reset(self.deadline());
        }
        Poll::Pending
    }

    /// Polls both directions, the one to the client first: what the backend sent before it closed reaches the client
    /// even when the client's next bytes cannot be written any more.
    fn poll_flows(&mut self, cx: &mut Context<'_>) -> Result<(), BridgeEnd<E>> {
        self.poll_to_client(cx)?;
        if self.is_opening_refused {
            return Err(self.refused());
        }
        let mut inspector = Watched {
            watch: &mut self.watch,
            direction: Direction::ToBackend,
            is_ending: self.ending.is_some(),
        };
        let Err(fault) = self.to_backend.poll(cx, self.client, self.backend, &mut inspector) else {
            return Ok(());
        };
        if let FlowError::Write(_) = fault {
            self.poll_to_client(cx)?;
        }
        Err(match fault {
            FlowError::Read(kind) => client_failed(kind),
            FlowError::Write(kind) => backend_failed(kind),
            FlowError::Refused => self.refused(),
        })
    }

    fn refused(&self) -> BridgeEnd<E> {
        let is_between_responses = matches!(self.watch.position(), Position::Boundary | Position::InCommand);
        BridgeEnd::Refused { may_write: is_between_responses && self.has_client_everything() }
    }

    /// Returns whether the client has received every byte that was read for it, and its stream is still open.
    fn has_client_everything(&self) -> bool {
        self.to_client.stage() == FlowStage::Open && self.to_client.is_settled()
    }

    fn poll_to_client(&mut self, cx: &mut Context<'_>) -> Result<(), BridgeEnd<E>> {
        let mut inspector = Watched {
            watch: &mut self.watch,
            direction: Direction::ToClient,
            is_ending: self.ending.is_some(),
        };
        self.to_client.poll(cx, self.backend, self.client, &mut inspector).map_err(|fault| match fault {
            FlowError::Read(kind) => backend_failed(kind),
            FlowError::Write(kind) => client_failed(kind),
            FlowError::Refused => self.refused(),
        })
    }

    /// Returns why the session is over, if it is; time limits are checked in [`Relay::overdue`].
    fn over(&mut self) -> Option<BridgeEnd<E>> {
        let is_client_closing = self.to_client.stage() != FlowStage::Open;
        let position = self.watch.position();
        let at_boundary = self.has_client_everything() && position == Position::Boundary;
        if (at_boundary || is_client_closing || position == Position::Opaque)
            && let Some(EndRequest { by, .. }) = self.ending.take()
        {
            return Some(BridgeEnd::Ended { by, at_boundary });
        }
        if self.to_backend.stage() != FlowStage::Done || self.to_client.stage() != FlowStage::Done {
            return None;
        }
        let client_first = self.closing.as_ref().is_some_and(|closing| closing.client_first);
        Some(if client_first { BridgeEnd::ClientClosed } else { BridgeEnd::BackendClosed })
    }

    /// Returns why the session is over, if a time limit has passed.
    fn overdue(&mut self, now: Instant) -> Option<BridgeEnd<E>> {
        if self.closing.as_ref().is_some_and(|closing| closing.by <= now) {
            return Some(BridgeEnd::HalfCloseTimeout);
        }
        (after(self.last_byte, self.limits.idle) <= now).then_some(BridgeEnd::Idle)
    }

    /// Returns when the next time limit may pass.
    fn deadline(&self) -> Instant {
        let idle = after(self.last_byte, self.limits.idle);
        match &self.closing {
            Some(closing) => idle.min(closing.by),
            None => idle,
        }
    }
}

fn after(start: Instant, time: Duration) -> Instant {
    start.checked_add(time.min(NEVER)).unwrap_or(start)
}

fn client_failed<E>(kind: io::ErrorKind) -> BridgeEnd<E> {
    if is_reset(kind) { BridgeEnd::ClientReset } else { BridgeEnd::ClientError(kind) }
}

fn backend_failed<E>(kind: io::ErrorKind) -> BridgeEnd<E> {
    if is_reset(kind) { BridgeEnd::BackendReset } else { BridgeEnd::BackendError(kind) }
}

/// Returns whether the peer sent a RST: a read reports it as such, a write after that read as a broken pipe.
fn is_reset(kind: io::ErrorKind) -> bool {
    matches!(
        kind,
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted | io::ErrorKind::BrokenPipe
    )
}

// === impl Watched ===

impl<W: Watch> Inspector for Watched<'_, W> {
    /// Once an end is requested, what the session waits for is read, and nothing beyond it.
    fn may_read(&self) -> bool {
        if !self.is_ending {
            return true;
        }
        match self.direction {
            Direction::ToBackend => self.watch.position() == Position::InCommand,
            Direction::ToClient => self.watch.position() != Position::Boundary,
        }
    }

    fn inspect(&mut self, bytes: &[u8]) -> bool {
        self.watch.see(self.direction, bytes)
    }

    fn unseen(&self) -> u64 {
        self.watch.unseen(self.direction)
    }

    fn skip(&mut self, count: u64) {
        self.watch.skip(self.direction, count);
    }
}

#[cfg(test)]
mod tests;
