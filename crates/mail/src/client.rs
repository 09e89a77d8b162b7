//! The client's side of a connection before the bridge: its stream, its dialogue, and who it is.

use std::net::SocketAddr;
use std::sync::Arc;

use connection::{Broken, Connection, Next};
use credentials::attempt::ForwardedClient;
use mail_proto::inbox::Inbox;
use mail_proto::step::{ClientEvent, Dialogue};
use plan::Listener;
use runtime::ActivePlan;
use tls::{Stream, TlsInfo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;
use types::outcome::LoginResult;
use types::session_id::SessionId;
use upstream::ClientIdentity;

use crate::shared::Shared;

/// A client that has not logged in yet.
pub(crate) struct Client {
    pub(crate) shared: Shared,
    /// The plan in force when the client was greeted; renewed with each login.
    pub(crate) plan: Arc<ActivePlan>,
    pub(crate) listener: Arc<Listener>,
    pub(crate) id: SessionId,
    pub(crate) address: SocketAddr,
    pub(crate) local: SocketAddr,
    pub(crate) tls: Option<TlsInfo>,
    pub(crate) dialogue: Box<dyn Dialogue>,
    /// Absent only while a handshake has the stream, and after one that failed.
    pub(crate) connection: Option<Connection>,
    /// When the client's time to send a credential ends.
    pub(crate) deadline: Instant,
}

/// What an unauthenticated client may have waiting here, in bytes.
pub(crate) const MAX_INBOX: usize = 64 * 1024;

/// How many reads of a kilobyte are discarded from a client after the farewell.
const MAX_DISCARDED_READS: usize = 256;

// === impl Client ===

impl Client {
    /// Returns what the client asks next, or `None` when the dialogue has closed the connection. STARTTLS is done on
    /// the way.
    pub(crate) async fn next(&mut self) -> Result<Option<ClientEvent>, Broken> {
        loop {
            let connection = self.connection.as_mut().ok_or(Broken::Closed)?;
            match connection.next(&mut *self.dialogue).await? {
                Next::Event(event) => return Ok(Some(event)),
                Next::Close => return Ok(None),
                Next::StartTls => self.start_tls().await?,
            }
        }
    }

    /// Returns when a login that began in time must be over. The backend's time is not the client's: servers delay the
    /// verdict after failed logins.
    pub(crate) fn login_deadline(&self) -> Instant {
        let server = &self.plan.plan.server;
        self.deadline + server.backend_timeout + server.backend_auth_timeout
    }

    /// Sends `bytes` to the client.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> Result<(), Broken> {
        let connection = self.connection.as_mut().ok_or(Broken::Closed)?;
        Ok(connection.write(bytes).await?)
    }

    /// Closes the connection so that the last words arrive: TLS is closed in order, and what the client is still
    /// sending is read and discarded, since closing a socket over unread bytes resets the connection and may
    /// discard our words with it. The caller bounds the time.
    pub(crate) async fn close(mut self) {
        let Some(connection) = self.connection.as_mut() else { return };
        if connection.stream.shutdown().await.is_err() {
            return;
        }
        let mut discarded = [0; 1024];
        for _ in 0..MAX_DISCARDED_READS {
            match connection.stream.read(&mut discarded).await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
        }
    }

    /// Returns what the bridge needs: the stream, and what the client has sent after its credential.
    pub(crate) fn into_parts(self) -> Option<(Stream, Inbox)> {
        let connection = self.connection?;
        Some((connection.stream, connection.inbox))
    }

    /// Returns the client as a backend may learn of it; `front` is what a trusted proxy in front of us reported.
    pub(crate) fn identity(&self, forwarded: Option<&ForwardedClient>) -> ClientIdentity {
        let own_ttl = self.plan.plan.server.proxy_ttl;
        let mut identity = ClientIdentity {
            client: self.address,
            local: self.local,
            tls: self.tls.clone(),
            session: self.id.to_string(),
            ttl: own_ttl,
        };
        if let Some(forwarded) = forwarded {
            identity.client = forwarded.client;
            identity.local = forwarded.local.unwrap_or(self.local);
            if let Some(session) = &forwarded.session {
                identity.session.clone_from(session);
            }
            identity.ttl = match forwarded.ttl {
                Some(ttl) => ttl.saturating_sub(1),
                None => own_ttl,
            };
        }
        identity
    }

    /// Writes the line of a failed login, which names the real client.
    pub(crate) fn log_failure(&self, identity: &ClientIdentity, account: &[u8], reason: LoginResult) {
        let client = identity.client.ip();
        self.shared.recorder.log_failure(self.id, &self.listener, client, account, reason);
    }

    async fn start_tls(&mut self) -> Result<(), Broken> {
        let connection = self.connection.take().ok_or(Broken::Closed)?;
        let arrival = &self.shared.arrival;
        let stream =
            arrival.handshake(&self.plan, &self.listener, self.address.ip(), connection.stream).await?;
        self.tls = stream.tls_info();
        let mut connection = Connection::new(stream, MAX_INBOX);
        connection.write(&self.dialogue.secured()).await?;
        self.connection = Some(connection);
        Ok(())
    }
}
