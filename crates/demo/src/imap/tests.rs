use proptest::prelude::*;

use super::*;
use crate::account::Account;
use crate::machine::MAX_FAILURES;

/// 2024-05-06 07:08:09 UTC
const NOW: i64 = 1_714_979_289;
const LOGIN: &str = "x LOGIN alice@example.org alice-demo\r\n";

fn store() -> Arc<Store> {
    Arc::new(Store::new("old", &Account::cast(), || NOW))
}

/// A connection with its inbox, and what it has said.
struct Talk {
    connection: Connection,
    inbox: Inbox,
    is_closed: bool,
}

impl Talk {
    fn new(store: &Arc<Store>) -> Self {
        let mut connection = Connection::new(Arc::clone(store));
        connection.greet();
        Self { connection, inbox: Inbox::new(INBOX_LIMIT), is_closed: false }
    }

    /// Logged in, INBOX selected.
    fn selected(store: &Arc<Store>) -> Self {
        let mut talk = Self::new(store);
        assert!(talk.say(LOGIN).contains("x OK "));
        assert!(talk.say("x SELECT INBOX\r\n").ends_with("x OK [READ-WRITE] opened\r\n"));
        talk
    }

    fn say(&mut self, text: &str) -> String {
        String::from_utf8_lossy(&self.say_bytes(text.as_bytes())).into_owned()
    }

    fn say_bytes(&mut self, mut bytes: &[u8]) -> Vec<u8> {
        let mut said = Vec::new();
        while !self.is_closed {
            let taken = self.inbox.receive(bytes);
            bytes = &bytes[taken..];
            match self.connection.feed(&mut self.inbox) {
                Turn::Write(bytes) => said.extend(bytes),
                Turn::Close(bytes) => {
                    said.extend(bytes);
                    self.is_closed = true;
                }
                Turn::NeedMore if bytes.is_empty() => break,
                Turn::NeedMore => assert!(!self.inbox.is_full(), "a full inbox, and more is wanted"),
            }
        }
        said
    }

    /// Follows a transcript: every `C: ` block is said, and exactly the `S: ` lines behind it are answered.
    fn follow(&mut self, transcript: &str) {
        let mut expected = String::new();
        let mut said = String::new();
        for line in transcript.lines().map(str::trim_start).filter(|line| !line.is_empty()) {
            if let Some(text) = line.strip_prefix("C: ") {
                assert_eq!(said, expected);
                (said, expected) = (self.say(&format!("{text}\r\n")), String::new());
            } else {
                let text = line.strip_prefix("S: ").or_else(|| line.strip_prefix("S:")).unwrap();
                expected += &format!("{text}\r\n");
            }
        }
        assert_eq!(said, expected);
    }
}

#[test]
fn before_a_login() {
    let store = store();
    let mut connection = Connection::new(Arc::clone(&store));
    assert_eq!(
        String::from_utf8(connection.greet()).unwrap(),
        "* OK [CAPABILITY IMAP4rev1 SASL-IR LITERAL+ ID ENABLE AUTH=PLAIN] the demo's server \"old\"\r\n"
    );
    Talk::new(&store).follow(
        r#"
        C: a CAPABILITY
        S: * CAPABILITY IMAP4rev1 SASL-IR LITERAL+ ID ENABLE AUTH=PLAIN
        S: a OK done
        C: b ID ("name" "test")
        S: * ID ("name" "Pointsman's demo")
        S: b OK done
        C: c SELECT INBOX
        S: c NO log in first
        C: d NOOP
        S: d OK done
        C: e NONSENSE
        S: e BAD that command is not understood
        C: +
        S: * BAD a command begins with a tag
        C: f IDLE
        S: f NO log in first
        C: g FETCH 1 FLAGS
        S: g NO log in first
        C: h LOGOUT
        S: * BYE until next time
        S: h OK done
        "#,
    );
}

