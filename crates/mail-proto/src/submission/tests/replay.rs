//! Logins that are replayed at backends over submission.

use super::*;

#[test]
fn a_backend_that_separates_mechanisms_with_a_tab() {
    replay(
        false,
        false,
        &format!(
            "{}> login alice secret\nC: AUTH LOGIN\nS: 334 VXNlcm5hbWU6\nC: YWxpY2U=\nS: 334 UGFzc3dvcmQ6\nC: c2VjcmV0\nS: 235 in\n= ACCEPTED |235 in\\r\\n",
            ready(&["AUTH\tLOGIN"])
        ),
    );
}

#[test]
fn a_cancelled_token_gets_the_backends_refusal() {
    replay(
        false,
        false,
        &format!(
            "{}> XOAUTH2 x\nC: AUTH XOAUTH2 eA==\nS: 334 e30=\n= CHALLENGE {{}}\n> cancel\nC: *\nS: 535 no\n= REFUSED |535 no\\r\\n",
            ready(&["AUTH XOAUTH2"])
        ),
    );
}

// The backend's side.

const XCLIENT: &str = "XCLIENT ADDR=IPV6:2001:db8::7 PORT=4711 HELO=pc PROTO=ESMTP";

fn replay(starttls: bool, forwards: bool, script: &str) {
    play_replay(|| Box::new(Replay::new(context(starttls, forwards, b"pc"))), script);
}

/// A backend that lists `keywords`, up to the point where it is ready.
fn ready(keywords: &[&str]) -> String {
    let lines: String = keywords.iter().map(|word| format!("S: 250-{word}\n")).collect();
    format!("S: 220 mail ESMTP\nC: EHLO proxy\nS: 250-mail\n{lines}S: 250 HELP\n= READY true\n")
}

#[test]
fn login_methods() {
    for (keyword, script) in [
        (
            "AUTH PLAIN LOGIN",
            r"> login alice secret
              C: AUTH PLAIN AGFsaWNlAHNlY3JldA==
              S: 235 2.7.0 Logged in
              = ACCEPTED |235 2.7.0 Logged in\r\n",
        ),
        (
            "AUTH=LOGIN",
            r"> login alice  sp\0\xff 
              C: AUTH LOGIN
              S: 334 VXNlcm5hbWU6
              C: YWxpY2U=
              S: 334 UGFzc3dvcmQ6
              C: IHNwAP8g
              S: 535-5.7.8 No
              S: 535 5.7.8 really
              = REFUSED |535-5.7.8 No\r\n535 5.7.8 really\r\n",
        ),
        (
            "AUTH LOGIN",
            r"> PLAIN \0alice\0secret
              C: AUTH LOGIN
              S: 334
              C: YWxpY2U=
              S: 454 4.7.0 later
              = NOT NOW |454 4.7.0 later\r\n",
        ),
        (
            "AUTH PLAIN",
            r"> PLAIN 
              C: AUTH PLAIN =
              S: 421 4.7.0 closing
              = NOT NOW |421 4.7.0 closing\r\n",
        ),
        (
            "AUTH SCRAM-SHA-256",
            r"> SCRAM-SHA-256 n,,n=alice,r=x
              C: AUTH SCRAM-SHA-256 biwsbj1hbGljZSxyPXg=
              S: 334 cj14eQ==
              = CHALLENGE r=xy
              > respond c=biws
              C: Yz1iaXdz
              S: 235 in
              = ACCEPTED |235 in\r\n",
        ),
        (
            "AUTH XOAUTH2",
            r"> XOAUTH2 x
              C: AUTH XOAUTH2 eA==
              S: 334 e30=
              = CHALLENGE {}
              > respond 
              C: 
              S: 535 5.7.8 expired
              = REFUSED |535 5.7.8 expired\r\n",
        ),
    ] {
        replay(false, false, &format!("{}{script}", ready(&[keyword])));
    }
}

#[test]
fn a_long_initial_response_waits_for_its_prompt() {
    // "AUTH XOAUTH2 " and CR LF leave 497 octets: 496 in base64.
    for (length, is_whole) in [(372, true), (373, false)] {
        let token = "x".repeat(length);
        let mut text = types::secret::Secret::default();
        credentials::sasl::encode_into(&mut text, token.as_bytes());
        let text = String::from_utf8(text.expose().to_vec()).expect("base64");
        let said = if is_whole {
            format!("C: AUTH XOAUTH2 {text}")
        } else {
            format!("C: AUTH XOAUTH2\nS: 334 \nC: {text}")
        };
        replay(
            false,
            false,
            &format!(
                "{}> XOAUTH2 {token}\n{said}\nS: 235 in\n= ACCEPTED |235 in\\r\\n",
                ready(&["AUTH XOAUTH2"])
            ),
        );
    }
}

