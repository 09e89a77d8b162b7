//! What a login is made of.
//!
//! An [`Attempt`] is born in a dialogue, read by `identity`, and lent to a replay. Its one owner is the
//! session's step that waits for the verdict: when that step ends, the credential is wiped.

use std::net::SocketAddr;

use types::secret::Secret;

pub use crate::mechanism::Mechanism;

/// One login as the client made it.
#[derive(Debug)]
pub struct Attempt {
    /// Who, and with what.
    pub credential: Credential,
    /// What the client told of itself before it logged in.
    pub client_info: ClientInfo,
}

/// The credential of one login.
#[derive(Debug)]
pub enum Credential {
    /// A user name and a password that the proxy holds: IMAP `LOGIN`, POP3 `USER`/`PASS`, SASL LOGIN.
    Password {
        /// Byte for byte as the client meant it (quotes and literals undone).
        user: Secret,
        /// Byte for byte as the client meant it.
        password: Secret,
    },
    /// A SASL exchange that is relayed message by message.
    Sasl {
        /// The mechanism that the client chose; never [`Mechanism::Login`], whose prompts the proxy runs.
        mechanism: Mechanism,
        /// The decoded first message of the client.
        initial: Secret,
    },
}

/// What a client told of itself before it logged in.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct ClientInfo {
    /// IMAP `ID` fields (RFC 2971), without the `x-` ones; `None` is `NIL`. Bounded by the RFC's 30 fields.
    pub id: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    /// The name in EHLO or HELO.
    pub helo: Option<Vec<u8>>,
    /// Whether the client said EHLO (`ESMTP`) and not HELO.
    pub extended: bool,
    /// Whether the client said POP3's `UTF8` (RFC 6856 section 2): the session is to be in that mode.
    pub utf8: bool,
    /// What a trusted front said of the client behind it.
    pub forwarded: Option<ForwardedClient>,
}

/// The client behind a trusted front, by the front's `ID` or `XCLIENT`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForwardedClient {
    /// The client's own address.
    pub client: SocketAddr,
    /// The address that the client connected to, where the front told it.
    pub local: Option<SocketAddr>,
    /// The session id that the front gave.
    pub session: Option<String>,
    /// Hops that are left (`x-proxy-ttl`, `TTL`).
    pub ttl: Option<u8>,
}

// === impl Attempt ===

impl Attempt {
    /// The name of the way in, for logs and metrics: the mechanism, or `LOGIN` for a user name and a password.
    #[must_use]
    pub fn mechanism(&self) -> Mechanism {
        match &self.credential {
            Credential::Password { .. } => Mechanism::Login,
            Credential::Sasl { mechanism, .. } => *mechanism,
        }
    }
}

// === impl Credential ===

impl Credential {
    /// Returns whether the credential can be replayed a second time, at another backend. A SCRAM exchange, in which
    /// the client takes part, is good for one backend only.
    #[must_use]
    pub const fn can_repeat(&self) -> bool {
        match self {
            Self::Password { .. } => true,
            Self::Sasl { mechanism, .. } => mechanism.can_repeat(),
        }
    }
}