#[test]
fn logins() {
    let ok = "a OK [CAPABILITY IMAP4rev1 LITERAL+ ID ENABLE IDLE NAMESPACE UIDPLUS UNSELECT CHILDREN MOVE \
              APPENDLIMIT=1048576] alice@example.org is logged in on old\r\n";
    let failed = "a NO [AUTHENTICATIONFAILED] wrong name or password\r\n";
    // NUL alice@example.org NUL alice-demo
    let message = "AGFsaWNlQGV4YW1wbGUub3JnAGFsaWNlLWRlbW8=";
    for (said, expected) in [
        ("a LOGIN alice@example.org alice-demo\r\n".to_owned(), ok.to_owned()),
        ("a login \"alice@example.org\" {10+}\r\nalice-demo\r\n".to_owned(), ok.to_owned()),
        (
            "a LOGIN {17}\r\nalice@example.org {10}\r\nalice-demo\r\n".to_owned(),
            format!("+ go ahead\r\n+ go ahead\r\n{ok}"),
        ),
        (format!("a AUTHENTICATE PLAIN {message}\r\n"), ok.to_owned()),
        (format!("a AUTHENTICATE PLAIN\r\n{message}\r\n"), format!("+ \r\n{ok}")),
        ("a AUTHENTICATE PLAIN\r\n*\r\n".to_owned(), "+ \r\na BAD cancelled\r\n".to_owned()),
        ("a AUTHENTICATE PLAIN !!\r\n".to_owned(), "a BAD that is no base64\r\n".to_owned()),
        ("a AUTHENTICATE PLAIN =\r\n".to_owned(), failed.to_owned()),
        ("a AUTHENTICATE LOGIN\r\n".to_owned(), "a NO [CANNOT] only PLAIN is offered\r\n".to_owned()),
        ("a LOGIN alice@example.org wrong\r\n".to_owned(), failed.to_owned()),
        ("a LOGIN alice@example.org\r\n".to_owned(), "a BAD that command is not understood\r\n".to_owned()),
    ] {
        assert_eq!(Talk::new(&store()).say(&said), expected, "{said}");
    }
    let mut talk = Talk::new(&store());
    for _ in 1..MAX_FAILURES {
        assert_eq!(talk.say("a LOGIN bob@example.org x\r\n"), failed);
    }
    assert_eq!(talk.say("a LOGIN bob@example.org x\r\n"), format!("{failed}* BYE too many failures\r\n"));
    assert!(talk.is_closed);
}

#[test]
fn mailboxes() {
    let mut talk = Talk::new(&store());
    talk.say(LOGIN);
    talk.follow(
        r#"
        C: a LIST "" ""
        S: * LIST (\Noselect) "/" ""
        S: a OK done
        C: b LIST "" *
        S: * LIST (\HasNoChildren \Drafts) "/" "Drafts"
        S: * LIST (\HasNoChildren) "/" "INBOX"
        S: * LIST (\HasNoChildren \Sent) "/" "Sent"
        S: * LIST (\HasNoChildren \Trash) "/" "Trash"
        S: b OK done
        C: c CREATE "a b/c"
        S: c OK done
        C: c CREATE "a b"
        S: c OK done
        C: d LIST "a b/" %
        S: * LIST (\HasNoChildren) "/" "a b/c"
        S: d OK done
        C: e SUBSCRIBE "a b"
        S: e OK done
        C: f LSUB "" "a*"
        S: * LSUB () "/" "a b"
        S: f OK done
        C: g RENAME "a b" x
        S: g OK done
        C: h LSUB "" "a*"
        S: * LSUB (\Noselect) "/" "a b"
        S: h OK done
        C: i LIST "" x*
        S: * LIST (\HasChildren) "/" "x"
        S: * LIST (\HasNoChildren) "/" "x/c"
        S: i OK done
        C: j DELETE x/c
        S: j OK done
        C: j UNSUBSCRIBE "a b"
        S: j OK done
        C: k DELETE INBOX
        S: k NO [CANNOT] INBOX can be neither deleted nor renamed
        C: l CREATE x
        S: l NO [ALREADYEXISTS] there is a mailbox of that name already
        C: m NAMESPACE
        S: * NAMESPACE (("" "/")) NIL NIL
        S: m OK done
        C: n STATUS inbox (MESSAGES UNSEEN UIDNEXT RECENT)
        S: * STATUS "inbox" (MESSAGES 2 UNSEEN 2 UIDNEXT 3 RECENT 0)
        S: n OK done
        C: o STATUS nowhere (MESSAGES)
        S: o NO [NONEXISTENT] there is no mailbox of that name
        C: p ENABLE IMAP4rev2
        S: * ENABLED
        S: p OK done
        C: q LIST "" inbox
        S: * LIST (\HasNoChildren) "/" "INBOX"
        S: q OK done
        "#,
    );
}

