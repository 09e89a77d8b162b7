//! What became of a connection, a login or a session: closed lists, shared by the log, the metrics and the alerts.
//!
//! Every value has one word. The log, the metrics page, the alerts and the dashboard use that word and no other, so
//! that an alert cannot miss a case because two crates spell it differently.

use std::fmt;

use crate::bad_credential::BadCredential;
use crate::identifier::BadIdentifier;

/// Why a connection was refused before a login: the `reason` of `pointsman_connections_refused_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConnectionRefusal {
    /// The listener's `max_connections` is reached.
    MaxConnections,
    /// The listener's `max_connections_per_ip` is reached.
    MaxConnectionsPerIp,
    /// The listener's `max_connections_per_front` is reached.
    MaxConnectionsPerFront,
    /// The proxy is draining.
    Draining,
    /// The PROXY header is missing, malformed, or from a peer that may not send one.
    ProxyHeader,
    /// The TLS handshake failed or came too late.
    Tls,
    /// The client sent bytes between STARTTLS and the handshake.
    StartTlsInjected,
    /// The client did not log in within `preauth_timeout`.
    PreauthTimeout,
    /// `max_auth_attempts` logins failed.
    MaxAuthAttempts,
}

/// What became of a login: the `result` of `pointsman_logins_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LoginResult {
    /// The backend accepted the credential and the session was confirmed.
    Accepted,
    /// The backend refused the credential.
    Rejected,
    /// The credential names no account that can be routed.
    Unidentified(IdentityRefusal),
    /// The backend asked to try again later.
    NotNow,
    /// The client cancelled the exchange.
    Cancelled,
    /// The account has as many logins or sessions as it may have.
    Busy,
    /// A move or a delay took longer than a login may wait.
    Held,
    /// The account moved while it logged in, and one more round did not help or was not possible.
    Moved,
    /// The destination could not be used.
    Unavailable,
    /// The connection has come through this proxy before.
    Loop,
    /// The client left before there was a verdict.
    ClientGone,
}

/// Why a credential leads to no account that can be routed. It carries no part of the credential or of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IdentityRefusal {
    /// The credential names no account.
    Credential(BadCredential),
    /// The name cannot be an account's.
    Identifier(BadIdentifier),
}

/// Why a session or an HTTP exchange ended: the `why` of `pointsman_sessions_ended_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SessionEnd {
    /// Both sides closed, the client first.
    ClientClosed,
    /// Both sides closed, the backend first.
    BackendClosed,
    /// No byte for `bridge_idle`.
    Idle,
    /// One side had closed, and the other did not follow in time.
    HalfClosed,
    /// The client's connection was reset.
    ClientReset,
    /// The backend's connection was reset.
    BackendReset,
    /// The client's connection failed in another way.
    ClientFailed,
    /// The backend's connection failed in another way.
    BackendFailed,
    /// The proxy drained.
    Drained,
    /// The account moved.
    Moved,
    /// The session was kicked.
    Kicked,
    /// The client sent a command that would change the account of the session.
    Unauthenticated,
    /// HTTP: the response was passed on whole.
    Whole,
    /// HTTP: the connection became a tunnel.
    Upgraded,
    /// HTTP: the exchange was cut after the response had begun.
    Cut,
    /// HTTP: the backend closed before it responded.
    NoAnswer,
    /// HTTP: the backend's response is malformed.
    BadAnswer,
    /// HTTP: no byte for `http.relay_idle`.
    Silent,
    /// HTTP: the client's body is malformed.
    BadBody,
    /// HTTP: an event stream ended because the proxy drained.
    StreamDrained,
    /// HTTP: an event stream ended because its account moved.
    StreamMoved,
    /// HTTP: an event stream was kicked.
    StreamKicked,
}

/// What became of a reload of the configuration: the `result` of `pointsman_reloads_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReloadResult {
    /// The new configuration is in force.
    Done,
    /// The new configuration has errors; the old one stays in force.
    Refused,
}

// === impl ConnectionRefusal ===

impl ConnectionRefusal {
    /// Every value.
    pub const ALL: [Self; 9] = [
        Self::MaxConnections,
        Self::MaxConnectionsPerIp,
        Self::MaxConnectionsPerFront,
        Self::Draining,
        Self::ProxyHeader,
        Self::Tls,
        Self::StartTlsInjected,
        Self::PreauthTimeout,
        Self::MaxAuthAttempts,
    ];

    /// Returns the word in the log and the metrics.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::MaxConnections => "max_connections",
            Self::MaxConnectionsPerIp => "max_connections_per_ip",
            Self::MaxConnectionsPerFront => "max_connections_per_front",
            Self::Draining => "draining",
            Self::ProxyHeader => "proxy_header",
            Self::Tls => "tls",
            Self::StartTlsInjected => "starttls_injected",
            Self::PreauthTimeout => "preauth_timeout",
            Self::MaxAuthAttempts => "max_auth_attempts",
        }
    }
}