#[test]
fn unavailable_mechanisms() {
    for (keyword, login, outcome) in [
        ("SIZE", "login alice secret", "BROKEN no_mechanism"),
        ("AUTH PLAIN", "XOAUTH2 x", "MECHANISM UNAVAILABLE"),
        ("AUTH LOGIN", "PLAIN bob\\0alice\\0secret", "MECHANISM UNAVAILABLE"),
    ] {
        replay(false, false, &format!("{}> {login}\nC: {outcome}", ready(&[keyword])));
    }
    for refusal in ["504 5.5.4 what?", "530 5.7.0 Must issue STARTTLS first", "538 5.7.11 encrypt"] {
        replay(
            false,
            false,
            &format!(
                "{}> PLAIN x\nC: AUTH PLAIN eA==\nS: {refusal}\n= REFUSED |{refusal}\\r\\n",
                ready(&["AUTH PLAIN"])
            ),
        );
    }
}

#[test]
fn starttls_and_xclient() {
    // What was offered before a handshake and before XCLIENT does not count.
    replay(
        true,
        true,
        &format!(
            r"S: 220-mail
              S: 220 ESMTP
              C: EHLO proxy
              S: 250-mail
              S: 250-AUTH LOGIN
              S: 250-XCLIENT SESSION
              S: 250 STARTTLS
              C: STARTTLS
              S: 220 2.0.0 go
              TLS
              C: EHLO proxy
              S: 250-mail
              S: 250-AUTH PLAIN LOGIN
              S: 250 XCLIENT NAME ADDR PORT PROTO HELO LOGIN
              C: {XCLIENT}
              S: 220 mail ESMTP
              C: EHLO pc
              S: 250-mail
              S: 250-AUTH XOAUTH2
              S: 250 XCLIENT NAME ADDR PORT PROTO HELO LOGIN
              = READY true
              > login alice secret
              C: MECHANISM UNAVAILABLE"
        ),
    );
    let asked =
        format!("S: 220 x\nC: EHLO proxy\nS: 250-x\nS: 250 XCLIENT ADDR PORT PROTO HELO\nC: {XCLIENT}\n");
    for (answer, fault) in [
        ("501 5.5.4 Bad attribute", "forwarding"),
        ("550 5.7.0 not you", "forwarding"),
        ("250 ok", "forwarding"),
        ("421 4.3.2 closing", "closed"),
        ("220 again\nC: EHLO pc\nS: 421 closing", "closed"),
        ("220 again\nC: EHLO pc\nS: 220 what", "protocol"),
        ("220 again\nC: EHLO pc\nS: 501 no\nC: EHLO proxy\nS: 501 no", "protocol"),
    ] {
        replay(false, true, &format!("{asked}S: {answer}\n= BROKEN {fault}"));
    }
    // A backend that takes none, or nothing that we would say: it is told nothing, and the caller learns of it.
    for keyword in ["HELP", "XCLIENT LOGIN", "XCLIENTS ADDR"] {
        replay(false, true, &format!("S: 220 x\nC: EHLO proxy\nS: 250-x\nS: 250 {keyword}\n= READY false"));
    }
    // Nothing was asked: nothing is said.
    replay(false, false, "S: 220 x\nC: EHLO proxy\nS: 250-x\nS: 250 XCLIENT ADDR\n= READY true");
}

#[test]
fn a_refused_client_name_is_not_a_fault() {
    let refused = "S: 220 x\nC: EHLO proxy\nS: 250-x\nS: 250 XCLIENT ADDR\n\
                   C: XCLIENT ADDR=IPV6:2001:db8::7\nS: 220 x\nC: EHLO pc\nS: 501 5.5.4 no name\n\
                   C: EHLO proxy\nS: 250-x\nS: 250 AUTH PLAIN\n= READY true";
    replay(false, true, refused);
}

#[test]
fn a_clients_name_cannot_end_the_line() {
    play_replay(
        || Box::new(Replay::new(context(false, true, b"pc\r\nXCLIENT LOGIN=admin"))),
        r"S: 220 x
          C: EHLO proxy
          S: 250-x
          S: 250 XCLIENT ADDR HELO PROTO LOGIN
          C: XCLIENT ADDR=IPV6:2001:db8::7
          S: 220 x
          C: EHLO proxy
          S: 250 x
          = READY true",
    );
}

#[test]
fn an_answer_that_was_not_asked_for_breaks_the_leg() {
    let greeting = &b"220 ready\r\n"[..];
    let list = &b"250-x\r\n250 AUTH PLAIN LOGIN\r\n"[..];
    for (pieces, expected) in [
        (&[greeting, list, b"235 2.7.0 in\r\n250 more"][..], "ACCEPTED |235 2.7.0 in\\r\\n"),
        (&[b"220 ready\r\n250 x\r\n"], "BROKEN protocol"),
        (&[greeting, b"250-x\r\n250 AUTH PLAIN\r\n235 in\r\n"], "BROKEN protocol"),
        (&[greeting, b"250-x\r\n250 AUTH LOGIN\r\n", b"334 \r\n334 \r\n"], "BROKEN protocol"),
        (&[greeting, b"250-x\r\n250 AUTH LOGIN\r\n", b"235 in\r\n"], "BROKEN protocol"),
    ] {
        let mut replay = Replay::new(context(false, false, b"pc"));
        assert_eq!(crate::transcript::in_one_write(&mut replay, pieces), expected, "{pieces:?}");
    }
}

