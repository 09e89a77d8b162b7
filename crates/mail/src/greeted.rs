//! The second stage: the client is greeted and may log in, until it succeeds, gives up, or its time is over.

use std::sync::Arc;
use std::time::Duration;

use connection::{Broken, Connection};
use mail_proto::step::{Channel, ClientEvent, DialogueContext};
use mail_proto::verdict::{CloseReason, Verdict};
use plan::TlsMode;
use tokio::time::{timeout, timeout_at};
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
    slot: Slot,
}

/// Why a connection ended without a login.
enum Unfinished {
    /// The dialogue has ended: nothing is left to send.
    Closed,
    /// The client sent no credential in time.
    TimedOut,
    Broken(Broken),
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
        let client = Client {
            shared,
            plan,
            listener,
            id,
            address: client,
            local,
            tls,
            dialogue,
            connection,
            deadline,
        };
        Some(Greeted { client, slot })
    }
}

// === impl Greeted ===

impl Greeted {
    /// Sends the greeting and serves the client until it has logged in. Returns `None` when the connection has come to
    /// its end.
    pub(crate) async fn log_in(mut self, draining: impl Future<Output = ()> + Send) -> Option<Placed> {
        let login_deadline = self.client.login_deadline();
        // Boxed: clippy::large_futures; a login holds the machines of both sides.
        let login = timeout_at(login_deadline, Box::pin(until_login(&mut self.client, &mut self.slot)));
        let result = tokio::select! {
            result = login => result.unwrap_or(Err(Unfinished::TimedOut)),
            () = draining => {
                self.farewell(CloseReason::ShuttingDown).await;
                self.close().await;
                return None;
            }
        };
        match result {
            Ok(login) => {
                return Some(Placed { client: self.client, login, slot: self.slot });
            }
            Err(Unfinished::Closed) => tracing::debug!("client left without a login"),
            Err(Unfinished::Broken(Broken::Injected)) => self.log_injection(),
            Err(Unfinished::Broken(broken)) => {
                tracing::debug!(reason = %broken, "client left without a login");
            }
            Err(Unfinished::TimedOut) => {
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

// === impl Unfinished ===

impl From<Broken> for Unfinished {
    fn from(broken: Broken) -> Self {
        Self::Broken(broken)
    }
}

/// Greets the client and serves it until a login succeeds.
async fn until_login(client: &mut Client, slot: &mut Slot) -> Result<Login, Unfinished> {
    let greeting = client.dialogue.greet();
    client.send(&greeting).await?;
    let mut failures = 0;
    loop {
        let event = match timeout_at(client.deadline, client.next()).await {
            Ok(event) => event?,
            Err(_) => return Err(Unfinished::TimedOut),
        };
        let attempt = match event {
            Some(ClientEvent::Attempt(attempt)) => attempt,
            Some(ClientEvent::Response(_) | ClientEvent::Cancelled) | None => {
                return Err(Unfinished::Closed);
            }
        };
        if let Some(front) = &attempt.client_info.forwarded {
            let counted = slot.count_for_client(front.client.ip(), client.listener.max_connections_per_ip);
            if let Err(refusal) = counted {
                let meter = client.plan.meters.listener(&client.listener.name);
                runtime::log_refusal(&client.listener, meter, front.client, refusal);
                let words = client.dialogue.farewell(CloseReason::TooBusy);
                client.send(&words).await?;
                return Err(Unfinished::Closed);
            }
        }
        let error = match Box::pin(Attempted::new(client, attempt).log_in()).await {
            Ok(login) => return Ok(login),
            Err(error) => error,
        };
        if error.is_guess() {
            failures += 1;
        }
        let verdict = match error {
            LoginError::ClientGone(broken, _) => return Err(broken.into()),
            LoginError::ClientTimedOut(_) => {
                let words = client.dialogue.farewell(CloseReason::TimedOut);
                client.send(&words).await?;
                return Err(Unfinished::Closed);
            }
            LoginError::Failed(verdict, _) => verdict,
            LoginError::Unanswered => Verdict::Unavailable,
        };
        let words = client.dialogue.answer(verdict);
        client.send(&words).await?;
        if failures >= client.listener.max_auth_attempts {
            Arc::clone(&client.plan)
                .meters
                .listener(&client.listener.name)
                .refused(ConnectionRefusal::MaxAuthAttempts);
            let words = client.dialogue.farewell(CloseReason::TooManyFailures);
            client.send(&words).await?;
            return Err(Unfinished::Closed);
        }
    }
}
