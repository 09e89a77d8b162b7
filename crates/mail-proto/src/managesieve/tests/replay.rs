//! Logins that are replayed at backends over ManageSieve.

use super::*;

fn replay(starttls: bool, forwards: bool, script: &str) {
    play_replay(|| Box::new(Replay::new(context(starttls, forwards))), script);
}

/// A backend that offers `sasl`, up to the point where it is ready.
fn ready(sasl: &str) -> String {
    format!("S: \"IMPLEMENTATION\" \"x\"\nS: \"SASL\" \"{sasl}\"\nS: OK \"ready\"\n= READY true\n")
}

#[test]
fn login_methods() {
    for (sasl, script) in [
        (
            "PLAIN LOGIN",
            r#"> login alice s"\r\n\xff
               C: AUTHENTICATE "PLAIN" "AGFsaWNlAHMiDQr/"
               S: OK "Logged in."
               = ACCEPTED |OK \"Logged in.\"\r\n"#,
        ),
        (
            "LOGIN",
            r#"> login alice secret
               C: AUTHENTICATE "LOGIN"
               S: "VXNlcm5hbWU6"
               C: "YWxpY2U="
               S| {12}\r\nUGFzc3dvcmQ6\r\n
               C: "c2VjcmV0"
               S: NO (TRYLATER) "later"
               = NOT NOW |NO (TRYLATER) \"later\"\r\n"#,
        ),
        (
            "PLAIN",
            r#"> PLAIN x
               C: AUTHENTICATE "PLAIN" "eA=="
               S| NO {5}\r\na\r\nbc\r\n
               = REFUSED |NO {5}\r\na\r\nbc\r\n"#,
        ),
        (
            "PLAIN",
            r#"> PLAIN 
               C: AUTHENTICATE "PLAIN" ""
               S| NO\n
               = REFUSED |NO\r\n"#,
        ),
        (
            "SCRAM-SHA-256",
            r#"> SCRAM-SHA-256 n,,n=alice,r=x
               C: AUTHENTICATE "SCRAM-SHA-256" "biwsbj1hbGljZSxyPXg="
               S: "cj14eQ=="
               = CHALLENGE r=xy
               > respond c=biws
               C: "Yz1iaXdz"
               S: OK (SASL "dj16eg==")
               = ACCEPTED |OK (SASL \"dj16eg==\")\r\n"#,
        ),
        (
            "XOAUTH2",
            r#"> XOAUTH2 x
               C: AUTHENTICATE "XOAUTH2" "eA=="
               S: "e30="
               = CHALLENGE {}
               > respond 
               C: ""
               S: NO "expired"
               = REFUSED |NO \"expired\"\r\n"#,
        ),
    ] {
        replay(false, false, &format!("{}{script}", ready(sasl)));
    }
    // A token too long for quotes goes as a literal.
    let token = "\\0".repeat(900);
    let text = "A".repeat(1200);
    let script = format!(
        "> XOAUTH2 {token}\nC: AUTHENTICATE \"XOAUTH2\" {{1200+}}\nC: {text}\nS: OK\n= ACCEPTED |OK\\r\\n"
    );
    replay(false, false, &format!("{}{script}", ready("XOAUTH2")));
}

#[test]
fn unavailable_mechanisms() {
    for (sasl, login, outcome) in [
        ("", "login alice secret", "BROKEN no_mechanism"),
        ("CRAM-MD5", "login alice secret", "BROKEN no_mechanism"),
        ("PLAIN", "XOAUTH2 x", "MECHANISM UNAVAILABLE"),
        ("SCRAM-SHA-256", "login alice secret", "MECHANISM UNAVAILABLE"),
    ] {
        replay(false, false, &format!("{}> {login}\nC: {outcome}", ready(sasl)));
    }
}

const XCLIENT: &str = "XCLIENT ADDR=2001:db8::7 PORT=4711 DESTADDR=198.51.100.1 DESTPORT=4190 \
                       SESSION=abcdefgh23456723 TTL=6 CLIENT-TRANSPORT=TLS";

#[test]
fn starttls_and_xclient() {
    // What was said in the clear does not count: PLAIN is gone, XCLIENT is there.
    replay(
        true,
        true,
        &format!(
            r#"S: "SASL" "PLAIN"
               S: "STARTTLS"
               S: OK
               C: STARTTLS
               S: OK "go"
               TLS
               S: "SASL" "XOAUTH2"
               S: "XCLIENT"
               S: OK "secured"
               C: {XCLIENT}
               S: OK "Updated"
               C: NOOP "xclient-taken"
               S: OK (TAG "xclient-taken") "Done"
               = READY true
               > login alice secret
               C: MECHANISM UNAVAILABLE"#
        ),
    );
    let greeting = "S: \"SASL\" \"LOGIN\"\nS: \"XCLIENT\" \"ADDR TTL LOGIN\"\nS: OK\n";
    replay(false, true, &format!("{greeting}C: XCLIENT ADDR=2001:db8::7 TTL=6\nS: NO\n= BROKEN forwarding"));
    // A backend that does not trust us is told nothing, and the caller learns of it.
    replay(false, true, "S: \"SASL\" \"PLAIN\"\nS: OK\n= READY false");
    replay(false, true, "S: \"XCLIENT\" \"LOGIN\"\nS: OK\n= READY false");
    // Nothing was asked: nothing is said.
    replay(false, false, "S: \"SASL\" \"PLAIN\"\nS: \"XCLIENT\"\nS: OK\n= READY true");
}

#[test]
fn capabilities_after_xclient() {
    let greeting = format!("S: \"SASL\" \"LOGIN\"\nS: \"XCLIENT\"\nS: OK\nC: {XCLIENT}\n");
    let login = "= READY true\n> PLAIN x\nC: AUTHENTICATE \"PLAIN\" \"eA==\"";
    let noop = "C: NOOP \"xclient-taken\"\n";
    let block = "S: \"SASL\" \"PLAIN\"\nS: OK \"again\"\n";
    let tagged = "S: OK (TAG {13}\nS: xclient-taken) \"Done\"\n";
    for answer in [
        block.to_owned(),
        format!("S: OK\n{noop}{block}{tagged}"),
        format!("S: OK\n{noop}{block}S: OK \"no tag\"\n"),
        format!("S: OK\n{noop}{block}S: NO \"no such command\"\n"),
    ] {
        replay(false, true, &format!("{greeting}{answer}{login}"));
    }
    for answer in ["S: OK \"no tag\"\n", "S: NO \"no such command\"\n", tagged] {
        replay(false, true, &format!("{greeting}S: OK\n{noop}{answer}= READY true"));
    }
}

#[test]
fn an_answer_that_was_not_asked_for_breaks_the_leg() {
    let block = &b"\"SASL\" \"PLAIN\"\r\nOK\r\n"[..];
    for (pieces, expected) in [
        (&[block, b"OK \"in\"\r\n\"more\""][..], "ACCEPTED |OK \\\"in\\\"\\r\\n"),
        (&[b"\"SASL\" \"PLAIN\"\r\nOK\r\nOK \"in\"\r\n"], "BROKEN protocol"),
        (&[b"\"SASL\" \"LOGIN\"\r\nOK\r\n", b"\"\"\r\n\"\"\r\n"], "BROKEN protocol"),
        (&[b"\"SASL\" \"LOGIN\"\r\nOK\r\n", b"OK \"in\"\r\n"], "BROKEN protocol"),
    ] {
        let mut replay = Replay::new(context(false, false));
        assert_eq!(crate::transcript::in_one_write(&mut replay, pieces), expected, "{pieces:?}");
    }
}

#[test]
fn faults() {
    for (starttls, script) in [
        (false, "S: 220 mail ESMTP\n= BROKEN greeting"),
        (false, "S: * OK imap\n= BROKEN greeting"),
        (false, "S: +OK pop\n= BROKEN greeting"),
        (false, "S: OK MPD 0.23\n= BROKEN greeting"),
        (false, "S: BYE \"busy\"\n= BROKEN greeting"),
        (false, "S: \"SASL\" \"PLAIN\"\nS: NO\n= BROKEN greeting"),
        (false, "S: \"SASL\" \"PLAIN\"\nS: eh\n= BROKEN greeting"),
        (true, "S: \"SASL\" \"PLAIN\"\nS: OK\n= BROKEN no_starttls"),
        (true, "S: \"STARTTLS\"\nS: OK\nC: STARTTLS\nS: NO\n= BROKEN no_starttls"),
        (true, "S: \"STARTTLS\"\nS: OK\nC: STARTTLS\nS: \"SASL\" \"PLAIN\"\n= BROKEN protocol"),
        (true, "S: \"STARTTLS\"\nS: OK\nC: STARTTLS\nS: BYE\n= BROKEN closed"),
        (true, "S: \"STARTTLS\"\nS: OK\nC: STARTTLS\nS: OK\nTLS\nS: OK\n= BROKEN protocol"),
        (true, "S: \"STARTTLS\"\nS: OK\nC: STARTTLS\nS: OK\nTLS\nS: NO\n= BROKEN protocol"),
        (true, "S: \"STARTTLS\"\nS: OK\nC: STARTTLS\nS: OK\nTLS\nS: eh\n= BROKEN protocol"),
    ] {
        replay(starttls, false, script);
    }
    for (sasl, script) in [
        // PLAIN has no second challenge.
        ("PLAIN", "> PLAIN x\nC: AUTHENTICATE \"PLAIN\" \"eA==\"\nS: \"\"\n= BROKEN protocol"),
        // Accepted before anything was said.
        ("LOGIN", "> login a b\nC: AUTHENTICATE \"LOGIN\"\nS: OK\n= BROKEN protocol"),
    ] {
        replay(false, false, &format!("{}{script}", ready(sasl)));
    }
    for (answer, fault) in [("\"!!!\"", "protocol"), ("\"SASL\" \"PLAIN\"", "protocol"), ("e30=", "protocol")]
    {
        let login = "> XOAUTH2 x\nC: AUTHENTICATE \"XOAUTH2\" \"eA==\"";
        replay(false, false, &format!("{}{login}\nS: {answer}\n= BROKEN {fault}", ready("XOAUTH2")));
    }
}

#[test]
fn a_bye_in_place_of_the_verdict_keeps_its_text() {
    for (answer, event) in [
        ("BYE \"enough\"", r#"NOT NOW |NO (TRYLATER) \"enough\"\r\n"#),
        ("BYE", "NOT NOW |NO (TRYLATER)\\r\\n"),
        ("BYE (TRYLATER) \"later\"", r#"NOT NOW |NO (TRYLATER) \"later\"\r\n"#),
        ("BYE (AUTH-TOO-WEAK) \"locked\"", r#"REFUSED |NO (AUTH-TOO-WEAK) \"locked\"\r\n"#),
    ] {
        let login = "> PLAIN x\nC: AUTHENTICATE \"PLAIN\" \"eA==\"";
        replay(false, false, &format!("{}{login}\nS: {answer}\n= {event}", ready("PLAIN")));
    }
}

#[test]
fn bounds_of_what_a_backend_may_send() {
    let hundred = "S: \"X\"\n".repeat(100);
    replay(false, false, &format!("{hundred}S: OK\n= READY true"));
    replay(false, false, &format!("{hundred}S: \"X\"\n= BROKEN protocol"));
    let endless = "x".repeat(64 * 1024);
    replay(false, false, &format!("S| {endless}\n= BROKEN protocol"));
    replay(false, false, "S: \"SASL\" {70000}\n= BROKEN protocol");
}

#[test]
fn cleartext_after_the_response_to_starttls_is_a_fault() {
    let mut replay = Replay::new(context(true, false));
    let mut inbox = Inbox::new(1000);
    inbox.receive(b"\"STARTTLS\"\r\nOK\r\n");
    assert!(matches!(replay.feed(&mut inbox), Step::Write(_)));
    inbox.receive(b"OK\r\n\"SASL\" \"PLAIN\"\r\nOK\r\n");
    let step = replay.feed(&mut inbox);
    assert!(matches!(step, Step::Event(BackendEvent::Broken(Fault::StartTlsInjected))), "{step:?}");
}

#[test]
fn input_after_a_success_belongs_to_the_session() {
    let mut replay = Replay::new(context(false, false));
    let mut inbox = Inbox::new(1000);
    inbox.receive(b"\"SASL\" \"PLAIN\"\r\nOK\r\n");
    assert!(matches!(replay.feed(&mut inbox), Step::Event(BackendEvent::Ready { introduced: true })));
    assert!(matches!(replay.authenticate(&password("a", "b")), Step::Write(_)));
    inbox.receive(b"OK\r\n\"active\" ACTIVE\r\n");
    assert!(matches!(replay.feed(&mut inbox), Step::Event(BackendEvent::Accepted(_))));
    assert_eq!(inbox.unread(), b"\"active\" ACTIVE\r\n");
}

#[test]
fn a_cancelled_token_gets_the_backends_refusal() {
    replay(
        false,
        false,
        &format!(
            "{}> XOAUTH2 x\nC: AUTHENTICATE \"XOAUTH2\" \"eA==\"\nS: \"e30=\"\n= CHALLENGE {{}}\n> cancel\nC: \"*\"\nS: NO \"no\"\n= REFUSED |NO \\\"no\\\"\\r\\n",
            ready("XOAUTH2")
        ),
    );
}
