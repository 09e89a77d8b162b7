//! Logins that are replayed at backends over POP3.

use super::*;

fn replay(starttls: bool, forwards: bool, script: &str) {
    play_replay(|| Box::new(Replay::new(context(starttls, forwards))), script);
}

/// A backend that lists `capabilities`, up to the point where it is ready.
fn ready(capabilities: &[&str]) -> String {
    let lines: String = capabilities.iter().map(|word| format!("S: {word}\n")).collect();
    format!("S: +OK ready\nC: CAPA\nS: +OK list\n{lines}S: .\n= READY true\n")
}

#[test]
fn login_methods() {
    for (capabilities, script) in [
        (
            &["USER", "SASL PLAIN LOGIN"][..],
            r"> login alice secret
              C: AUTH PLAIN
              S: + 
              C: AGFsaWNlAHNlY3JldA==
              S: +OK Logged in
              = ACCEPTED |+OK Logged in\r\n",
        ),
        (
            &["USER"],
            r"> login alice  sp%\xff 
              C: USER alice
              S: +OK
              C: PASS  sp%\xff 
              S: -ERR [AUTH] no
              = REFUSED |-ERR [AUTH] no\r\n",
        ),
        (
            &["SASL LOGIN"],
            r"> login alice secret
              C: AUTH LOGIN
              S: + VXNlcm5hbWU6
              C: YWxpY2U=
              S: + UGFzc3dvcmQ6
              C: c2VjcmV0
              S: -ERR [SYS/TEMP] later
              = NOT NOW |-ERR [SYS/TEMP] later\r\n",
        ),
        (
            &["USER"],
            r"> login alice secret
              C: USER alice
              S: -ERR [IN-USE] busy
              = NOT NOW |-ERR [IN-USE] busy\r\n",
        ),
        (
            &["USER"],
            r"> PLAIN \0alice\0secret
              C: USER alice
              S: -ERR no such user
              = REFUSED |-ERR no such user\r\n",
        ),
        (
            &["SASL SCRAM-SHA-256"],
            r"> SCRAM-SHA-256 n,,n=alice,r=x
              C: AUTH SCRAM-SHA-256
              S: + 
              C: biwsbj1hbGljZSxyPXg=
              S: + cj14eQ==
              = CHALLENGE r=xy
              > respond c=biws
              C: Yz1iaXdz
              S: +OK in
              = ACCEPTED |+OK in\r\n",
        ),
        (
            &["SASL XOAUTH2"],
            r"> XOAUTH2 x
              C: AUTH XOAUTH2
              S: +
              C: eA==
              S: + e30=
              = CHALLENGE {}
              > respond 
              C: 
              S: -ERR [AUTH] expired
              = REFUSED |-ERR [AUTH] expired\r\n",
        ),
        (&["SASL PLAIN"], "> PLAIN x\nC: AUTH PLAIN\nS: -ERR no\n= REFUSED |-ERR no\\r\\n"),
    ] {
        replay(false, false, &format!("{}{script}", ready(capabilities)));
    }
}

#[test]
fn a_capability_list_without_user_and_sasl() {
    replay(
        false,
        false,
        &format!(
            "{}> login alice secret\nC: USER alice\nS: +OK\nC: PASS secret\nS: +OK in\n= ACCEPTED |+OK in\\r\\n",
            ready(&["TOP"])
        ),
    );
}

#[test]
fn a_cancelled_token_gets_the_backends_refusal() {
    replay(
        false,
        false,
        &format!(
            "{}> XOAUTH2 x\nC: AUTH XOAUTH2\nS: + \nC: eA==\nS: + e30=\n= CHALLENGE {{}}\n> cancel\nC: *\nS: -ERR no\n= REFUSED |-ERR no\\r\\n",
            ready(&["SASL XOAUTH2"])
        ),
    );
}

