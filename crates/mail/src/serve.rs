//! A connection from accept to its end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use connection::Broken;
use listen::{Accepted, Full, Permit};
use mail_proto::passthrough::farewell;
use mail_proto::step::{Channel, ClientEvent, Opening};
use mail_proto::verdict::{CloseReason, Verdict};
use observe::SessionId;
use observe::metrics::{ConnectionGuard, ListenerMeter};
use plan::{Listener, TlsMode};
use tls::Stream;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tracing::{Instrument, Span};

use crate::attempt::LoggedIn;
use crate::bridged::BridgedSession;
use crate::cause::Failed;
use crate::context::Context;
use crate::conversation::Conversation;
use crate::current::Current;
use crate::passthrough::Passthrough;
use crate::protocols;

/// A session that may begin, its place, and its place in the count.
type Entrance = (Box<BridgedSession>, Result<Permit, Full>, ConnectionGuard);

/// How long a goodbye may take.
const GOODBYE: Duration = Duration::from_secs(5);
/// How long a client has to close its side after it: a round trip, and some.
const LINGER: Duration = Duration::from_secs(1);

/// Serves one connection of `listener` to its end. `draining` resolves when the proxy begins to drain.
pub async fn serve(
    current: Current<Context>,
    listener: Arc<Listener>,
    accepted: Accepted,
    draining: impl Future<Output = ()>,
) {
    let id = SessionId::new();
    let span = span(id, &listener, &accepted);
    let life = async {
        // What the login needed is given back before the long wait begins.
        let entrance = Box::pin(enter(current, listener, id, accepted, draining)).await;
        if let Some((crossing, permit, mut connection_guard)) = entrance {
            connection_guard.bridged();
            Box::pin(crossing.run()).await;
            drop(permit);
        }
    };
    life.instrument(span).await;
}

/// What every line about a connection begins with.
pub fn span(id: SessionId, listener: &Listener, accepted: &Accepted) -> Span {
    tracing::info_span!(
        "session",
        %id,
        listener = %listener.name,
        protocol = %listener.protocol,
        peer = %accepted.peer
    )
}

/// Says that there is no room, without waiting for anything: on an encrypted connection there is nothing to
/// say, since a handshake is the very work that there is no room for.
pub fn turn_away(context: &Context, listener: &Listener, accepted: &Accepted) {
    turn_away_with(context, listener, accepted, || {
        let offer = context.offer(listener.protocol, accepted.local);
        let opening = Opening { offer, channel: Channel::Plain, trusts_front: false };
        protocols::dialogue(listener.protocol, opening).map_or_else(
            || farewell(CloseReason::TooBusy).to_vec(),
            |mut dialogue| dialogue.farewell(CloseReason::TooBusy),
        )
    });
}

/// [`turn_away`] with another protocol's words.
pub fn turn_away_with(
    context: &Context,
    listener: &Listener,
    accepted: &Accepted,
    words: impl FnOnce() -> Vec<u8>,
) {
    let reason = accepted.permit.as_ref().map_or_else(|full| full.label(), |_| "draining");
    let meter = context.meters.listener(&listener.name);
    meter.refused(reason);
    if let Some(suppressed) = meter.allow() {
        tracing::warn!(listener = %listener.name, peer = %accepted.peer, reason, suppressed, "turned away");
    }
    if listener.tls == TlsMode::Implicit {
        return;
    }
    // A fresh socket takes a line at once; one that does not is closed without it.
    let _ = accepted.stream.try_write(&words());
}

/// From accept to a session that may begin. `None`: the connection has come to its end.
async fn enter(
    current: Current<Context>,
    listener: Arc<Listener>,
    id: SessionId,
    accepted: Accepted,
    draining: impl Future<Output = ()>,
) -> Option<Entrance> {
    let Accepted { stream, peer, local, permit, .. } = accepted;
    let meter = Arc::clone(current.now().meters.listener(&listener.name));
    let connection_guard = meter.enter();
    let deadline = Instant::now() + listener.preauth_timeout;
    let (ends, stream) = arrive(&listener, &meter, stream, (peer, local), deadline).await?;
    if !listener.protocol.carries_credentials() {
        let crossing = Box::pin(pass(current, listener, id, ends, stream, deadline)).await?;
        return Some((crossing, permit, connection_guard));
    }
    let beginning = Box::pin(Conversation::begin(current, Arc::clone(&listener), id, ends, stream));
    let mut conversation = match timeout_at(deadline, beginning).await {
        Ok(Ok(conversation)) => conversation,
        Ok(Err(broken)) => {
            meter.refused("tls");
            tracing::debug!(reason = %broken, "no TLS session with the client");
            return None;
        }
        Err(_) => {
            meter.refused("tls");
            tracing::debug!("no TLS session with the client within preauth_timeout");
            return None;
        }
    };
    let entered = tokio::select! {
        entered = timeout_at(deadline, Box::pin(conversation.until_login())) => entered,
        () = draining => {
            conversation.goodbye(CloseReason::ShuttingDown).await;
            Ok(Ok(None))
        }
    };
    match entered {
        Ok(Ok(Some(entered))) => {
            return Some((conversation.cross(entered)?, permit, connection_guard));
        }
        Ok(Ok(None)) => tracing::debug!("the client left without a login"),
        Ok(Err(Broken::Injected)) => {
            meter.refused("starttls_injected");
            if let Some(suppressed) = meter.allow() {
                tracing::warn!(suppressed, "bytes behind STARTTLS: connection closed, nothing of it done");
            }
        }
        Ok(Err(broken)) => tracing::debug!(reason = %broken, "the client left without a login"),
        Err(_) => {
            meter.refused("preauth_timeout");
            conversation.goodbye(CloseReason::TimedOut).await;
        }
    }
    // BackendEvent or not: the connection is closed, and its place is free.
    let _ = timeout(LINGER, Box::pin(conversation.close())).await;
    None
}

