//! The parts of a login.
//!
//! A dialogue creates an [`Attempt`], `identity` reads it, and a replay borrows it. Its only owner is the step of the
//! session that waits for the verdict: when that step ends, the credential is wiped.

use std::net::SocketAddr;

use types::secret::Secret;

pub use crate::mechanism::Mechanism;

/// One login as the client made it.
#[derive(Debug)]
pub struct Attempt {
    /// The credential.
    pub credential: Credential,
    /// What the client reported about itself before the login.
    pub client_info: ClientInfo,
}

/// The credential of one login.
#[derive(Debug)]
pub enum Credential {
    /// A user name and a password: IMAP `LOGIN`, POP3 `USER`/`PASS`, SASL LOGIN.
    Password {
        /// The user name, with quotes and literals decoded.
        user: Secret,
        /// The password, with quotes and literals decoded.
        password: Secret,
    },
    /// A SASL exchange that is relayed message by message.
    Sasl {
        /// The mechanism; never [`Mechanism::Login`], whose prompts the proxy sends itself.
        mechanism: Mechanism,
        /// The client's first message, decoded.
        initial: Secret,
    },
}

/// What a client reported about itself before the login.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct ClientInfo {
    /// IMAP `ID` fields (RFC 2971), without the `x-` ones; `None` is `NIL`. At most 30 fields, and 8 KiB
    /// in total.
    pub id: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    /// The name in EHLO or HELO.
    pub helo: Option<Vec<u8>>,
    /// Whether the client sent EHLO (`ESMTP`) and not HELO.
    pub extended: bool,
    /// Whether the client sent POP3's `UTF8` (RFC 6856 section 2), so that the session uses that mode.
    pub utf8: bool,
    /// The client that a trusted proxy reported.
    pub forwarded: Option<ForwardedClient>,
}

/// The client of a trusted proxy, as its `ID` or `XCLIENT` reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForwardedClient {
    /// The client's address.
    pub client: SocketAddr,
    /// The address that the client connected to, where the proxy reported it.
    pub local: Option<SocketAddr>,
    /// The proxy's session id.
    pub session: Option<String>,
    /// The remaining hops (`x-proxy-ttl`, `TTL`).
    pub ttl: Option<u8>,
}

// === impl Attempt ===

impl Attempt {
    /// Returns the mechanism for logs and metrics; `LOGIN` for a user name and a password.
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
    /// Returns whether the credential can be replayed a second time, at another backend. The messages of a
    /// SCRAM exchange are valid at one backend only.
    #[must_use]
    pub const fn can_repeat(&self) -> bool {
        match self {
            Self::Password { .. } => true,
            Self::Sasl { mechanism, .. } => mechanism.can_repeat(),
        }
    }
}
