//! The tagged response that ends a command (RFC 3501 section 7.1).

use std::borrow::Cow;

use crate::store::Refusal;

/// OK, NO or BAD with its text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    /// `OK`, `NO` or `BAD`.
    pub(super) condition: &'static str,
    /// Response code and text.
    pub(super) text: Cow<'static, str>,
}

// === impl Answer ===

impl Answer {
    pub(super) fn ok(text: impl Into<Cow<'static, str>>) -> Self {
        Self { condition: "OK", text: text.into() }
    }

    pub(super) fn no(text: impl Into<Cow<'static, str>>) -> Self {
        Self { condition: "NO", text: text.into() }
    }

    pub(super) fn bad(text: impl Into<Cow<'static, str>>) -> Self {
        Self { condition: "BAD", text: text.into() }
    }

    /// NO, with the store's reason.
    pub(super) fn refused(refusal: Refusal) -> Self {
        Self::no(match refusal {
            Refusal::NoSuchMailbox => "[NONEXISTENT] there is no mailbox of that name",
            Refusal::AlreadyExists => "[ALREADYEXISTS] there is a mailbox of that name already",
            Refusal::BadName => {
                "[CANNOT] a mailbox name is up to 128 ASCII characters without wildcards, levels apart by '/'"
            }
            Refusal::Inbox => "[CANNOT] INBOX can be neither deleted nor renamed",
            Refusal::OverQuota => {
                "[OVERQUOTA] the demo keeps 64 mailboxes, 1000 messages and 16 MiB an account"
            }
        })
    }

    /// The same where a missing mailbox may be created for the command to succeed (RFC 3501 section 6.3.11).
    pub(super) fn refused_target(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NoSuchMailbox => Self::no("[TRYCREATE] there is no mailbox of that name"),
            Refusal::AlreadyExists | Refusal::BadName | Refusal::Inbox | Refusal::OverQuota => {
                Self::refused(refusal)
            }
        }
    }
}