#[test]
fn selecting() {
    let mut talk = Talk::new(&store());
    talk.say(LOGIN);
    let opened = talk.say("a SELECT INBOX\r\n");
    let (head, tail) = opened.split_once("* OK [UIDVALIDITY ").unwrap();
    assert_eq!(
        head,
        "* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft)\r\n* 2 EXISTS\r\n* 0 RECENT\r\n\
         * OK [UNSEEN 1] first unseen\r\n\
         * OK [PERMANENTFLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft \\*)] limited\r\n"
    );
    assert!(tail.ends_with(
        "] identifiers valid\r\n* OK [UIDNEXT 3] next identifier\r\na OK [READ-WRITE] opened\r\n"
    ));
    talk.follow(
        r#"
        C: b SELECT nowhere
        S: b NO [NONEXISTENT] there is no mailbox of that name
        C: c FETCH 1 FLAGS
        S: c BAD select a mailbox first
        "#,
    );
    assert!(talk.say("d EXAMINE INBOX\r\n").ends_with("d OK [READ-ONLY] opened\r\n"));
    talk.follow(
        r#"
        C: e STORE 1 +FLAGS (\Seen)
        S: e NO [READ-ONLY] the mailbox was opened with EXAMINE
        C: f FETCH 1 BODY[HEADER.FIELDS (Subject)]
        S: * 1 FETCH (BODY[HEADER.FIELDS (Subject)] {24}
        S: Subject: I am on old
        S:
        S: )
        S: f OK fetched
        C: g FETCH 1 FLAGS
        S: * 1 FETCH (FLAGS ())
        S: g OK fetched
        C: h UNSELECT
        S: h OK closed
        "#,
    );
}

#[test]
fn reading() {
    Talk::selected(&store()).follow(
        r#"
        C: a FETCH 1:* (UID INTERNALDATE)
        S: * 1 FETCH (UID 1 INTERNALDATE " 6-May-2024 07:08:09 +0000")
        S: * 2 FETCH (UID 2 INTERNALDATE " 6-May-2024 07:08:09 +0000")
        S: a OK fetched
        C: b FETCH 1 BODY.PEEK[TEXT]<26.11>
        S: * 1 FETCH (BODY[TEXT]<26> {11}
        S:
        S: I am on o)
        S: b OK fetched
        C: c FETCH 1 BODY[HEADER.FIELDS (SUBJECT TO)]
        S: * 1 FETCH (BODY[HEADER.FIELDS (SUBJECT TO)] {47}
        S: To: alice@example.org
        S: Subject: I am on old
        S:
        S:  FLAGS (\Seen))
        S: c OK fetched
        C: d UID FETCH 2 ENVELOPE
        S: * 2 FETCH (UID 2 ENVELOPE ("Mon, 06 May 2024 07:08:09 +0000" "A message in two forms, on old" (("The old server" NIL "postmaster" "example.org")) (("The old server" NIL "postmaster" "example.org")) (("The old server" NIL "postmaster" "example.org")) ((NIL NIL "alice" "example.org")) NIL NIL NIL "<forms.alice@example.org.old>"))
        S: d OK fetched
        C: e FETCH 2 BODYSTRUCTURE
        S: * 2 FETCH (BODYSTRUCTURE (("TEXT" "PLAIN" ("CHARSET" "us-ascii") NIL NIL "7BIT" 22 1 NIL NIL NIL NIL)("TEXT" "HTML" ("CHARSET" "us-ascii") NIL NIL "7BIT" 40 1 NIL NIL NIL NIL) "ALTERNATIVE" ("BOUNDARY" "form") NIL NIL NIL))
        S: e OK fetched
        C: f SEARCH UNSEEN
        S: * SEARCH 2
        S: f OK searched
        C: g UID SEARCH SUBJECT "I am on"
        S: * SEARCH 1
        S: g OK searched
        C: h SEARCH SUBJECT nothing
        S: * SEARCH
        S: h OK searched
        C: i FETCH 7 FLAGS
        S: i OK fetched
        C: j UID FETCH 7:* FLAGS
        S: * 2 FETCH (UID 2 FLAGS ())
        S: j OK fetched
        "#,
    );
}