/// Whose connection it is, by the socket or by its PROXY header: the client's address and ours, and the stream
/// behind the header. `None`: it must not be served, which is in the log.
pub async fn arrive(
    listener: &Listener,
    meter: &ListenerMeter,
    mut stream: TcpStream,
    (peer, local): (SocketAddr, SocketAddr),
    deadline: Instant,
) -> Option<((SocketAddr, SocketAddr), Stream)> {
    connection::socket::tune(&stream).ok()?;
    let reason = match timeout_at(deadline, listen::origin(&mut stream, listener, peer, local)).await {
        Ok(Ok(origin)) => return Some(((origin.client, origin.local), Stream::plain(stream, origin.rest))),
        Ok(Err(reason)) => Some(reason),
        Err(_) => None,
    };
    meter.refused("proxy_header");
    if let Some(suppressed) = meter.allow() {
        match reason {
            Some(reason) => tracing::warn!(%reason, suppressed, "refused: PROXY header"),
            None => tracing::warn!(suppressed, "refused: no PROXY header within preauth_timeout"),
        }
    }
    None
}

/// A connection of SMTP or LMTP.
async fn pass(
    current: Current<Context>,
    listener: Arc<Listener>,
    id: SessionId,
    ends: (SocketAddr, SocketAddr),
    stream: Stream,
    deadline: Instant,
) -> Option<Box<BridgedSession>> {
    let meter = Arc::clone(current.now().meters.listener(&listener.name));
    let beginning = Box::pin(Passthrough::begin(current, listener, id, ends, stream));
    let Ok(Ok(mut passthrough)) = timeout_at(deadline, beginning).await else {
        meter.refused("tls");
        tracing::debug!("no TLS session with the client");
        return None;
    };
    match timeout_at(deadline, Box::pin(passthrough.open())).await {
        Ok(opened) => opened.map(|opened| passthrough.cross(opened)),
        Err(_) => {
            meter.refused("preauth_timeout");
            tracing::warn!("no leg to the destination within preauth_timeout");
            None
        }
    }
}

// === impl Conversation ===

impl Conversation {
    /// Greets, and talks until somebody has logged in. `None`: the client is through.
    async fn until_login(&mut self) -> Result<Option<LoggedIn>, Broken> {
        let greeting = self.dialogue.greet();
        self.say(&greeting).await?;
        let mut failures = 0;
        loop {
            let attempt = match self.next().await? {
                Some(ClientEvent::Attempt(attempt)) => attempt,
                Some(ClientEvent::Response(_) | ClientEvent::Cancelled) | None => return Ok(None),
            };
            let verdict = match Box::pin(self.login(attempt)).await {
                Ok(entered) => return Ok(Some(entered)),
                Err(Failed::Client(broken)) => return Err(broken),
                Err(Failed::Verdict(verdict, _)) => verdict,
            };
            failures += u32::from(matches!(verdict, Verdict::Refused(_)));
            let words = self.dialogue.answer(verdict);
            self.say(&words).await?;
            if failures >= self.listener.max_auth_attempts {
                self.context.meters.listener(&self.listener.name).refused("max_auth_attempts");
                let words = self.dialogue.farewell(CloseReason::TooManyFailures);
                self.say(&words).await?;
                return Ok(None);
            }
        }
    }

    /// Says goodbye; a client that does not listen is left all the same.
    async fn goodbye(&mut self, why: CloseReason) {
        let words = self.dialogue.farewell(why);
        let _ = timeout(GOODBYE, self.say(&words)).await;
    }
}
