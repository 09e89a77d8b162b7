//! From the backend's yes to the end of the session.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bridge::{Limits, Opening, Outcome, Watch, Why};
use desk::{EndReason, SessionTicket, Traffic};
use observe::Accounts;
use observe::metrics::Sitting;
use tls::Stream;
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;
use wire::attempt::{Parting, Verdict};
use wire::imap_boundary::Boundary;
use wire::protocol::Protocol;
use wire::step::Dialogue;

use crate::attempt::{Entered, Times};
use crate::conversation::Conversation;

/// How long a goodbye may take: a client that does not read must not keep its place.
const GOODBYE: Duration = Duration::from_secs(5);

/// Follows a session: its lines, and how much has passed.
struct Watched<'s> {
    lines: Lines,
    sitting: &'s Sitting,
    traffic: &'s Traffic,
}

/// Follows the server's side of a session, so that an end from outside does not cut a response in two.
pub(crate) enum Lines {
    Imap(Boundary),
    /// Other protocols have no words for the middle of a session: they are closed, and at once.
    Unseen,
}

/// A session from the backend's yes on: nothing but what it needs while it waits, since most of them do.
pub(crate) struct Crossing {
    pub(crate) client: Stream,
    pub(crate) backend: Stream,
    pub(crate) opening: Opening,
    pub(crate) lines: Lines,
    /// For the goodbye. `None` where nothing may be said any more.
    pub(crate) dialogue: Option<Box<dyn Dialogue>>,
    pub(crate) idle: Duration,
    pub(crate) ticket: SessionTicket,
    pub(crate) destination: Arc<str>,
    pub(crate) accounts: Arc<Accounts>,
    pub(crate) sitting: Sitting,
}

// === impl Crossing ===

impl Crossing {
    /// Moves bytes until the session ends, and logs its end.
    pub(crate) async fn run(self) {
        let Self { client, backend, opening, lines, mut dialogue, idle, .. } = self;
        let (ticket, destination, accounts, sitting) =
            (self.ticket, self.destination, self.accounts, self.sitting);
        let began = Instant::now();
        let watch = Watched { lines, sitting: &sitting, traffic: ticket.traffic() };
        let course = Box::pin(run(client, backend, opening, Limits::with_idle(idle), watch, ticket.ended()));
        let (mut client, backend, outcome) = course.await;
        let farewell = |why| dialogue.as_mut().map_or_else(Vec::new, |dialogue| dialogue.farewell(why));
        finish(&mut client, &backend, &outcome, farewell).await;
        sitting.ended(label(&outcome.why));
        let account = ticket.account().map(|account| accounts.show(account));
        log_end(account.as_deref(), &destination, began, &outcome);
    }
}

// === impl Conversation ===

impl Conversation {
    /// Has the words for the client's yes ready, and lets go of all that was for the login. `None`: the client's
    /// stream is gone.
    pub(crate) fn cross(mut self, entered: Entered) -> Option<Box<Crossing>> {
        self.log_login(&entered);
        let Entered { leg, reply, ticket, destination, .. } = entered;
        let mut to_client = self.dialogue.answer(Verdict::Accepted(reply));
        to_client.extend_from_slice(leg.talk.inbox.unread());
        let protocol = self.listener.protocol;
        let idle = self.context.plan.server.bridge_idle;
        let accounts = Arc::clone(&self.context.live.accounts);
        let sitting = self.context.meters.route(&self.listener.name, &destination).begin();
        let (dialogue, client, inbox) = self.into_parts()?;
        Some(Box::new(Crossing {
            client,
            backend: leg.talk.stream,
            opening: Opening { to_backend: inbox.unread().to_vec(), to_client },
            lines: Lines::of(protocol),
            // Only IMAP has words for the middle of a session.
            dialogue: (protocol == Protocol::Imap).then_some(dialogue),
            idle,
            ticket,
            destination,
            accounts,
            sitting,
        }))
    }

    fn log_login(&self, entered: &Entered) {
        let Times { hold, route, steps, replay } = entered.times;
        let accounts = &self.context.live.accounts;
        let account = entered.ticket.account().map(|account| accounts.show(account));
        let account = account.as_deref().unwrap_or("-");
        tracing::info!(
            account,
            client = %entered.visitor.client,
            destination = %entered.destination,
            mechanism = %entered.mechanism,
            tls = self.tls.as_ref().map_or("none", |tls| tls.version),
            resumed = self.tls.as_ref().is_some_and(|tls| tls.resumed),
            hold_us = micros(hold),
            route_us = micros(route),
            connect_us = micros(steps.connect),
            backend_tls_us = micros(steps.tls),
            greeting_us = micros(steps.greeting),
            replay_us = micros(replay),
            "login"
        );
    }
}

