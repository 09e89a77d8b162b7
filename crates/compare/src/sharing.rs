//! Who else uses the account's folders, and whose folders it uses.
//!
//! Folders are shared within one server only, so an account that moves alone loses what others share with it, and they
//! lose what it shares.

use std::fmt;

use imap_codec::imap_types::mailbox::Mailbox;

use crate::error::Cause;
use crate::folders::Folders;
use crate::imap_session::{ImapSession, Untagged};

/// A folder that is shared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// Somebody else has rights on a folder of the account (RFC 4314).
    With {
        /// The folder.
        folder: String,
        /// The identifier in the access control list: an account, a group, or `anyone`.
        who: String,
    },
    /// The account sees a folder of another account or of the server (RFC 2342).
    Uses {
        /// The folder, as the server names it.
        folder: String,
    },
}

/// Shared folders that are reported.
const MAX_SHARING: usize = 1_000;

// === impl Sharing ===

impl fmt::Display for Sharing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::With { folder, who } => {
                write!(f, "{folder}: shared with {who}, who loses access unless moved as well")
            }
            Self::Uses { folder } => {
                write!(
                    f,
                    "{folder}: a folder of others, which the account does not see after the move unless they move as well"
                )
            }
        }
    }
}

/// Reads the access control lists of the account's folders, where the server has them.
pub(crate) async fn read(
    session: &mut ImapSession,
    account: &str,
    folders: &Folders,
) -> Result<Vec<Sharing>, Cause> {
    let mut found: Vec<Sharing> = Vec::new();
    for folder in folders.foreign.iter().take(MAX_SHARING) {
        found.push(Sharing::Uses { folder: folder.clone() });
    }
    if !session.extensions.acl {
        return Ok(found);
    }
    for (name, folder) in folders.selectable() {
        let Some(quoted) = quoted(&folder.mailbox) else { continue };
        let mut identifiers = Vec::new();
        let each = |untagged: Untagged<'_>| {
            if let Untagged::Line(line) = untagged {
                identifiers.extend(acl_identifiers(line).unwrap_or_default());
            }
            Ok(())
        };
        match session.run_line("GETACL", &format!("GETACL {quoted}"), each).await {
            Ok(()) => {}
            // Only who administers a folder may read its list.
            Err(Cause::Refused { .. }) => continue,
            Err(cause) => return Err(cause),
        }
        for who in identifiers {
            let is_own = who.eq_ignore_ascii_case(account) || who.eq_ignore_ascii_case("owner");
            // A leading hyphen takes rights away (RFC 4314 section 2).
            if !is_own && !who.starts_with('-') && found.len() < MAX_SHARING {
                found.push(Sharing::With { folder: name.to_string(), who });
            }
        }
    }
    Ok(found)
}

/// Writes a name as a quoted string; `None` when it needs a literal.
fn quoted(mailbox: &Mailbox<'_>) -> Option<String> {
    let name = match mailbox {
        Mailbox::Inbox => "INBOX",
        Mailbox::Other(other) => std::str::from_utf8(other.as_ref()).ok()?,
    };
    if name.bytes().any(|byte| !byte.is_ascii() || byte.is_ascii_control()) {
        return None;
    }
    Some(format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\"")))
}

/// Returns the identifiers of `* ACL mailbox *(identifier rights)`; `None` when the line is another response.
fn acl_identifiers(line: &[u8]) -> Option<Vec<String>> {
    let mut words = words(std::str::from_utf8(line).ok()?)?.into_iter();
    if words.next()? != "*" || !words.next()?.eq_ignore_ascii_case("ACL") {
        return None;
    }
    words.next()?;
    Some(words.step_by(2).collect())
}

/// Splits a line into atoms and quoted strings.
fn words(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut characters = line.chars().peekable();
    while let Some(&character) = characters.peek() {
        let mut word = String::new();
        if character == ' ' {
            characters.next();
            continue;
        }
        if character == '"' {
            characters.next();
            loop {
                match characters.next()? {
                    '"' => break,
                    '\\' => word.push(characters.next()?),
                    other => word.push(other),
                }
            }
        } else {
            while let Some(other) = characters.next_if(|&other| other != ' ') {
                word.push(other);
            }
        }
        words.push(word);
    }
    Some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_of_an_access_control_list() {
        let line = br#"* ACL "My \"Work\"" alice@example.org lrswipkxtecda "bob smith" lr -carol w"#;
        let found = acl_identifiers(line).expect("an ACL");
        assert_eq!(found, ["alice@example.org", "bob smith", "-carol"]);
        assert_eq!(acl_identifiers(b"* ACL INBOX"), Some(Vec::new()));
        for line in [&b"* LISTRIGHTS INBOX bob lr"[..], b"* ACL \"open", b"*", b"", b"* \xff"] {
            assert_eq!(acl_identifiers(line), None, "{line:?}");
        }
    }
}
