//! The protocols that Pointsman speaks, under the names that the configuration file uses.

use std::fmt;

/// A protocol of a listener and of a destination's leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Protocol {
    /// IMAP4rev1 and rev2 (RFC 3501, 9051).
    Imap,
    /// POP3 (RFC 1939).
    Pop3,
    /// ManageSieve (RFC 5804).
    ManageSieve,
    /// Message submission (RFC 6409).
    Submission,
    /// SMTP on port 25 (RFC 5321): passes through whole.
    Smtp,
    /// LMTP (RFC 2033): passes through whole.
    Lmtp,
    /// HTTP, with JMAP, WebDAV and WebSocket.
    Http,
}

// === impl Protocol ===

impl Protocol {
    /// Every protocol, in the order in which documents list them; the index is [`Protocol::index`].
    pub const ALL: [Self; 7] =
        [Self::Imap, Self::Pop3, Self::ManageSieve, Self::Submission, Self::Smtp, Self::Lmtp, Self::Http];

    /// The name in configuration, logs and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Imap => "imap",
            Self::Pop3 => "pop3",
            Self::ManageSieve => "managesieve",
            Self::Submission => "submission",
            Self::Smtp => "smtp",
            Self::Lmtp => "lmtp",
            Self::Http => "http",
        }
    }

    /// The protocol of that name, if there is one.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|protocol| protocol.name() == name)
    }

    /// Position in [`Protocol::ALL`], for tables.
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Whether clients log in with credentials that the proxy routes on. SMTP and LMTP pass through whole.
    #[must_use]
    pub const fn carries_credentials(self) -> bool {
        !matches!(self, Self::Smtp | Self::Lmtp)
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_and_names_agree() {
        for (index, protocol) in Protocol::ALL.into_iter().enumerate() {
            assert_eq!(protocol.index(), index);
            assert_eq!(Protocol::from_name(protocol.name()), Some(protocol));
        }
        assert_eq!(Protocol::from_name("IMAP"), None);
    }
}
