use proptest::prelude::*;

use super::*;
use crate::account::Account;
use crate::store::{Flags, INBOX, Message};

fn store() -> Arc<Store> {
    Arc::new(Store::new("new", &Account::cast(), || 0))
}

fn talk(store: &Arc<Store>, chunks: &[&[u8]]) -> (String, bool) {
    let mut connection = Connection::new(Arc::clone(store));
    let mut inbox = Inbox::new(INBOX_LIMIT);
    let mut said = connection.greet();
    for mut chunk in chunks.iter().copied() {
        loop {
            let taken = inbox.receive(chunk);
            chunk = &chunk[taken..];
            match connection.feed(&mut inbox) {
                Turn::Write(bytes) => said.extend(bytes),
                Turn::Close(bytes) => {
                    said.extend(bytes);
                    return (String::from_utf8_lossy(&said).into_owned(), true);
                }
                Turn::NeedMore if chunk.is_empty() => break,
                Turn::NeedMore => assert!(!inbox.is_full(), "a full inbox, and more is wanted"),
            }
        }
    }
    (String::from_utf8_lossy(&said).into_owned(), false)
}

/// Follows a transcript from the greeting on; each `C: ` line is said when all before was answered.
fn follow(store: &Arc<Store>, transcript: &str) {
    let lines: Vec<&str> = transcript.lines().map(str::trim_start).filter(|line| !line.is_empty()).collect();
    let client: Vec<String> =
        lines.iter().filter_map(|line| line.strip_prefix("C: ")).map(|line| format!("{line}\r\n")).collect();
    let server: String = lines
        .iter()
        .filter_map(|line| line.strip_prefix("S:"))
        .map(|line| format!("{}\r\n", line.strip_prefix(' ').unwrap_or(line)))
        .collect();
    let chunks: Vec<&[u8]> = client.iter().map(String::as_bytes).collect();
    assert_eq!(talk(store, &chunks).0, server);
}

#[test]
fn logins() {
    let ok = "+OK bob@example.org is logged in on new\r\n";
    let failed = "-ERR [AUTH] wrong name or password\r\n";
    let message = "AGJvYkBleGFtcGxlLm9yZwBib2ItZGVtbw==";
    for (said, expected) in [
        ("USER bob@example.org\r\nPASS bob-demo\r\n".to_owned(), format!("+OK and the password?\r\n{ok}")),
        (
            "USER bob@example.org\r\nPASS bob demo\r\n".to_owned(),
            format!("+OK and the password?\r\n{failed}"),
        ),
        ("PASS bob-demo\r\n".to_owned(), "-ERR USER comes first\r\n".to_owned()),
        ("AUTH\r\n".to_owned(), "+OK\r\nPLAIN\r\n.\r\n".to_owned()),
        (format!("auth plain {message}\r\n"), ok.to_owned()),
        (format!("AUTH PLAIN\r\n{message}\r\n"), format!("+ \r\n{ok}")),
        (
            "AUTH PLAIN\r\n*\r\nNOOP\r\n".to_owned(),
            "+ \r\n-ERR cancelled\r\n-ERR log in first\r\n".to_owned(),
        ),
        ("AUTH PLAIN !\r\n".to_owned(), "-ERR that is no base64\r\n".to_owned()),
        ("AUTH LOGIN\r\n".to_owned(), "-ERR only PLAIN is offered\r\n".to_owned()),
        ("NONSENSE\r\n".to_owned(), "-ERR that command is not understood\r\n".to_owned()),
        ("QUIT\r\nNOOP\r\n".to_owned(), "+OK until next time\r\n".to_owned()),
        ("x".repeat(9000), "-ERR that line is too long\r\n".to_owned()),
    ] {
        let greeting = "+OK the demo's server \"new\"\r\n";
        assert_eq!(talk(&store(), &[said.as_bytes()]).0, format!("{greeting}{expected}"), "{said}");
    }
    let tries = "AUTH PLAIN =\r\n".repeat(usize::from(MAX_FAILURES));
    let (said, is_closed) = talk(&store(), &[tries.as_bytes()]);
    assert_eq!((said.matches(failed).count(), is_closed), (5, true));
}

#[test]
fn a_session() {
    let store = store();
    let maildrop = store.log_in(b"bob@example.org", b"bob-demo").unwrap();
    let validity = maildrop.write(|folders| {
        folders.get_mut(INBOX).unwrap().remove(|_| true);
        let raw = &b"Subject: dots\r\n\r\n.\r\n..two\nlast"[..];
        folders.append(INBOX, vec![Message::new(raw, Flags::default(), 0); 2]).unwrap().0
    });
    follow(
        &store,
        &r#"
        S: +OK the demo's server "new"
        C: USER bob@example.org
        S: +OK and the password?
        C: PASS bob-demo
        S: +OK bob@example.org is logged in on new
        C: STAT
        S: +OK 2 60
        C: LIST
        S: +OK
        S: 1 30
        S: 2 30
        S: .
        C: UIDL 2
        S: +OK 2 VALIDITY.4
        C: RETR 1
        S: +OK
        S: Subject: dots
        S:
        S: ..
        S: ...two
        S: last
        S: .
        C: TOP 1 1
        S: +OK
        S: Subject: dots
        S:
        S: ..
        S: .
        C: TOP 1
        S: -ERR TOP takes a message and a number of lines
        C: DELE 1
        S: +OK deleted at QUIT
        C: RETR 1
        S: -ERR there is no such message
        C: LIST
        S: +OK
        S: 2 30
        S: .
        C: RSET
        S: +OK nothing is deleted
        C: DELE 2
        S: +OK deleted at QUIT
        C: RETR 3
        S: -ERR there is no such message
        C: QUIT
        S: +OK until next time
        "#
        .replace("VALIDITY", &validity.to_string()),
    );
    let left: Vec<u32> = maildrop
        .read(|folders| folders.get(INBOX).unwrap().messages().iter().map(|message| message.uid).collect());
    assert_eq!(left, [3]);
}

#[test]
fn without_quit_nothing_is_deleted() {
    let store = store();
    talk(&store, &[b"USER bob@example.org\r\nPASS bob-demo\r\nDELE 1\r\n"]);
    let maildrop = store.log_in(b"bob@example.org", b"bob-demo").unwrap();
    assert_eq!(maildrop.read(|folders| folders.get(INBOX).unwrap().messages().len()), 2);
}

proptest! {
    #[test]
    fn never_panics_and_any_chunking_gives_the_same(
        words in proptest::collection::vec(proptest::sample::select(vec![
            "USER bob@example.org\r\n", "PASS bob-demo\r\n", "AUTH PLAIN", "RETR ", "TOP ", "DELE ", "LIST", "UIDL",
            "STAT", "1", "2", "0", " ", "-1", "\r\n", "\n", "99999999999999999999", "\0", "QUIT",
        ]), 0..40),
        size in 1_usize..9,
    ) {
        let text = words.concat();
        let chunks: Vec<&[u8]> = text.as_bytes().chunks(size).collect();
        prop_assert_eq!(talk(&store(), &[text.as_bytes()]), talk(&store(), &chunks));
    }
}
