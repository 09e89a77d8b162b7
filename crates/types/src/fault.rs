//! Why a connection to a backend failed, and whether the backend is to blame.
//!
//! One closed enum decides the log line, the metric label, what the circuit breaker counts and whether a retry is
//! allowed. Messages to clients are not here: each protocol has its own.

/// Why a backend could not be used. A refused login is a verdict, not a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// The destination is marked down; nothing was tried.
    MarkedDown,
    /// The host name has no address.
    Dns,
    /// The connection was refused.
    Refused,
    /// No route, or another error of connecting.
    Unreachable,
    /// Connecting took too long.
    ConnectTimeout,
    /// The TLS handshake failed, certificate verification included.
    Tls,
    /// The greeting was not one of this protocol, or refused the connection.
    Greeting,
    /// The connection is already authenticated (IMAP `PREAUTH`), as an unknown account.
    Preauth,
    /// STARTTLS is configured, and the backend does not announce it or refuses it.
    NoStartTls,
    /// Bytes followed the response to STARTTLS before the handshake: an attempt to inject them.
    StartTlsInjected,
    /// Forwarding (XCLIENT) was refused; it may be partly applied.
    Forwarding,
    /// The configuration has no leg for this protocol at the destination of the account.
    NoLeg,
    /// The backend offers no mechanism with which this credential can be replayed.
    NoMechanism,
    /// The response violates the protocol, or is longer than the limits allow.
    Protocol,
    /// The backend closed the connection in the dialogue.
    Closed,
    /// The backend did not answer in time: within `backend_timeout`, or `backend_auth_timeout` after a credential.
    TimedOut,
    /// `proxy_ttl` is used up, or the address is one of our own listeners.
    Loop,
    /// The proxy itself has no descriptor, socket memory or local port left.
    Exhausted,
}

/// How far a leg had come when it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Before the connection was established: the destination is to blame.
    Connect,
    /// After that: one client may be the reason, for example a banned one, so a streak must span several clients.
    Dialogue,
    /// The destination is not to blame, and its health does not change.
    Ours,
}

// === impl Fault ===

impl Fault {
    /// Every value.
    pub const ALL: [Self; 18] = [
        Self::MarkedDown,
        Self::Dns,
        Self::Refused,
        Self::Unreachable,
        Self::ConnectTimeout,
        Self::Tls,
        Self::Greeting,
        Self::Preauth,
        Self::NoStartTls,
        Self::StartTlsInjected,
        Self::Forwarding,
        Self::NoLeg,
        Self::NoMechanism,
        Self::Protocol,
        Self::Closed,
        Self::TimedOut,
        Self::Loop,
        Self::Exhausted,
    ];

    /// Returns how far the leg had come.
    #[must_use]
    pub const fn stage(self) -> Stage {
        match self {
            Self::Dns | Self::Refused | Self::Unreachable | Self::ConnectTimeout => Stage::Connect,
            Self::MarkedDown | Self::NoLeg | Self::NoMechanism | Self::Loop | Self::Exhausted => Stage::Ours,
            Self::Tls
            | Self::Greeting
            | Self::Preauth
            | Self::NoStartTls
            | Self::StartTlsInjected
            | Self::Forwarding
            | Self::Protocol
            | Self::Closed
            | Self::TimedOut => Stage::Dialogue,
        }
    }

    /// Returns whether a retry may succeed, if no credential was sent.
    #[must_use]
    pub const fn is_retryable(self) -> bool {
        matches!(
            self,
            Self::Dns
                | Self::Refused
                | Self::Unreachable
                | Self::ConnectTimeout
                | Self::Closed
                | Self::TimedOut
        )
    }

    /// Returns the name in metrics and in the `fault` field of log lines.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::MarkedDown => "marked_down",
            Self::Dns => "dns",
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
            Self::ConnectTimeout => "connect_timeout",
            Self::Tls => "tls",
            Self::Greeting => "greeting",
            Self::Preauth => "preauth",
            Self::NoStartTls => "no_starttls",
            Self::StartTlsInjected => "starttls_injected",
            Self::Forwarding => "forwarding",
            Self::NoLeg => "no_leg",
            Self::NoMechanism => "no_mechanism",
            Self::Protocol => "protocol",
            Self::Closed => "closed",
            Self::TimedOut => "timed_out",
            Self::Loop => "loop",
            Self::Exhausted => "exhausted",
        }
    }
}
