//! From the backend's yes to the end of the session.

use std::future::Future;
use std::time::Duration;

use bridge::{Limits, Opening, Outcome, Why};
use mail_proto::step::Dialogue;
use mail_proto::verdict::{CloseReason, Verdict};
use sessions::EndReason;
use tls::Stream;
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;
use types::protocol::Protocol;

use crate::attempt::{LoggedIn, Times};
use crate::conversation::Conversation;
use crate::ledger::{Ledger, Lines, Watched, micros};

/// How long a goodbye may take: a client that does not read must not keep its place.
const GOODBYE: Duration = Duration::from_secs(5);

/// A session from the backend's yes on: nothing but what it needs while it waits, since most of them do.
pub struct BridgedSession {
    /// The client's leg.
    pub client: Stream,
    /// The backend's leg.
    pub backend: Stream,
    /// What was read before, and belongs to the other side.
    pub opening: Opening,
    /// Where the client's side may be cut.
    pub lines: Lines,
    /// For the goodbye. `None` where nothing may be said any more.
    pub dialogue: Option<Box<dyn Dialogue>>,
    /// When it has lasted long enough.
    pub limits: Limits,
    /// What is written of it.
    pub ledger: Ledger,
}

// === impl BridgedSession ===

impl BridgedSession {
    /// Moves bytes until the session ends, and logs its end.
    pub async fn run(self) {
        let Self { client, backend, opening, lines, mut dialogue, limits, ledger } = self;
        let course =
            Box::pin(run(client, backend, opening, limits, ledger.watch(lines), ledger.ticket.ended()));
        let (mut client, backend, outcome) = course.await;
        let farewell = |why| dialogue.as_mut().map_or_else(Vec::new, |dialogue| dialogue.farewell(why));
        finish(&mut client, &backend, &outcome, farewell).await;
        ledger.close(&outcome);
    }
}

// === impl Conversation ===

impl Conversation {
    /// Has the words for the client's yes ready, and lets go of all that was for the login. `None`: the client's
    /// stream is gone.
    pub(crate) fn cross(mut self, entered: LoggedIn) -> Option<Box<BridgedSession>> {
        self.log_login(&entered);
        let LoggedIn { leg, reply, ticket, destination, .. } = entered;
        let mut to_client = self.dialogue.answer(Verdict::Accepted(reply));
        to_client.extend_from_slice(leg.connection.inbox.unread());
        let protocol = self.listener.protocol;
        let limits = Limits::with_idle(self.context.plan.server.bridge_idle);
        let ledger = Ledger::open(&self.context, &self.listener, ticket, destination);
        let (dialogue, client, inbox) = self.into_parts()?;
        Some(Box::new(BridgedSession {
            client,
            backend: leg.connection.stream,
            opening: Opening { to_backend: inbox.unread().to_vec(), to_client },
            lines: Lines::of(protocol),
            // Only IMAP has words for the middle of a session.
            dialogue: (protocol == Protocol::Imap).then_some(dialogue),
            limits,
            ledger,
        }))
    }

    fn log_login(&self, entered: &LoggedIn) {
        let Times { hold, route, steps, replay } = entered.times;
        let accounts = &self.context.live.accounts;
        let account = entered.ticket.account().map(|account| accounts.show(account));
        let account = account.as_deref().unwrap_or("-");
        tracing::info!(
            account,
            client = %entered.client_identity.client,
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
    farewell: impl FnOnce(CloseReason) -> Vec<u8>,
) {
    let parting = match &outcome.why {
        // Nothing can be done about a socket that refuses the option; it is closed in any case.
        Why::ClientReset => return drop(backend.set_linger_reset()),
        Why::BackendReset => return drop(client.set_linger_reset()),
        Why::Ended { by: EndReason::Drain, at_boundary: true } => Some(CloseReason::ShuttingDown),
        Why::Ended { at_boundary: true, .. } => Some(CloseReason::Ended),
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
