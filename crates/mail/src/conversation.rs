//! The client's side of a session before the bridge: its stream, its dialogue, and who it is.

use std::net::SocketAddr;
use std::sync::Arc;

use connection::{Broken, Connection, Next};
use credentials::attempt::Front;
use mail_proto::inbox::Inbox;
use mail_proto::step::{Channel, ClientEvent, Dialogue, Opening};
use observe::SessionId;
use plan::{Listener, TlsMode};
use tls::{Acceptor, Stream, TlsInfo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use upstream::ClientIdentity;

use crate::context::Context;
use crate::current::Current;
use crate::protocols;

/// A client that has not logged in yet.
pub(crate) struct Conversation {
    pub(crate) current: Current<Context>,
    /// What was in force when the client was greeted, then what was when it tried to log in.
    pub(crate) context: Arc<Context>,
    pub(crate) listener: Arc<Listener>,
    pub(crate) id: SessionId,
    /// By socket or PROXY header; a trusted front may name another with its `ID`.
    pub(crate) client: SocketAddr,
    pub(crate) local: SocketAddr,
    pub(crate) tls: Option<TlsInfo>,
    pub(crate) dialogue: Box<dyn Dialogue>,
    /// Absent only while a handshake has the stream, and after one that failed.
    connection: Option<Connection>,
}

/// What an unauthenticated client may have waiting here.
const INBOX: usize = 64 * 1024;

/// Reads of a kilobyte that a client that was said goodbye to may still send.
const MAX_THROWN_READS: usize = 256;

// === impl Conversation ===

impl Conversation {
    /// Takes over a connection; does the implicit handshake where there is one.
    pub(crate) async fn begin(
        current: Current<Context>,
        listener: Arc<Listener>,
        id: SessionId,
        (client, local): (SocketAddr, SocketAddr),
        mut stream: Stream,
    ) -> Result<Self, Broken> {
        let context = current.now();
        if listener.tls == TlsMode::Implicit {
            stream = handshake(&context, &context.acceptor, stream).await?;
        }
        let channel = match listener.tls {
            TlsMode::Implicit => Channel::Encrypted,
            TlsMode::StartTls => Channel::Upgradable,
            TlsMode::Plain => Channel::Plain,
        };
        let trusts_front = listener.trusts_front(client.ip());
        let offer = context.offer(listener.protocol, local);
        let opening = Opening { offer, channel, trusts_front };
        let dialogue = protocols::dialogue(listener.protocol, opening).ok_or(Broken::Closed)?;
        let tls = stream.tls_info();
        let connection = Some(Connection::new(stream, INBOX));
        Ok(Self { current, context, listener, id, client, local, tls, dialogue, connection })
    }

    /// What the client asks next. STARTTLS is done on the way.
    pub(crate) async fn next(&mut self) -> Result<Option<ClientEvent>, Broken> {
        loop {
            let connection = self.connection.as_mut().ok_or(Broken::Closed)?;
            match connection.next(&mut *self.dialogue).await? {
                Next::Event(asked) => return Ok(Some(asked)),
                Next::Close => return Ok(None),
                Next::StartTls => self.upgrade().await?,
            }
        }
    }

    /// Says something.
    pub(crate) async fn say(&mut self, bytes: &[u8]) -> Result<(), Broken> {
        let connection = self.connection.as_mut().ok_or(Broken::Closed)?;
        Ok(connection.write(bytes).await?)
    }

    /// Closes the connection so that the last words arrive: TLS says goodbye, and what the client is still
    /// sending is read and thrown away, since a socket that is closed over unread bytes resets the connection
    /// and takes our words with it. The caller bounds the time.
    pub(crate) async fn close(mut self) {
        let Some(connection) = self.connection.as_mut() else { return };
        if connection.stream.shutdown().await.is_err() {
            return;
        }
        let mut thrown = [0; 1024];
        for _ in 0..MAX_THROWN_READS {
            if !matches!(connection.stream.read(&mut thrown).await, Ok(n) if n > 0) {
                return;
            }
        }
    }

    /// Gives the connection to the bridge, with what the client has sent behind its credentials.
    pub(crate) fn into_parts(self) -> Option<(Box<dyn Dialogue>, Stream, Inbox)> {
        self.connection.map(|connection| (self.dialogue, connection.stream, connection.inbox))
    }

    /// The client as a backend may learn of it; `front` is what a trusted front said.
    pub(crate) fn client_identity(&self, front: Option<&Front>) -> ClientIdentity {
        let own_ttl = self.context.plan.server.proxy_ttl;
        ClientIdentity {
            client: front.map_or(self.client, |front| front.client),
            local: front.and_then(|front| front.local).unwrap_or(self.local),
            tls: self.tls.clone(),
            session: front.and_then(|front| front.session.clone()).unwrap_or_else(|| self.id.to_string()),
            ttl: front.and_then(|front| front.ttl).map_or(own_ttl, |ttl| ttl.saturating_sub(1)),
        }
    }

    async fn upgrade(&mut self) -> Result<(), Broken> {
        let connection = self.connection.take().ok_or(Broken::Closed)?;
        let stream = handshake(&self.context, &self.context.acceptor, connection.stream).await?;
        self.tls = stream.tls_info();
        let mut connection = Connection::new(stream, INBOX);
        connection.write(&self.dialogue.secured()).await?;
        self.connection = Some(connection);
        Ok(())
    }
}

/// A handshake as the server. How many are under way is bounded: they are what a storm of reconnects costs.
///
/// # Errors
/// The client's, who is gone then.
pub async fn handshake(context: &Context, acceptor: &Acceptor, stream: Stream) -> Result<Stream, Broken> {
    // The semaphore is never closed; should it be, going on without a permit harms nobody.
    let _permit = context.live.handshakes.acquire().await;
    Ok(stream.accept(acceptor).await?)
}
