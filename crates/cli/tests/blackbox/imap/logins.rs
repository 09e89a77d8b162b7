//! Logins that are refused, pipelined, split, or made after a tampered STARTTLS.

use crate::support::{Backend, Client, FRIENDLY, Options, Proxy};

const REFUSING: &str = "S: * OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] hello
C: 
S: P1 NO [AUTHENTICATIONFAILED] Not you.
WAIT";

#[test]
fn a_client_can_log_in_again_after_a_refusal() {
    let old = Backend::playing(REFUSING);
    let new = Backend::playing(FRIENDLY);
    let proxy = Proxy::start(old.address, new.address, &Options::default());
    proxy.client().plays(
        "S: * OK [CAPABILITY …
         C: a LOGIN alice@example.org wrong
         S: a NO [AUTHENTICATIONFAILED] Not you.
         C: b SELECT INBOX
         S: b BAD Log in first
         C: c LOGIN bob@example.org right
         S: c OK [CAPABILITY IMAP4rev1] in
         C: d NOOP
         S: * d NOOP",
    );
    assert_eq!(old.saw(), "P1 AUTHENTICATE PLAIN AGFsaWNlQGV4YW1wbGUub3JnAHdyb25n");
    assert_eq!(old.saw(), "gone");
}

#[test]
fn the_backends_reply_can_be_hidden() {
    let old = Backend::playing(REFUSING);
    let new = Backend::playing(FRIENDLY);
    let options = Options { destination: "hide_auth_errors = true", ..Options::default() };
    Proxy::start(old.address, new.address, &options).client().plays(
        "S: * OK …
         C: a LOGIN alice@example.org wrong
         S: a NO [AUTHENTICATIONFAILED] Authentication failed",
    );
}

#[test]
fn three_failures_close_the_connection() {
    let old = Backend::playing(REFUSING);
    let new = Backend::playing(FRIENDLY);
    let proxy = Proxy::start(old.address, new.address, &Options::default());
    proxy.client().plays(
        "S: * OK …
         C: a LOGIN alice@example.org 1
         S: a NO …
         C: b LOGIN alice@example.org 2
         S: b NO …
         C: c LOGIN alice@example.org 3
         S: c NO …
         S: * BYE Too many failed logins
         END",
    );
    proxy
        .logged("login failed: protocol=imap client=127.0.0.1 account=\"alice@example.org\" reason=rejected");
}

#[test]
fn failed_logins_are_delayed_and_the_owners_are_not() {
    use std::io::{BufRead, BufReader, Write};
    let old = Backend::serving(|mut stream, client_info| {
        let _ = stream.write_all(b"* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] hello\r\n");
        let mut heard = String::new();
        let _ = BufReader::new(stream.try_clone().expect("clone")).read_line(&mut heard);
        let is_owner = heard.trim_end().ends_with("AGFsaWNlQGV4YW1wbGUub3JnAHJpZ2h0");
        client_info(heard);
        let _ = stream.write_all(if is_owner {
            &b"P1 OK [CAPABILITY IMAP4rev1] in\r\n"[..]
        } else {
            b"P1 NO not you\r\n"
        });
    });
    // Longer than the test waits: a delay where there must be none fails the test.
    let options = Options {
        server: "[limits]\nauth_delay_max = \"10m\"",
        listener: "preauth_timeout = \"10m\"",
        ..Options::default()
    };
    let proxy = Proxy::start(old.address, Backend::nowhere(), &options);
    let guess = |_| {
        let mut client = proxy.client();
        client.plays("S: * OK …\nC: a LOGIN alice@example.org wrong");
        old.saw();
        proxy.logged("reason=rejected");
        client
    };
    for slip in 0..2 {
        guess(slip).plays("S: a NO not you\nC: b NOOP\nS: b OK Nothing done");
    }
    let began = std::time::Instant::now();
    let mut guesses: Vec<Client> = (2..8).map(guess).collect();
    proxy.client().plays("S: * OK …\nC: a LOGIN alice@example.org right\nS: a OK [CAPABILITY IMAP4rev1] in");
    guesses[0].plays("S: a NO not you");
    assert!(began.elapsed() >= std::time::Duration::from_secs(1), "the third failure waits for a second");
}

#[test]
fn bad_identities_never_reach_a_backend() {
    let old = Backend::playing(FRIENDLY);
    let new = Backend::playing(FRIENDLY);
    let proxy = Proxy::start(old.address, new.address, &Options::default());
    proxy.client().plays(
        "S: * OK …
         C: a LOGIN \"alice \" x
         S: a NO [AUTHENTICATIONFAILED] …
         C: b LOGIN \"\" x
         S: b NO [AUTHENTICATIONFAILED] …
         C: c LOGIN {6}
         S: + OK
         C| al\\r\\nce x\\r\\n
         S: c NO [AUTHENTICATIONFAILED] …
         S: * BYE …
         END",
    );
    assert!(old.seen.try_recv().is_err() && new.seen.try_recv().is_err(), "no backend was asked");
}