#[test]
fn unavailable_mechanisms() {
    for (capabilities, login) in [
        (&["SASL PLAIN"][..], "XOAUTH2 x"),
        (&["SASL SCRAM-SHA-256"], "login alice secret"),
        (&["TOP"], "XOAUTH2 x"),
        // An argument that would end the line is not sent.
        (&["USER"], "login alice a\\r\\nb"),
        (&["USER"], "login al\\nice secret"),
        (&["USER"], "login alice a\\0b"),
        (&["USER"], "PLAIN \\0alice\\0a\\nDELE"),
    ] {
        replay(false, false, &format!("{}> {login}\nC: MECHANISM UNAVAILABLE", ready(capabilities)));
    }
}

#[test]
fn a_backend_older_than_capabilities() {
    replay(
        false,
        false,
        r"S: +OK POP3 <1896.697170952@dbc.mtview.ca.us>
          C: CAPA
          S: -ERR what?
          = READY true
          > login alice secret
          C: USER alice
          S: +OK
          C: PASS secret
          S: +OK
          = ACCEPTED |+OK\r\n",
    );
}

#[test]
fn the_clients_utf8_mode_is_entered_at_the_backend() {
    for script in [
        "S: USER\nS: UTF8 USER\nS: .\nC: UTF8\nS: +OK\n= READY true",
        // It is no reason to turn a client away.
        "S: USER\nS: utf8\nS: .\nC: UTF8\nS: -ERR no\n= READY true",
        "S: USER\nS: UTF8\nS: .\nC: UTF8\nS: + \n= BROKEN protocol",
        "S: USER\nS: UTF80\nS: .\n= READY true",
    ] {
        let client_info = ClientInfo { utf8: true, ..ClientInfo::default() };
        let make = || {
            Box::new(Replay::new(ReplayContext { client_info: client_info.clone(), ..context(false, false) }))
                as _
        };
        play_replay(make, &format!("S: +OK ready\nC: CAPA\nS: +OK list\n{script}"));
    }
    replay(false, false, "S: +OK ready\nC: CAPA\nS: +OK list\nS: UTF8\nS: .\n= READY true");
}

#[test]
fn stls_and_xclient() {
    let xclient = "XCLIENT ADDR=2001:db8::7 PORT=4711 DESTADDR=198.51.100.1 DESTPORT=995 \
                   SESSION=abcdefgh23456723 TTL=6 CLIENT-TRANSPORT=TLS";
    replay(
        true,
        true,
        &format!(
            r"S: +OK [XCLIENT] ready
              C: STLS
              S: +OK go
              TLS
              C: {xclient}
              S: +OK Updated
              C: CAPA
              S: +OK list
              S: SASL PLAIN
              S: .
              = READY true"
        ),
    );
    replay(false, true, &format!("S: +OK [XCLIENT] x\nC: {xclient}\nS: -ERR no\n= BROKEN forwarding"));
    replay(false, true, &format!("S: +OK [XCLIENT] x\nC: {xclient}\nS: + \n= BROKEN forwarding"));
    // A backend that does not trust us is told nothing, and the caller learns of it.
    replay(false, true, "S: +OK ready\nC: CAPA\nS: -ERR no\n= READY false");
    // Nothing was asked: nothing is said.
    replay(false, false, "S: +OK [XCLIENT] ready\nC: CAPA\nS: -ERR no\n= READY true");
}

