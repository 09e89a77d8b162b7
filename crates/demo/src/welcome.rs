//! What a new account finds: mail that says on which server it lies.

use crate::date::{self, Stamp};
use crate::store::{Flags, Folders, INBOX, Message};

/// The mailboxes of a new account, with a few messages in INBOX.
pub(crate) fn folders(server: &str, login: &str, validity: u32, now: Stamp) -> Folders {
    let mut folders = Folders::new(validity);
    for (name, special_use) in [("Drafts", "\\Drafts"), ("Sent", "\\Sent"), ("Trash", "\\Trash")] {
        folders.provide(name, special_use);
    }
    let messages = [plain(server, login, now), alternative(server, login, now)];
    let messages = messages.iter().map(|text| Message::new(text.as_bytes(), Flags::default(), now)).collect();
    // An account is new and empty here: two small messages are within every bound.
    let added = folders.append(INBOX, messages);
    debug_assert!(added.is_ok());
    folders
}

fn plain(server: &str, login: &str, now: Stamp) -> String {
    lines(&format!(
        "From: The {server} server <postmaster@example.org>\n\
         To: {login}\n\
         Subject: I am on {server}\n\
         Date: {}\n\
         Message-ID: <welcome.{login}.{server}>\n\
         MIME-Version: 1.0\n\
         Content-Type: text/plain; charset=us-ascii\n\
         Content-Transfer-Encoding: 7bit\n\
         \n\
         Hello {login},\n\
         \n\
         I am on {server}: this message lies on the demo's server called \"{server}\".\n\
         Move the account, log in again, and it is the other server's that you read.\n",
        date::header(now)
    ))
}

fn alternative(server: &str, login: &str, now: Stamp) -> String {
    lines(&format!(
        "From: The {server} server <postmaster@example.org>\n\
         To: {login}\n\
         Subject: A message in two forms, on {server}\n\
         Date: {}\n\
         Message-ID: <forms.{login}.{server}>\n\
         MIME-Version: 1.0\n\
         Content-Type: multipart/alternative; boundary=\"form\"\n\
         \n\
         --form\n\
         Content-Type: text/plain; charset=us-ascii\n\
         \n\
         Plain text from {server}.\n\
         \n\
         --form\n\
         Content-Type: text/html; charset=us-ascii\n\
         \n\
         <p>Marked-up text from <b>{server}</b>.</p>\n\
         \n\
         --form--\n",
        date::header(now)
    ))
}

/// Mail has CRLF.
fn lines(text: &str) -> String {
    text.replace('\n', "\r\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_message_says_where_it_is() {
        let folders = folders("old", "alice@example.org", 7, 0);
        let messages = folders.get(INBOX).unwrap().messages();
        assert_eq!(messages.len(), 2);
        let text = String::from_utf8(messages[0].raw.to_vec()).unwrap();
        assert!(text.contains("\r\nSubject: I am on old\r\n"), "{text}");
        assert!(text.contains("\r\nDate: Thu, 01 Jan 1970 00:00:00 +0000\r\n"), "{text}");
        assert!(!text.replace("\r\n", "").contains(['\r', '\n']));
        let names: Vec<&str> = folders.subscribed().collect();
        assert_eq!(names, ["Drafts", "INBOX", "Sent", "Trash"]);
    }
}