#[test]
fn changing() {
    let mut talk = Talk::selected(&store());
    let copied = |text: &str, verb: &str| {
        let validity = text.split_once("COPYUID ").unwrap().1.split_once(' ').unwrap().0.parse::<u32>();
        assert!(validity.is_ok() && text.contains(verb), "{text}");
    };
    talk.follow(
        r#"
        C: a STORE 1 +FLAGS (\Flagged $Label1)
        S: * 1 FETCH (UID 1 FLAGS ($Label1 \Flagged))
        S: a OK stored
        C: b UID STORE 1 -FLAGS.SILENT \Flagged
        S: b OK stored
        C: c STORE 1:2 FLAGS (\Deleted)
        S: * 1 FETCH (UID 1 FLAGS (\Deleted))
        S: * 2 FETCH (UID 2 FLAGS (\Deleted))
        S: c OK stored
        C: d UID EXPUNGE 2
        S: * 2 EXPUNGE
        S: d OK removed
        C: e COPY 1 nowhere
        S: e NO [TRYCREATE] there is no mailbox of that name
        "#,
    );
    let text = talk.say("f COPY 1 Trash\r\n");
    copied(&text, " 1 1] copied\r\n");
    let text = talk.say("g MOVE 1 Trash\r\n");
    copied(&text, " 1 2] moved\r\n* 1 EXPUNGE\r\ng OK moved\r\n");
    talk.follow(
        r#"
        C: h SEARCH ALL
        S: * SEARCH
        S: h OK searched
        C: i STATUS Trash (MESSAGES)
        S: * STATUS "Trash" (MESSAGES 2)
        S: i OK done
        C: j CLOSE
        S: j OK closed
        "#,
    );
}

#[test]
fn appending() {
    let mut talk = Talk::selected(&store());
    let text = talk.say("a APPEND INBOX (\\Seen) \"17-Jul-1996 02:44:25 -0700\" {12}\r\nSubject: x\r\n\r\n");
    let (head, tail) = text.split_once("a OK [APPENDUID ").unwrap();
    assert_eq!(head, "+ go ahead\r\n* 3 EXISTS\r\n* 0 RECENT\r\n");
    assert!(tail.ends_with(" 3] added\r\n"), "{tail}");
    talk.follow(
        r#"
        C: b FETCH 3 (FLAGS INTERNALDATE RFC822.SIZE)
        S: * 3 FETCH (FLAGS (\Seen) INTERNALDATE "17-Jul-1996 09:44:25 +0000" RFC822.SIZE 12)
        S: b OK fetched
        C: c APPEND nowhere {1+}
        C: x
        S: c NO [TRYCREATE] there is no mailbox of that name
        C: d APPEND INBOX {0+}
        C:
        S: d NO an empty message is none
        C: e APPEND INBOX {1048577}
        S: + go ahead
        "#
        .replace("C:\n", "C: \n")
        .as_str(),
    );
    let big = vec![b'x'; MAX_MESSAGE + 1];
    assert_eq!(talk.say_bytes(&big), b"");
    assert_eq!(talk.say("\r\n"), "e NO [TOOBIG] the demo takes messages of up to 1 MiB\r\n");
    talk.follow(
        r#"
        C: f APPEND INBOX {2000000}
        S: f NO [TOOBIG] that literal is too long
        C: g NOOP
        S: g OK done
        C: h APPEND INBOX {2000000+}
        S: * BYE that command is too long
        "#,
    );
}