#[test]
fn an_answer_that_was_not_asked_for_breaks_the_leg() {
    let list = &b"+OK list\r\nSASL PLAIN\r\n.\r\n"[..];
    for (pieces, expected) in [
        (&[&b"+OK ready\r\n"[..], list, b"+ \r\n", b"+OK in\r\n* more"][..], "ACCEPTED |+OK in\\r\\n"),
        (&[b"+OK ready\r\n+OK\r\n"], "BROKEN protocol"),
        (&[b"+OK ready\r\n", b"+OK list\r\nSASL PLAIN\r\n.\r\n+ \r\n"], "BROKEN protocol"),
        (&[b"+OK ready\r\n", list, b"+ \r\n+OK in\r\n"], "BROKEN protocol"),
        (&[b"+OK ready\r\n", b"+OK\r\nUSER\r\n.\r\n", b"+OK\r\n+OK in\r\n"], "BROKEN protocol"),
        (&[b"+OK ready\r\n", list, b"+OK in\r\n"], "BROKEN protocol"),
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
        (false, "S: -ERR busy\n= BROKEN greeting"),
        (false, "S: + \n= BROKEN greeting"),
        (false, "S: \n= BROKEN greeting"),
        (true, "S: +OK x\nC: STLS\nS: -ERR no\n= BROKEN no_starttls"),
        (true, "S: +OK x\nC: STLS\nS: * OK\n= BROKEN no_starttls"),
        (false, "S: +OK x\nC: CAPA\nS: + what\n= BROKEN protocol"),
        (false, "S: +OK x\nC: CAPA\nS: 250 what\n= BROKEN protocol"),
    ] {
        replay(starttls, false, script);
    }
    for script in [
        // PLAIN has no second challenge.
        "> PLAIN x\nC: AUTH PLAIN\nS: + \nC: eA==\nS: + \n= BROKEN protocol",
        // Accepted before anything was said.
        "> PLAIN x\nC: AUTH PLAIN\nS: +OK\n= BROKEN protocol",
        "> XOAUTH2 x\nC: AUTH XOAUTH2\nS: + \nC: eA==\nS: + !!!\n= BROKEN protocol",
        "> XOAUTH2 x\nC: AUTH XOAUTH2\nS: + \nC: eA==\nS: eh\n= BROKEN protocol",
    ] {
        replay(false, false, &format!("{}{script}", ready(&["SASL PLAIN XOAUTH2"])));
    }
    replay(false, false, &format!("{}> login a b\nC: USER a\nS: + \n= BROKEN protocol", ready(&["USER"])));
}

#[test]
fn bounds_of_what_a_backend_may_send() {
    let hundred = "S: X\n".repeat(100);
    replay(false, false, &format!("S: +OK x\nC: CAPA\nS: +OK\n{hundred}S: .\n= READY true"));
    replay(false, false, &format!("S: +OK x\nC: CAPA\nS: +OK\n{hundred}S: X\n= BROKEN protocol"));
    let endless = "x".repeat(64 * 1024);
    replay(false, false, &format!("S| {endless}\n= BROKEN protocol"));
}

#[test]
fn cleartext_after_the_response_to_stls_is_a_fault() {
    let mut replay = Replay::new(context(true, false));
    let mut inbox = Inbox::new(1000);
    inbox.receive(b"+OK x\r\n");
    assert!(matches!(replay.feed(&mut inbox), Step::Write(_)));
    inbox.receive(b"+OK go\r\n+OK [XCLIENT]\r\n");
    let step = replay.feed(&mut inbox);
    assert!(matches!(step, Step::Event(BackendEvent::Broken(Fault::StartTlsInjected))), "{step:?}");
}

#[test]
fn input_after_a_success_belongs_to_the_session() {
    let mut replay = Replay::new(context(false, false));
    let mut inbox = Inbox::new(1000);
    inbox.receive(b"+OK x\r\n");
    assert!(matches!(replay.feed(&mut inbox), Step::Write(_)));
    inbox.receive(b"-ERR no\r\n");
    assert!(matches!(replay.feed(&mut inbox), Step::Event(BackendEvent::Ready { introduced: true })));
    let attempt = crate::transcript::password("alice", "secret");
    let Step::Write(user) = crate::step::Replay::authenticate(&mut replay, &attempt) else {
        panic!("no USER")
    };
    assert_eq!(user.expose(), b"USER alice\r\n");
    inbox.receive(b"+OK\r\n");
    assert!(matches!(replay.feed(&mut inbox), Step::Write(_)));
    inbox.receive(b"+OK in\r\n+OK 3 messages\r\n");
    assert!(matches!(replay.feed(&mut inbox), Step::Event(BackendEvent::Accepted(_))));
    assert_eq!(inbox.unread(), b"+OK 3 messages\r\n");
    assert_eq!(format!("{:?}", Secret::copy_of(user.expose())), "[redacted]");
}
