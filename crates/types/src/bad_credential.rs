//! Why a credential names no account.

use std::fmt;

/// Why a credential names no account. To the client each is a failed login.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BadCredential {
    /// A NUL where none can be: not two in a PLAIN message (RFC 4616 section 2), or one in a user name or a
    /// password.
    Nul,
    /// No well-formed GS2 header (RFC 5801 section 4) or client-first message (RFC 5802 section 7).
    Malformed,
    /// The client demands channel binding (`p=`), which cannot pass a proxy that terminates TLS.
    ChannelBinding,
    /// `=` in a name, that is not followed by `2C` or `3D` (RFC 5802 section 5.1).
    Escape,
    /// A key occurs twice: the proxy could route by one value, and the backend use the other.
    Repeated,
    /// Neither a name nor a bearer token.
    NoName,
    /// An `Authorization` header that is neither `Basic` nor `Bearer`, or a SASL message of a mechanism that
    /// has none.
    Unknown,
}

// === impl BadCredential ===

impl BadCredential {
    /// Every value.
    pub const ALL: [Self; 7] = [
        Self::Nul,
        Self::Malformed,
        Self::ChannelBinding,
        Self::Escape,
        Self::Repeated,
        Self::NoName,
        Self::Unknown,
    ];

    /// Returns the name in metrics and in the `reason` field of log lines.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Nul => "credential_nul",
            Self::Malformed => "credential_malformed",
            Self::ChannelBinding => "credential_channel_binding",
            Self::Escape => "credential_escape",
            Self::Repeated => "credential_repeated_key",
            Self::NoName => "credential_without_name",
            Self::Unknown => "credential_unknown",
        }
    }
}

impl fmt::Display for BadCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nul => "the credential has a wrong number of NULs",
            Self::Malformed => "the credential does not have the form that its mechanism requires",
            Self::ChannelBinding => "the client demands channel binding; use the mechanism without -PLUS",
            Self::Escape => "`=` in a name is not followed by `2C` or `3D`",
            Self::Repeated => "the credential contains a key twice",
            Self::NoName => "the credential has neither a name nor a bearer token",
            Self::Unknown => "the credential is of a kind that does not name an account",
        })
    }
}

impl std::error::Error for BadCredential {}
