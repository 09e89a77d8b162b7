//! The shape of a machine: dialogue and replay are values, not tasks.
//!
//! `feed(inbox) -> Step` is called by one driver (`drive::Talk`) for both sides of every text protocol, and
//! directly by tests and fuzzers. A machine never waits, never does I/O and never fails: a peer's nonsense is
//! a [`Step`] like any other.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::inbox::Inbox;
use crate::verdict::{CloseReason, Reply, Verdict};
use credentials::attempt::{Attempt, ClientInfo, Mechanism};
use types::fault::Fault;
use types::secret::Secret;

/// What a machine wants of the world before it can go on.
#[derive(Debug)]
#[must_use = "a step that is not carried out leaves both peers waiting for each other"]
pub enum Step<E> {
    /// No whole command or reply is in the inbox: receive more. A machine whose inbox is full may not ask
    /// for this: it refuses the input.
    NeedMore,
    /// Send these bytes, then feed again. (A [`Secret`], since a replay's bytes hold the credential.)
    Write(Secret),
    /// Send these bytes, make sure that the inbox is empty, do the TLS handshake, call `secured`, feed again.
    StartTls(Secret),
    /// Something that the caller has to decide.
    Event(E),
    /// Send these bytes and close the connection.
    Close(Vec<u8>),
}

/// A side of a text protocol, fed with what its peer sent.
pub trait Machine: Send + Sync {
    /// What it reports to its caller.
    type Event;

    /// Goes on as far as the inbox allows. Call again after every [`Step::Write`].
    fn feed(&mut self, inbox: &mut Inbox) -> Step<Self::Event>;

    /// The handshake that [`Step::StartTls`] asked for is done. State is as new (RFC 9051 section 6.2.1).
    /// Returns what is to be sent first (ManageSieve's capability block).
    fn secured(&mut self) -> Vec<u8>;
}

/// The server's side, towards the client.
pub trait Dialogue: Machine<Event = ClientEvent> {
    /// The first bytes on the connection, and the first behind an implicit handshake.
    fn greet(&mut self) -> Vec<u8>;

    /// Answers the attempt that was reported last. After [`Verdict::Accepted`] the dialogue is over; after
    /// any other it is at its prompt again.
    fn answer(&mut self, verdict: Verdict) -> Vec<u8>;

    /// Passes a backend's challenge on; the client's answer comes as [`ClientEvent::Response`].
    fn challenge(&mut self, data: &[u8]) -> Vec<u8>;

    /// Goodbye, in the protocol's words.
    fn farewell(&mut self, why: CloseReason) -> Vec<u8>;
}

/// What a [`Dialogue`] reports.
#[derive(Debug)]
pub enum ClientEvent {
    /// A login: decide on it, then call [`Dialogue::answer`].
    Attempt(Attempt),
    /// The client's decoded answer to [`Dialogue::challenge`].
    Response(Secret),
    /// `*` instead of an answer to [`Dialogue::challenge`]: end the backend leg, then answer
    /// [`Verdict::Cancelled`].
    Cancelled,
}

/// The client's side, towards a backend.
pub trait Replay: Machine<Event = BackendEvent> {
    /// Replays the login. Call once, after [`BackendEvent::Ready`]; feed again afterwards. The attempt stays the
    /// caller's: should the account have moved meanwhile, the same login is replayed elsewhere.
    fn authenticate(&mut self, attempt: &Attempt) -> Step<BackendEvent>;

    /// Passes the client's answer to the last [`BackendEvent::Challenge`] on.
    fn respond(&mut self, response: Secret) -> Secret;

    /// Returns the refusal that the backend sent without completing the command, such as IMAP's untagged `NO`. Call it
    /// when the backend has closed the connection or has become silent after a credential.
    fn incomplete_refusal(&mut self) -> Option<Reply> {
        None
    }
}

