//! Who is to blame when a backend leg fails.
//!
//! One closed enum, from which the log line, the metric label, the circuit breaker and the question "may we
//! try again" are all answered. Words for the client are not here: each protocol's file has its own.

/// What went wrong on the way to a backend. Never a refused login: that is a verdict, not a fault.
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
    /// The greeting was not one of this protocol, or said goodbye.
    Greeting,
    /// The connection is already authenticated (IMAP `PREAUTH`): whose would it be?
    Preauth,
    /// STARTTLS is configured, and the backend does not announce it or refuses it.
    NoStartTls,
    /// Bytes stood behind the answer to STARTTLS: somebody in between put them there.
    StartTlsInjected,
    /// Forwarding (XCLIENT) was refused, perhaps half applied.
    Forwarding,
    /// The backend offers nothing that this credential can be replayed with.
    NoMechanism,
    /// An answer that the protocol does not allow, too long a line, or too many of them.
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
    /// Before the connection was made: nobody's but the destination's doing.
    Connect,
    /// After: one client may be the reason (banned, say), so a streak must span several clients.
    Dialogue,
    /// Not the destination's doing: does not count towards its health.
    Ours,
}

// === impl Fault ===

impl Fault {
    /// Every value.
    pub const ALL: [Self; 17] = [
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
        Self::NoMechanism,
        Self::Protocol,
        Self::Closed,
        Self::TimedOut,
        Self::Loop,
        Self::Exhausted,
    ];

    /// How far the leg had come.
    #[must_use]
    pub const fn stage(self) -> Stage {
        match self {
            Self::Dns | Self::Refused | Self::Unreachable | Self::ConnectTimeout => Stage::Connect,
            Self::MarkedDown | Self::NoMechanism | Self::Loop | Self::Exhausted => Stage::Ours,
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

    /// Whether another try may succeed, provided that no credential was sent.
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

    /// Name in metrics and in the `fault` field of log lines.
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
            Self::NoMechanism => "no_mechanism",
            Self::Protocol => "protocol",
            Self::Closed => "closed",
            Self::TimedOut => "timed_out",
            Self::Loop => "loop",
            Self::Exhausted => "exhausted",
        }
    }
}