#[test]
fn faults() {
    for (starttls, script) in [
        (false, "S: * OK imap\n= BROKEN greeting"),
        (false, "S: +OK pop\n= BROKEN greeting"),
        (false, "S: 554 go away\n= BROKEN greeting"),
        (false, "S: 421 busy\n= BROKEN greeting"),
        (false, "S: 220-x\nS: 221 y\n= BROKEN greeting"),
        (false, "S: \n= BROKEN greeting"),
        (false, "S: 220 x\nC: EHLO proxy\nS: 502 no\n= BROKEN protocol"),
        (false, "S: 220 x\nC: EHLO proxy\nS: 421 bye\n= BROKEN closed"),
        (false, "S: 220 x\nC: EHLO proxy\nS: what\n= BROKEN protocol"),
        (true, "S: 220 x\nC: EHLO proxy\nS: 250 STARTTLS\n= BROKEN no_starttls"),
        (
            true,
            "S: 220 x\nC: EHLO proxy\nS: 250-x\nS: 250 STARTTLS\nC: STARTTLS\nS: 454 no\n= BROKEN no_starttls",
        ),
    ] {
        replay(starttls, false, script);
    }
    for script in [
        // PLAIN has no second challenge.
        "> PLAIN x\nC: AUTH PLAIN eA==\nS: 334 \n= BROKEN protocol",
        // Accepted before anything was said.
        "> login a b\nC: AUTH LOGIN\nS: 235 in\n= BROKEN protocol",
        "> login a b\nC: AUTH LOGIN\nS: 334 \nC: YQ==\nS: 235 in\n= BROKEN protocol",
        // No yes to a login.
        "> XOAUTH2 x\nC: AUTH XOAUTH2 eA==\nS: 250 ok\n= BROKEN protocol",
        "> XOAUTH2 x\nC: AUTH XOAUTH2 eA==\nS: 354 go on\n= BROKEN protocol",
        "> XOAUTH2 x\nC: AUTH XOAUTH2 eA==\nS: 334 !!!\n= BROKEN protocol",
        "> XOAUTH2 x\nC: AUTH XOAUTH2 eA==\nS: 334-eA==\nS: 334 eA==\n= BROKEN protocol",
        "> XOAUTH2 x\nC: AUTH XOAUTH2 eA==\nS: eh\n= BROKEN protocol",
    ] {
        let keyword = if script.contains("LOGIN") { "AUTH LOGIN" } else { "AUTH PLAIN XOAUTH2" };
        replay(false, false, &format!("{}{script}", ready(&[keyword])));
    }
}

#[test]
fn bounds_of_what_a_backend_may_send() {
    let begun = "S: 220 x\nC: EHLO proxy\n";
    let lines = "S: 250-X\n".repeat(99);
    replay(false, false, &format!("{begun}{lines}S: 250 X\n= READY true"));
    replay(false, false, &format!("{begun}{lines}S: 250-X\nS: 250 X\n= BROKEN protocol"));
    let endless = "x".repeat(64 * 1024);
    replay(false, false, &format!("S| {endless}\n= BROKEN protocol"));
}

#[test]
fn cleartext_after_the_response_to_starttls_is_a_fault() {
    let mut replay = Replay::new(context(true, false, b"pc"));
    let mut inbox = Inbox::new(1000);
    for words in [&b"220 x\r\n"[..], b"250-x\r\n250 STARTTLS\r\n"] {
        inbox.receive(words);
        assert!(matches!(replay.feed(&mut inbox), Step::Write(_)));
    }
    inbox.receive(b"220 go\r\n250-x\r\n250 AUTH PLAIN\r\n");
    let step = replay.feed(&mut inbox);
    assert!(matches!(step, Step::Event(BackendEvent::Broken(Fault::StartTlsInjected))), "{step:?}");
}

#[test]
fn input_after_a_success_belongs_to_the_session() {
    let mut replay = Replay::new(context(false, false, b"pc"));
    let mut inbox = Inbox::new(1000);
    inbox.receive(b"220 x\r\n");
    assert!(matches!(replay.feed(&mut inbox), Step::Write(_)));
    inbox.receive(b"250-x\r\n250 AUTH PLAIN\r\n");
    assert!(matches!(replay.feed(&mut inbox), Step::Event(BackendEvent::Ready { introduced: true })));
    let attempt: Attempt = crate::transcript::password("alice", "secret");
    let step = crate::step::Replay::authenticate(&mut replay, &attempt);
    assert_eq!(format!("{step:?}"), "Write([redacted])");
    inbox.receive(b"235 in\r\n421 closing\r\n");
    assert!(matches!(replay.feed(&mut inbox), Step::Event(BackendEvent::Accepted(_))));
    assert_eq!(inbox.unread(), b"421 closing\r\n");
}