/// What a [`Replay`] reports.
#[derive(Debug)]
pub enum BackendEvent {
    /// Greeting, TLS and forwarding are done; no credential was sent yet.
    Ready {
        /// Whether the backend took what [`ReplayContext::forward`] asked for; true when nothing was asked.
        introduced: bool,
    },
    /// A decoded challenge for the client.
    Challenge(Vec<u8>),
    /// The backend said yes. Whatever is left in the inbox is the session's.
    Accepted(Reply),
    /// The backend refused the login.
    Refused(Reply),
    /// The backend said "not now" to the login.
    NotNow(Reply),
    /// The leg cannot be used.
    Broken(Fault),
}

/// What is told to clients before their backend is known: one per protocol, shared by its sessions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// Name in greetings.
    pub hostname: String,
    /// Text of the greeting.
    pub banner: String,
    /// Mechanisms offered, in this order.
    pub sasl: Vec<Mechanism>,
    /// IMAP capabilities, EHLO keywords or Sieve extensions.
    pub capabilities: Vec<String>,
    /// ManageSieve's `NOTIFY` methods. While empty, the line is not sent (RFC 5804 section 1.7).
    pub notify: Vec<String>,
    /// ManageSieve's `IMPLEMENTATION`.
    pub implementation: String,
    /// Offer and accept cleartext mechanisms without TLS.
    pub cleartext_without_tls: bool,
}

/// How a dialogue begins.
#[derive(Debug, Clone)]
pub struct Opening {
    /// What to offer.
    pub offer: Arc<Offer>,
    /// Whether the connection is encrypted, or can be.
    pub channel: Channel,
    /// Whether the peer is a trusted front, whose word on the real client counts.
    pub trusts_front: bool,
}

// === impl Opening ===

impl Opening {
    /// The mechanisms that are offered and may be used on this connection, in the configured order. The one
    /// place of the rule that keeps passwords out of the clear.
    pub fn permitted(&self) -> impl Iterator<Item = Mechanism> {
        let is_safe = self.channel == Channel::Encrypted || self.offer.cleartext_without_tls;
        self.offer.sasl.iter().copied().filter(move |mechanism| is_safe || !mechanism.is_cleartext())
    }

    /// Whether `mechanism` is offered and may be used on this connection.
    #[must_use]
    pub fn permits(&self, mechanism: Mechanism) -> bool {
        self.permitted().any(|permitted| permitted == mechanism)
    }

    /// Whether the protocol's own command for a user name and a password is taken: where PLAIN or LOGIN is.
    #[must_use]
    pub fn takes_passwords(&self) -> bool {
        self.permits(Mechanism::Plain) || self.permits(Mechanism::Login)
    }
}

/// The state of a client's connection towards encryption.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// In the clear, for good.
    Plain,
    /// In the clear, STARTTLS is offered.
    Upgradable,
    /// Encrypted.
    Encrypted,
}

/// How a replay begins.
#[derive(Debug)]
pub struct ReplayContext {
    /// Upgrade with STARTTLS before anything else.
    pub starttls: bool,
    /// Tell the backend, over the protocol, who the client is (`forwarding = "xclient"`).
    pub forward: Option<Forward>,
    /// What the client told of itself.
    pub client_info: ClientInfo,
    /// Our own name, for EHLO.
    pub hostname: String,
}

/// The client as it is told to a backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forward {
    /// The client's address.
    pub client: SocketAddr,
    /// The address that the client connected to.
    pub local: SocketAddr,
    /// The session's id.
    pub session: String,
    /// Hops that are left.
    pub ttl: u8,
    /// Whether the client's leg is encrypted.
    pub encrypted: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_shows_a_password_needs_encryption_unless_it_is_told_otherwise() {
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
            let opening = Opening { offer: Arc::new(offer), channel, trusts_front: false };
            assert_eq!(opening.permitted().collect::<Vec<_>>(), expected, "{channel:?} {without_tls}");
            assert_eq!(opening.takes_passwords(), expected.contains(&Plain));
            assert!(!opening.permits(Login), "not in the list");
        }
    }
}