/// Runs the bridge: by the kernel where both legs are plain sockets.
async fn run(
    client: Stream,
    backend: Stream,
    opening: Opening,
    limits: Limits,
    watch: Watched<'_>,
    end: impl Future<Output = EndReason>,
) -> (Stream, Stream, Outcome<EndReason>) {
    let (mut client, mut backend) = match (client.into_plain_tcp(), backend.into_plain_tcp()) {
        (Ok(mut client), Ok(mut backend)) => {
            let outcome = bridge::run_tcp(&mut client, &mut backend, opening, limits, watch, end).await;
            return (Stream::plain(client, Vec::new()), Stream::plain(backend, Vec::new()), outcome);
        }
        (client, backend) => (whole(client), whole(backend)),
    };
    let outcome = bridge::run(&mut client, &mut backend, opening, limits, watch, end).await;
    (client, backend, outcome)
}

fn whole(stream: Result<tokio::net::TcpStream, Stream>) -> Stream {
    stream.map_or_else(|stream| stream, |tcp| Stream::plain(tcp, Vec::new()))
}

/// Closes both legs as the outcome asks: with a goodbye where one may be said, with a reset where one came.
async fn finish(
    client: &mut Stream,
    backend: &Stream,
    outcome: &Outcome<EndReason>,
    farewell: impl FnOnce(Parting) -> Vec<u8>,
) {
    let parting = match &outcome.why {
        // Nothing can be done about a socket that refuses the option; it is closed in any case.
        Why::ClientReset => return drop(backend.set_linger_reset()),
        Why::BackendReset => return drop(client.set_linger_reset()),
        Why::Ended { by: EndReason::Drain, at_boundary: true } => Some(Parting::ShuttingDown),
        Why::Ended { at_boundary: true, .. } => Some(Parting::Ended),
        _ => None,
    };
    let goodbye = async {
        if let Some(words) = parting.map(farewell) {
            client.write_all(&words).await?;
        }
        client.shutdown().await
    };
    // Whether it was heard or not: the connection is closed.
    let _ = timeout(GOODBYE, goodbye).await;
}

/// The one line at a session's end.
fn log_end(account: Option<&str>, destination: &str, began: Instant, outcome: &Outcome<EndReason>) {
    let Outcome { to_backend, to_client, why } = outcome;
    tracing::info!(
        account = account.unwrap_or("-"),
        destination,
        to_backend,
        to_client,
        seconds = began.elapsed().as_secs(),
        why = label(why),
        "session ended"
    );
}

/// As a number that JSON has: `as_micros` would be written as text.
pub(crate) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// Why a session ended, in the log and in the metrics.
const fn label(why: &Why<EndReason>) -> &'static str {
    match why {
        Why::ClientClosed => "client closed",
        Why::BackendClosed => "backend closed",
        Why::Idle => "idle",
        Why::HalfCloseTimeout => "half-closed for too long",
        Why::ClientReset => "client reset",
        Why::BackendReset => "backend reset",
        Why::ClientError(_) => "client failed",
        Why::BackendError(_) => "backend failed",
        Why::Ended { by: EndReason::Drain, .. } => "drained",
        Why::Ended { by: EndReason::Move, .. } => "moved",
        Why::Ended { by: EndReason::Kick, .. } => "kicked",
    }
}

// === impl Lines ===

impl Lines {
    fn of(protocol: Protocol) -> Self {
        match protocol {
            Protocol::Imap => Self::Imap(Boundary::default()),
            _ => Self::Unseen,
        }
    }
}

// === impl Watched ===

impl Watch for Watched<'_> {
    fn to_client(&mut self, bytes: &[u8]) {
        if let Lines::Imap(boundary) = &mut self.lines {
            boundary.feed(bytes);
        }
    }

    fn at_boundary(&self) -> bool {
        match &self.lines {
            Lines::Imap(boundary) => boundary.at_boundary(),
            Lines::Unseen => true,
        }
    }

    fn unseen(&self) -> u64 {
        match &self.lines {
            Lines::Imap(boundary) => boundary.unseen(),
            Lines::Unseen => u64::MAX,
        }
    }

    fn skip(&mut self, count: u64) {
        if let Lines::Imap(boundary) = &mut self.lines {
            boundary.skip(count);
        }
    }

    fn moved(&mut self, to_backend: u64, to_client: u64) {
        self.sitting.moved(to_backend, to_client);
        self.traffic.to_backend.fetch_add(to_backend, Ordering::Relaxed);
        self.traffic.to_client.fetch_add(to_client, Ordering::Relaxed);
    }
}
