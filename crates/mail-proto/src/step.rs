//! The interface of the protocol machines: dialogue and replay are values, not tasks.
//!
//! `connection::Connection` calls `feed(inbox) -> Step` for both sides of every text protocol; tests and fuzzers call it
//! directly. A machine never waits, performs no I/O and never fails: invalid input leads to a [`Step`] like any other.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::account_guard::AccountGuard;
use crate::inbox::Inbox;
use crate::verdict::{CloseReason, Reply, Verdict};
use credentials::attempt::{Attempt, ClientInfo, Mechanism};
use types::fault::Fault;
use types::secret::Secret;

/// What the caller must do before the machine can continue.
#[derive(Debug)]
#[must_use = "a step that is not carried out leaves both peers waiting for each other"]
pub enum Step<E> {
    /// The inbox holds no complete command or response: receive more. A machine whose inbox is full must reject the
    /// input instead.
    NeedMore,
    /// Send these bytes, then feed again. (A [`Secret`], since a replay's bytes hold the credential.)
    Write(Secret),
    /// Send these bytes, make sure that the inbox is empty, do the TLS handshake, call `secured`, feed again.
    StartTls(Secret),
    /// An event that the caller handles.
    Event(E),
    /// Send these bytes and close the connection.
    Close(Vec<u8>),
}

/// One side of a text protocol.
pub trait Machine: Send + Sync {
    /// The events that the machine reports.
    type Event;

    /// Processes the inbox up to the next step. Call it again after every [`Step::Write`].
    fn feed(&mut self, inbox: &mut Inbox) -> Step<Self::Event>;

    /// Resets the state after the handshake of [`Step::StartTls`] (RFC 9051 section 6.2.1), and returns what is sent first
    /// (ManageSieve's capability list).
    fn secured(&mut self) -> Vec<u8>;
}

/// The server side, towards the client.
pub trait Dialogue: Machine<Event = ClientEvent> {
    /// Returns the greeting: the first bytes on the connection, or after an implicit TLS handshake.
    fn greet(&mut self) -> Vec<u8>;

    /// Returns the reply to the last attempt. After [`Verdict::Accepted`] the dialogue is over; after any other verdict the
    /// client may log in again.
    fn answer(&mut self, verdict: Verdict) -> Vec<u8>;

    /// Returns a backend's challenge for the client, whose response is reported as [`ClientEvent::Response`].
    fn challenge(&mut self, data: &[u8]) -> Vec<u8>;

    /// Returns what is sent before the connection is closed.
    fn farewell(&mut self, why: CloseReason) -> Vec<u8>;
}

/// What a [`Dialogue`] reports.
#[derive(Debug)]
pub enum ClientEvent {
    /// A login: call [`Dialogue::answer`] with the verdict.
    Attempt(Attempt),
    /// The client's decoded response to [`Dialogue::challenge`].
    Response(Secret),
    /// `*` in response to [`Dialogue::challenge`], or a response that is not base64: call [`Replay::cancel`], read the
    /// backend's response, then call [`Dialogue::answer`].
    Cancelled,
}

/// The client side, towards a backend.
pub trait Replay: Machine<Event = BackendEvent> {
    /// Replays the login. Call it once, after [`BackendEvent::Ready`]; feed again afterwards. The attempt is borrowed: if
    /// the account has moved meanwhile, the caller replays it at another backend.
    fn authenticate(&mut self, attempt: &Attempt) -> Step<BackendEvent>;

    /// Returns the client's response to the last [`BackendEvent::Challenge`] as a line for the backend.
    fn respond(&mut self, response: Secret) -> Secret;

    /// Returns the line that cancels the exchange at the last [`BackendEvent::Challenge`]. The backend's response follows
    /// as an event.
    fn cancel(&mut self) -> Secret;

    /// Returns what must check the client's commands from [`BackendEvent::Accepted`] on, where the backend has a command that
    /// changes the account of a session.
    fn account_guard(&self) -> Option<AccountGuard> {
        None
    }

    /// Returns the refusal that the backend sent without completing the command, such as IMAP's untagged `NO`. Call it
    /// when the backend has closed the connection or has become silent after a credential.
    fn incomplete_refusal(&mut self) -> Option<Reply> {
        None
    }
}