#[test]
fn two_connections_see_what_the_other_does() {
    let store = store();
    let mut first = Talk::selected(&store);
    let mut second = Talk::selected(&store);
    second.follow(
        r#"
        C: a IDLE
        S: + idling
        "#,
    );
    first.say("a STORE 1 +FLAGS (\\Deleted \\Seen)\r\n");
    assert_eq!(second.say(""), "* 1 FETCH (UID 1 FLAGS (\\Deleted \\Seen))\r\n");
    first.say("b EXPUNGE\r\n");
    assert_eq!(second.say(""), "* 1 EXPUNGE\r\n");
    second.follow(
        r#"
        C: DONE
        S: a OK done
        C: b STORE 1 +FLAGS.SILENT (\Deleted)
        S: b OK stored
        "#,
    );
    // Numbers do not shift while the other's command speaks in numbers.
    second.say("c EXPUNGE\r\n");
    first.follow(
        r#"
        C: d FETCH 1 FLAGS
        S: d OK fetched
        C: e SEARCH ALL
        S: * SEARCH
        S: e OK searched
        C: f NOOP
        S: * 1 EXPUNGE
        S: f OK done
        "#,
    );
    second.say("d SELECT Sent\r\n");
    first.say("g DELETE Sent\r\n");
    assert_eq!(
        second.say("e APPEND Sent {1+}\r\nx\r\n"),
        "e NO [TRYCREATE] there is no mailbox of that name\r\n"
    );
}

#[test]
fn before_a_login_nothing_large_is_held() {
    let store = store();
    for (said, expected) in [
        ("a LOGIN {20000}\r\n".to_owned(), "a NO [TOOBIG] that literal is too long\r\n"),
        ("a LOGIN {20000+}\r\n".to_owned(), "* BYE that command is too long\r\n"),
        ("x".repeat(20_000), "* BYE that command is too long\r\n"),
        (format!("a AUTHENTICATE PLAIN\r\n{}", "x".repeat(9000)), "+ \r\n* BYE that line is too long\r\n"),
    ] {
        assert_eq!(Talk::new(&store).say(&said), expected);
    }
}

#[test]
fn large_responses_come_in_chunks() {
    let store = store();
    let mut talk = Talk::selected(&store);
    let large = format!("b APPEND INBOX {{{}+}}\r\n{}\r\n", 100_000, "x".repeat(100_000));
    for _ in 0..3 {
        talk.say(&large);
    }
    talk.inbox.receive(b"c FETCH 3:5 (BODY.PEEK[] RFC822.SIZE)\r\nd NOOP\r\n");
    let mut chunks = Vec::new();
    while let Turn::Write(chunk) = talk.connection.feed(&mut talk.inbox) {
        chunks.push(chunk.len());
    }
    assert_eq!(chunks.len(), 5, "{chunks:?}");
    assert!(chunks.iter().all(|&length| length < 101_000), "{chunks:?}");
}

fn piece() -> impl Strategy<Value = Vec<u8>> {
    let words = [
        "a ",
        "b UID ",
        "FETCH ",
        "1:* ",
        "2 ",
        "(FLAGS BODY[1.HEADER])",
        "BODY[]<0.9>",
        "SEARCH ",
        "NOT ",
        "(SEEN)",
        "STORE ",
        "+FLAGS ",
        "(\\Deleted)",
        "EXPUNGE",
        "IDLE",
        "DONE",
        "APPEND INBOX ",
        "{3+}\r\n",
        "{4}\r\n",
        "abc",
        "COPY ",
        "MOVE ",
        "Trash",
        "SELECT ",
        "INBOX",
        "LIST \"\" ",
        "*%",
        "RENAME ",
        "DELETE ",
        "CREATE ",
        "CLOSE",
        "AUTHENTICATE PLAIN",
        " ",
        "\"",
        "\\",
        "{",
        "}",
        "(",
        ")",
        "\r\n",
        "\r\n",
        "\r\n",
        "\n",
        "LOGOUT",
    ];
    prop_oneof![
        8 => proptest::sample::select(words.to_vec()).prop_map(|word| word.as_bytes().to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 0..6),
    ]
}

proptest! {
    #[test]
    fn never_panics_and_any_chunking_gives_the_same(
        pieces in proptest::collection::vec(piece(), 0..60),
        cuts in proptest::collection::vec(1_usize..20, 1..20),
        is_logged_in: bool,
    ) {
        let text = pieces.concat();
        let start = || if is_logged_in { Talk::selected(&store()) } else { Talk::new(&store()) };
        let whole = start().say_bytes(&text);

        let mut talk = start();
        let mut dripped = Vec::new();
        let (mut rest, mut cuts) = (&text[..], cuts.iter().cycle());
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.len().min(*cuts.next().unwrap()));
            dripped.extend(talk.say_bytes(now));
            rest = later;
        }
        prop_assert_eq!(String::from_utf8_lossy(&whole), String::from_utf8_lossy(&dripped));
    }
}