#[test]
fn pipelined_commands_reach_the_backend_once_and_in_order() {
    let old = Backend::playing(FRIENDLY);
    let new = Backend::playing(FRIENDLY);
    let proxy = Proxy::start(old.address, new.address, &Options::default());
    proxy.client().plays(
        "S: * OK …
         C| a LOGIN bob@example.org pw\\r\\nb SELECT INBOX\\r\\nc FETCH 1 (BODY[])\\r\\n
         S: a OK [CAPABILITY IMAP4rev1] in
         S: * b SELECT INBOX
         S: * c FETCH 1 (BODY[])",
    );
    assert_eq!(new.saw(), "P1 AUTHENTICATE PLAIN AGJvYkBleGFtcGxlLm9yZwBwdw==");
    assert_eq!((new.saw(), new.saw()), ("b SELECT INBOX".to_owned(), "c FETCH 1 (BODY[])".to_owned()));
    assert!(old.seen.try_recv().is_err());
}

#[test]
fn a_literal_login_may_be_split_anywhere() {
    let new = Backend::playing(FRIENDLY);
    let proxy = Proxy::start(Backend::nowhere(), new.address, &Options::default());
    let whole = b"a LOGIN {15+}\r\nbob@example.org {4+}\r\np w\"\r\n";
    for split in 1..whole.len() {
        let mut client = proxy.client();
        client.plays("S: * OK …");
        client.send(&whole[..split]);
        // After a round trip of another connection, the first half has been read.
        proxy.client().plays("S: * OK …\nC: x NOOP\nS: x OK …");
        client.send(&whole[split..]);
        client.plays("S: a OK …");
        assert_eq!(new.saw(), "P1 AUTHENTICATE PLAIN AGJvYkBleGFtcGxlLm9yZwBwIHci", "split at {split}");
    }
}

#[test]
fn commands_pipelined_after_starttls_end_the_connection() {
    let old = Backend::playing(FRIENDLY);
    let new = Backend::playing(FRIENDLY);
    let options = Options { listener: "max_connections = 10", ..Options::default() };
    let proxy = Proxy::start_with_starttls(old.address, new.address, &options);
    proxy.client().plays(
        "S: * OK [CAPABILITY …
         C| a STARTTLS\\r\\nb LOGIN bob@example.org pw\\r\\n
         END",
    );
    proxy.logged("the client sent bytes after STARTTLS");
    assert!(new.seen.try_recv().is_err(), "no command took effect");
}

#[test]
fn an_account_moves_during_a_session() {
    let old = Backend::playing(FRIENDLY);
    let new = Backend::playing(FRIENDLY);
    let proxy = Proxy::start(old.address, new.address, &Options::default());
    proxy.client().plays("S: * OK …\nC: a LOGIN carol@example.org pw\nS: a OK …");
    assert!(old.saw().starts_with("P1 AUTHENTICATE"));
    proxy.map("bob@example.org new\ncarol@example.org new\n");
    proxy.client().plays("S: * OK …\nC: a LOGIN carol@example.org pw\nS: a OK …");
    assert!(new.saw().starts_with("P1 AUTHENTICATE"));
    // A bad file changes nothing.
    std::fs::write(proxy.mapping(), "carol@example.org nowhere\n").expect("mapping");
    proxy.logged("nowhere");
    proxy.client().plays("S: * OK …\nC: a LOGIN carol@example.org pw\nS: a OK …");
    assert!(new.saw().starts_with("P1 AUTHENTICATE"));
}

#[test]
fn a_login_during_a_move_ends_on_the_new_server() {
    use std::io::{BufRead, BufReader, Write};
    let (open, gate) = std::sync::mpsc::channel::<()>();
    let old = Backend::serving(move |mut stream, client_info| {
        let _ = stream.write_all(b"* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] slow\r\n");
        let mut heard = String::new();
        let _ = BufReader::new(stream.try_clone().expect("clone")).read_line(&mut heard);
        client_info("asked".to_owned());
        let _ = gate.recv();
        let _ = stream.write_all(b"P1 OK [CAPABILITY IMAP4rev1] in, on the old one\r\n");
    });
    let new = Backend::playing(FRIENDLY);
    let proxy = Proxy::start(old.address, new.address, &Options::default());
    let mut client = proxy.client();
    client.plays("S: * OK …\nC: a LOGIN carol@example.org pw");
    assert_eq!(old.saw(), "asked");
    proxy.map("carol@example.org new\n");
    open.send(()).expect("the old server waits");
    client.plays("S: a OK [CAPABILITY IMAP4rev1] in");
    assert!(new.saw().starts_with("P1 AUTHENTICATE"));
}

#[test]
fn what_one_backend_lacks_is_not_offered() {
    let old =
        Backend::playing("S: * OK [CAPABILITY IMAP4rev1 LITERAL+ IDLE SASL-IR AUTH=PLAIN] x\nC: \nWAIT");
    let new = Backend::playing("S: * OK [CAPABILITY IMAP4rev1 IDLE AUTH=PLAIN] x\nC: \nWAIT");
    let proxy = Proxy::start(old.address, new.address, &Options { learns: true, ..Options::default() });
    proxy.logged("advertised capabilities changed");
    proxy.client().plays("S: * OK [CAPABILITY IMAP4rev1 IDLE SASL-IR ID AUTH=PLAIN AUTH=LOGIN] Server ready");
}

#[test]
fn until_every_backend_has_answered_the_least_is_offered() {
    let old = Backend::playing("S: * OK [CAPABILITY IMAP4rev1 LITERAL+ IDLE AUTH=PLAIN] x\nC: \nWAIT");
    let options = Options { learns: true, server: "backend_timeout = \"1s\"", ..Options::default() };
    let proxy = Proxy::start(old.address, Backend::nowhere(), &options);
    proxy.logged("capabilities unknown");
    proxy.client().plays("S: * OK [CAPABILITY IMAP4rev1 SASL-IR ID AUTH=…");
}
