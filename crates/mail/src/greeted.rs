//! The second stage: the client is greeted and may log in, until it succeeds, gives up, or its time is over.

use std::sync::Arc;
use std::time::Duration;

use connection::{Broken, Connection};
use mail_proto::step::{Channel, ClientEvent, DialogueContext};
use mail_proto::verdict::{CloseReason, Verdict};
use plan::TlsMode;
use tokio::time::{Instant, timeout, timeout_at};
use types::outcome::ConnectionRefusal;

use crate::arrived::Arrived;
use crate::attempted::Attempted;
use crate::client::{Client, MAX_INBOX};
use crate::failure::LoginError;
use crate::placed::{Login, Placed};
use crate::protocols;
use crate::slot::Slot;

/// A client that may log in.
pub(crate) struct Greeted {
    client: Client,
    deadline: Instant,
    slot: Slot,
}

/// How long sending a farewell may take.
const FAREWELL_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a client has to close its side after it: a round trip, with some room.
const LINGER: Duration = Duration::from_secs(1);

// === impl Arrived ===

impl Arrived {
    /// Prepares the dialogue with the client. Returns `None` for a protocol without one.
    pub(crate) fn greet(self) -> Option<Greeted> {
        let Self { shared, plan, listener, id, client, local, stream, deadline, slot } = self;
        let channel = match listener.tls {
            TlsMode::Implicit => Channel::Encrypted,
            TlsMode::StartTls => Channel::Upgradable,
            TlsMode::Plain => Channel::Plain,
        };
        let context = DialogueContext {
            offer: shared.offers.get(&plan, listener.protocol, local),
            channel,
            peer_is_trusted: listener.is_trusted_proxy(client.ip()),
        };
        let dialogue = protocols::dialogue(listener.protocol, context)?;
        let tls = stream.tls_info();
        let connection = Some(Connection::new(stream, MAX_INBOX));
        let client = Client { shared, plan, listener, id, address: client, local, tls, dialogue, connection };
        Some(Greeted { client, deadline, slot })
    }
}

// === impl Greeted ===

impl Greeted {
    /// Sends the greeting and serves the client until it has logged in. Returns `None` when the connection has come to
    /// its end.
    pub(crate) async fn log_in(mut self, draining: impl Future<Output = ()> + Send) -> Option<Placed> {
        // Boxed: clippy::large_futures; a login holds the machines of both sides.
        let login = timeout_at(self.deadline, Box::pin(until_login(&mut self.client, &mut self.slot)));
        let result = tokio::select! {
            result = login => result,
            () = draining => {
                self.farewell(CloseReason::ShuttingDown).await;
                self.close().await;
                return None;
            }
        };
        match result {
            Ok(Ok(Some(login))) => {
                return Some(Placed { client: self.client, login, slot: self.slot });
            }
            Ok(Ok(None)) => tracing::debug!("client left without a login"),
            Ok(Err(Broken::Injected)) => self.log_injection(),
            Ok(Err(broken)) => tracing::debug!(reason = %broken, "client left without a login"),
            Err(_) => {
                self.client
                    .plan
                    .meters
                    .listener(&self.client.listener.name)
                    .refused(ConnectionRefusal::PreauthTimeout);
                self.farewell(CloseReason::TimedOut).await;
            }
        }
        self.close().await;
        None
    }

    fn log_injection(&self) {
        let meter = self.client.plan.meters.listener(&self.client.listener.name);
        meter.refused(ConnectionRefusal::StartTlsInjected);
        if let Some(suppressed) = meter.allow() {
            tracing::warn!(
                suppressed,
                "connection closed: the client sent bytes after STARTTLS and before the handshake, which were not \
                 processed"
            );
        }
    }

    /// Sends a farewell; a client that does not read it is closed all the same.
    async fn farewell(&mut self, why: CloseReason) {
        let words = self.client.dialogue.farewell(why);
        let _ = timeout(FAREWELL_TIMEOUT, self.client.send(&words)).await;
    }

    /// Closes the connection, whether the farewell arrived or not, and frees its slot.
    async fn close(self) {
        let _ = timeout(LINGER, Box::pin(self.client.close())).await;
    }
}

/// Greets the client and serves it until a login succeeds. Returns `None` when the dialogue has ended.
async fn until_login(client: &mut Client, slot: &mut Slot) -> Result<Option<Login>, Broken> {
    let greeting = client.dialogue.greet();
    client.send(&greeting).await?;
    let mut failures = 0;
    loop {
        let attempt = match client.next().await? {
            Some(ClientEvent::Attempt(attempt)) => attempt,
            Some(ClientEvent::Response(_) | ClientEvent::Cancelled) | None => return Ok(None),
        };
        if let Some(front) = &attempt.client_info.forwarded {
            let counted = slot.count_for_client(front.client.ip(), client.listener.max_connections_per_ip);
            if let Err(refusal) = counted {
                let meter = client.plan.meters.listener(&client.listener.name);
                runtime::log_refusal(&client.listener, meter, front.client, refusal);
                let words = client.dialogue.farewell(CloseReason::TooBusy);
                client.send(&words).await?;
                return Ok(None);
            }
        }
        let verdict = match Box::pin(Attempted::new(client, attempt).log_in()).await {
            Ok(login) => return Ok(Some(login)),
            Err(LoginError::ClientGone(broken, _)) => return Err(broken),
            Err(LoginError::ClientTimedOut(_)) => {
                let words = client.dialogue.farewell(CloseReason::TimedOut);
                client.send(&words).await?;
                return Ok(None);
            }
            Err(LoginError::Failed(verdict, _)) => verdict,
        };
        if matches!(verdict, Verdict::Refused(_)) {
            failures += 1;
        }
        let words = client.dialogue.answer(verdict);
        client.send(&words).await?;
        if failures >= client.listener.max_auth_attempts {
            Arc::clone(&client.plan)
                .meters
                .listener(&client.listener.name)
                .refused(ConnectionRefusal::MaxAuthAttempts);
            let words = client.dialogue.farewell(CloseReason::TooManyFailures);
            client.send(&words).await?;
            return Ok(None);
        }
    }
}