// === impl LoginResult ===

impl LoginResult {
    /// Every value but [`LoginResult::Unidentified`], whose words are those of [`IdentityRefusal`]; see
    /// [`LoginResult::labels`].
    pub const ALL: [Self; 10] = [
        Self::Accepted,
        Self::Rejected,
        Self::NotNow,
        Self::Cancelled,
        Self::Busy,
        Self::Held,
        Self::Moved,
        Self::Unavailable,
        Self::Loop,
        Self::ClientGone,
    ];

    /// Returns the word in the log and the metrics.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Rejected => "rejected",
            Self::Unidentified(refusal) => refusal.label(),
            Self::NotNow => "not_now",
            Self::Cancelled => "cancelled",
            Self::Busy => "busy",
            Self::Held => "held",
            Self::Moved => "moved",
            Self::Unavailable => "unavailable",
            Self::Loop => "loop",
            Self::ClientGone => "client_gone",
        }
    }

    /// Returns every word that [`LoginResult::label`] can return.
    pub fn labels() -> impl Iterator<Item = &'static str> {
        Self::ALL.into_iter().map(Self::label).chain(IdentityRefusal::labels())
    }
}

// === impl IdentityRefusal ===

impl IdentityRefusal {
    /// Returns the word in the log and the metrics.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Credential(bad) => bad.label(),
            Self::Identifier(bad) => bad.label(),
        }
    }

    /// Returns every word that [`IdentityRefusal::label`] can return.
    pub fn labels() -> impl Iterator<Item = &'static str> {
        let credentials = BadCredential::ALL.into_iter().map(BadCredential::label);
        let identifiers = BadIdentifier::ALL.into_iter().map(BadIdentifier::label);
        credentials.chain(identifiers)
    }
}

impl fmt::Display for IdentityRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Credential(bad) => bad.fmt(f),
            Self::Identifier(bad) => bad.fmt(f),
        }
    }
}

impl std::error::Error for IdentityRefusal {}

impl From<BadCredential> for IdentityRefusal {
    fn from(bad: BadCredential) -> Self {
        Self::Credential(bad)
    }
}

impl From<BadIdentifier> for IdentityRefusal {
    fn from(bad: BadIdentifier) -> Self {
        Self::Identifier(bad)
    }
}

// === impl SessionEnd ===

impl SessionEnd {
    /// Every value.
    pub const ALL: [Self; 22] = [
        Self::ClientClosed,
        Self::BackendClosed,
        Self::Idle,
        Self::HalfClosed,
        Self::ClientReset,
        Self::BackendReset,
        Self::ClientFailed,
        Self::BackendFailed,
        Self::Drained,
        Self::Moved,
        Self::Kicked,
        Self::Unauthenticated,
        Self::Whole,
        Self::Upgraded,
        Self::Cut,
        Self::NoAnswer,
        Self::BadAnswer,
        Self::Silent,
        Self::BadBody,
        Self::StreamDrained,
        Self::StreamMoved,
        Self::StreamKicked,
    ];

    /// Returns the words in the log and the metrics.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::ClientClosed => "client closed",
            Self::BackendClosed => "backend closed",
            Self::Idle => "idle",
            Self::HalfClosed => "half-closed for too long",
            Self::ClientReset => "client reset",
            Self::BackendReset => "backend reset",
            Self::ClientFailed => "client failed",
            Self::BackendFailed => "backend failed",
            Self::Drained => "drained",
            Self::Moved => "moved",
            Self::Kicked => "kicked",
            Self::Unauthenticated => "unauthenticated",
            Self::Whole => "whole",
            Self::Upgraded => "upgraded",
            Self::Cut => "cut",
            Self::NoAnswer => "no_answer",
            Self::BadAnswer => "bad_answer",
            Self::Silent => "silent",
            Self::BadBody => "bad_body",
            Self::StreamDrained => "drain",
            Self::StreamMoved => "move",
            Self::StreamKicked => "kick",
        }
    }
}

// === impl ReloadResult ===

impl ReloadResult {
    /// Every value.
    pub const ALL: [Self; 2] = [Self::Done, Self::Refused];

    /// Returns the word in the metrics.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_value_has_a_word_of_its_own() {
        let refusals: BTreeSet<_> = ConnectionRefusal::ALL.map(ConnectionRefusal::label).into();
        assert_eq!(refusals.len(), ConnectionRefusal::ALL.len());
        let results: BTreeSet<_> = LoginResult::labels().collect();
        assert_eq!(results.len(), LoginResult::labels().count());
        let ends: BTreeSet<_> = SessionEnd::ALL.map(SessionEnd::label).into();
        assert_eq!(ends.len(), SessionEnd::ALL.len());
        let reloads: BTreeSet<_> = ReloadResult::ALL.map(ReloadResult::label).into();
        assert_eq!(reloads.len(), ReloadResult::ALL.len());
    }
}