/// What a [`Replay`] reports.
#[derive(Debug)]
pub enum BackendEvent {
    /// Greeting, TLS and forwarding are complete; no credential was sent yet.
    Ready {
        /// Whether the backend accepted [`ReplayContext::forward`]; true when there was nothing to forward.
        introduced: bool,
    },
    /// A decoded challenge for the client.
    Challenge(Vec<u8>),
    /// The backend accepted the login. What is left in the inbox belongs to the session.
    Accepted(Reply),
    /// The backend refused the login.
    Refused(Reply),
    /// The backend asked to try the login again later.
    NotNow(Reply),
    /// The backend does not offer the mechanism, but it offers others. No credential was sent.
    MechanismUnavailable,
    /// The leg cannot be used.
    Broken(Fault),
}

/// What is offered to clients before their backend is known: one value per protocol, shared by its sessions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// The name in greetings.
    pub hostname: String,
    /// The text of the greeting.
    pub banner: String,
    /// The mechanisms, in this order.
    pub sasl: Vec<Mechanism>,
    /// IMAP capabilities, EHLO keywords or Sieve extensions.
    pub capabilities: Vec<String>,
    /// ManageSieve's `NOTIFY` methods. While empty, the line is not sent (RFC 5804 section 1.7).
    pub notify: Vec<String>,
    /// ManageSieve's `IMPLEMENTATION`.
    pub implementation: String,
    /// Whether cleartext mechanisms are offered and accepted without TLS.
    pub cleartext_without_tls: bool,
}

/// What a dialogue starts with.
#[derive(Debug, Clone)]
pub struct DialogueContext {
    /// What is offered.
    pub offer: Arc<Offer>,
    /// The state of encryption.
    pub channel: Channel,
    /// Whether the peer is a trusted proxy, whose report about the real client is believed.
    pub peer_is_trusted: bool,
}

// === impl DialogueContext ===

impl DialogueContext {
    /// Returns the mechanisms that are offered and permitted on this connection, in the configured order. This is the one
    /// place of the rule that no password is accepted in cleartext.
    pub fn permitted(&self) -> impl Iterator<Item = Mechanism> {
        let is_safe = self.channel == Channel::Encrypted || self.offer.cleartext_without_tls;
        self.offer.sasl.iter().copied().filter(move |mechanism| is_safe || !mechanism.is_cleartext())
    }

    /// Returns whether `mechanism` is offered and permitted on this connection.
    #[must_use]
    pub fn permits(&self, mechanism: Mechanism) -> bool {
        self.permitted().any(|permitted| permitted == mechanism)
    }

    /// Returns whether the protocol's own login command is accepted: where PLAIN or LOGIN is.
    #[must_use]
    pub fn takes_passwords(&self) -> bool {
        self.permits(Mechanism::Plain) || self.permits(Mechanism::Login)
    }
}

/// The encryption of a client's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// Cleartext, without STARTTLS.
    Plain,
    /// Cleartext, with STARTTLS offered.
    Upgradable,
    /// Encrypted.
    Encrypted,
}

/// What a replay starts with.
#[derive(Debug)]
pub struct ReplayContext {
    /// Whether TLS is started with STARTTLS before anything else.
    pub starttls: bool,
    /// The client's address for XCLIENT or ID (`forwarding = "xclient"`).
    pub forward: Option<Forward>,
    /// What the client reported about itself.
    pub client_info: ClientInfo,
    /// The proxy's name for EHLO.
    pub hostname: String,
}

/// The client as it is reported to a backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forward {
    /// The client's address.
    pub client: SocketAddr,
    /// The address that the client connected to.
    pub local: SocketAddr,
    /// The session's id.
    pub session: String,
    /// The remaining hops.
    pub ttl: u8,
    /// Whether the client's leg is encrypted.
    pub encrypted: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cleartext_mechanisms_need_tls_unless_the_offer_allows_them() {
        use Mechanism::{Login, OAuthBearer, Plain, ScramSha256};
        for (channel, without_tls, expected) in [
            (Channel::Encrypted, false, &[Plain, ScramSha256, OAuthBearer][..]),
            (Channel::Upgradable, false, &[ScramSha256]),
            (Channel::Plain, false, &[ScramSha256]),
            (Channel::Plain, true, &[Plain, ScramSha256, OAuthBearer]),
        ] {
            let offer = Offer {
                hostname: String::new(),
                banner: String::new(),
                sasl: vec![Plain, ScramSha256, OAuthBearer],
                capabilities: Vec::new(),
                notify: Vec::new(),
                implementation: String::new(),
                cleartext_without_tls: without_tls,
            };
            let context = DialogueContext { offer: Arc::new(offer), channel, peer_is_trusted: false };
            assert_eq!(context.permitted().collect::<Vec<_>>(), expected, "{channel:?} {without_tls}");
            assert_eq!(context.takes_passwords(), expected.contains(&Plain));
            assert!(!context.permits(Login), "not in the list");
        }
    }
}
