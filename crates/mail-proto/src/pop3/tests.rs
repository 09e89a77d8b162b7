//! POP3 as conversations, byte for byte.

use std::sync::Arc;

use proptest::prelude::*;

use super::{Dialogue, Replay};
use crate::inbox::Inbox;
use crate::step::Dialogue as _;
use crate::step::{
    BackendEvent, Channel, ClientEvent, Forward, Machine, Offer, Opening, ReplayContext, Step,
};
use crate::transcript::{play_dialogue, play_replay};
use crate::verdict::{CloseReason, Verdict};
use credentials::attempt::{ClientInfo, Mechanism};
use types::fault::Fault;
use types::secret::Secret;

fn offer() -> Offer {
    use Mechanism::{Login, Plain, ScramSha256, XOAuth2};
    Offer {
        hostname: "mail.example.org".to_owned(),
        banner: "ready".to_owned(),
        sasl: vec![Plain, Login, XOAuth2, ScramSha256],
        capabilities: Vec::new(),
        notify: Vec::new(),
        implementation: String::new(),
        cleartext_without_tls: false,
    }
}

fn opening(channel: Channel) -> Opening {
    Opening { offer: Arc::new(offer()), channel, trusts_front: false }
}

fn encrypted(script: &str) {
    clear(Channel::Encrypted, &format!("S: +OK ready\n{script}"));
}

fn clear(channel: Channel, script: &str) {
    play_dialogue(|| Box::new(Dialogue::new(opening(channel))), script);
}

#[test]
fn small_commands() {
    encrypted(
        r"C: CAPA
          S: +OK Capability list follows
          S: TOP
          S: UIDL
          S: RESP-CODES
          S: AUTH-RESP-CODE
          S: PIPELINING
          S: UTF8
          S: LANG
          S: USER
          S: SASL PLAIN LOGIN XOAUTH2 SCRAM-SHA-256
          S: .
          C: noop
          S: +OK Nothing done
          C: AUTH
          S: +OK Mechanisms follow
          S: PLAIN
          S: LOGIN
          S: XOAUTH2
          S: SCRAM-SHA-256
          S: .
          C: APOP alice c4c9334bac560ecc979e58001b3e22fb
          S: -ERR APOP is not offered here
          C: STAT
          S: -ERR Log in first
          C: RETR 1
          S: -ERR Log in first
          C: NOOP now
          S: -ERR Error in command arguments
          C: STLS
          S: -ERR The connection is encrypted already
          C: QUIT
          S: +OK Logging out
          END",
    );
}

#[test]
fn a_login_and_what_is_pipelined_behind_it() {
    encrypted(
        r"C: USER alice@example.org
          S: +OK Send the password
          C: PASS secret
          = LOGIN alice@example.org secret
          > accepted +OK 3 messages
          S: +OK 3 messages
          END",
    );
    let mut dialogue = Dialogue::new(opening(Channel::Encrypted));
    let mut inbox = Inbox::new(1000);
    inbox.receive(b"USER alice\r\nPASS secret\r\nSTAT\r\nRETR 1\r\n");
    let Step::Write(words) = dialogue.feed(&mut inbox) else { panic!("no answer to USER") };
    assert_eq!(words.expose(), b"+OK Send the password\r\n");
    assert!(matches!(dialogue.feed(&mut inbox), Step::Event(ClientEvent::Attempt(_))));
    assert_eq!(inbox.unread(), b"STAT\r\nRETR 1\r\n");
    // While the verdict is awaited, nothing of it is read.
    assert!(matches!(dialogue.feed(&mut inbox), Step::NeedMore));
    assert_eq!(inbox.unread(), b"STAT\r\nRETR 1\r\n");
}

#[test]
fn passwords_are_bytes() {
    encrypted(
        r#"C: USER %"al\\ice
           S: +OK Send the password
           C: PASS  sp aced\xff 
           = LOGIN %\"al\\ice  sp aced\xff 
           > refused
           S: -ERR [AUTH] Authentication failed
           C: USER alice
           S: +OK Send the password
           C: PASS 
           = LOGIN alice 
           > refused
           S: -ERR [AUTH] Authentication failed
           C| USER alice\n
           S: +OK Send the password
           C| PASS a\0b\n
           S: -ERR A byte that no command may hold
           C| PASS a\rb\r\n
           S: -ERR A byte that no command may hold
           C: PASS x HTTP/1.1
           = LOGIN alice x HTTP/1.1
           > refused
           S: -ERR [AUTH] Authentication failed"#,
    );
}

#[test]
fn refused_logins_stay_at_our_prompt() {
    encrypted(
        r"C: PASS secret
          S: -ERR No user name: send USER first
          C: USER alice
          S: +OK Send the password
          C: PASS wrong
          = LOGIN alice wrong
          > refused -ERR [AUTH] No.
          S: -ERR [AUTH] No.
          C: PASS again
          S: -ERR No user name: send USER first
          C: USER carol
          S: +OK Send the password
          C: USER bob
          S: +OK Send the password
          C: NOOP
          S: +OK Nothing done
          C: PASS secret
          = LOGIN bob secret
          > unavailable
          S: -ERR [SYS/TEMP] The mail server cannot be reached right now, try again later
          C: USER bob
          S: +OK Send the password
          C: PASS secret
          = LOGIN bob secret
          > not-now -ERR [IN-USE] Later
          S: -ERR [IN-USE] Later",
    );
}

#[test]
fn sasl_with_and_without_initial_response() {
    encrypted(
        r"C: AUTH PLAIN AGFsaWNlAHNlY3JldA==
          = PLAIN \x00alice\x00secret
          > refused
          S: -ERR [AUTH] Authentication failed
          C: AUTH PLAIN
          S: + 
          C: AGFsaWNlAHNlY3JldA==
          = PLAIN \x00alice\x00secret
          > refused
          S: -ERR [AUTH] Authentication failed
          C: auth login
          S: + VXNlcm5hbWU6
          C: YWxpY2U=
          S: + UGFzc3dvcmQ6
          C: c2VjcmV0
          = LOGIN alice secret
          > refused
          S: -ERR [AUTH] Authentication failed
          C: AUTH LOGIN YWxpY2U=
          S: + UGFzc3dvcmQ6
          C: *
          S: -ERR Authentication cancelled
          C: AUTH PLAIN =
          = PLAIN 
          > refused
          S: -ERR [AUTH] Authentication failed
          C: AUTH PLAIN AGFsaWNlAHNlY3JldA
          S: -ERR Invalid base64 in the initial response
          C: AUTH PLAIN
          S: + 
          C: !!!
          S: -ERR Invalid base64 in the response
          C: AUTH CRAM-MD5
          S: -ERR Unsupported authentication mechanism
          C: AUTH OAUTHBEARER eA==
          S: -ERR Unsupported authentication mechanism",
    );
}

#[test]
fn challenges_are_relayed() {
    encrypted(
        r"C: AUTH SCRAM-SHA-256 biwsbj1hbGljZSxyPXg=
          = SCRAM-SHA-256 n,,n=alice,r=x
          > challenge r=xy,s=AA==,i=4096
          S: + cj14eSxzPUFBPT0saT00MDk2
          C: Yz1iaXdz
          = RESPONSE c=biws
          > challenge v=zz
          S: + dj16eg==
          C: 
          = RESPONSE 
          > accepted +OK done
          S: +OK done
          END",
    );
    encrypted(
        r"C: AUTH XOAUTH2 eA==
          = XOAUTH2 x
          > challenge {}
          S: + e30=
          C: 
          = RESPONSE 
          > refused -ERR [AUTH] expired
          S: -ERR [AUTH] expired
          C: AUTH XOAUTH2 eA==
          = XOAUTH2 x
          > challenge {}
          S: + e30=
          C: *
          = CANCELLED
          > cancelled
          S: -ERR Authentication cancelled
          C: AUTH XOAUTH2 eA==
          = XOAUTH2 x
          > challenge {}
          S: + e30=
          C: no base64
          = CANCELLED
          > cancelled
          S: -ERR Authentication cancelled
          C: NOOP
          S: +OK Nothing done",
    );
}

#[test]
fn passwords_need_encryption() {
    clear(
        Channel::Upgradable,
        r"S: +OK ready
          C: CAPA
          S: +OK Capability list follows
          S: TOP
          S: UIDL
          S: RESP-CODES
          S: AUTH-RESP-CODE
          S: PIPELINING
          S: UTF8
          S: LANG
          S: STLS
          S: SASL SCRAM-SHA-256
          S: .
          C: USER alice
          S: -ERR Use STLS first
          C: PASS secret
          S: -ERR Use STLS first
          C: AUTH PLAIN
          S: -ERR Use STLS first
          C: AUTH PLAIN AGFsaWNlAHNlY3JldA==
          S: -ERR Use STLS first
          C: STLS
          S: +OK Begin TLS negotiation now
          TLS
          C: USER alice
          S: +OK Send the password
          C: PASS secret
          = LOGIN alice secret
          > accepted +OK
          S: +OK
          END",
    );
    clear(
        Channel::Plain,
        r"S: +OK ready
          C: STLS
          S: -ERR STLS is not available
          C: USER alice
          S: -ERR Password login needs an encrypted connection
          C: AUTH
          S: +OK Mechanisms follow
          S: SCRAM-SHA-256
          S: .",
    );
    let offer = Offer { cleartext_without_tls: true, sasl: vec![Mechanism::Plain], ..offer() };
    let opening = Opening { offer: Arc::new(offer), ..opening(Channel::Plain) };
    let script = "S: +OK ready\nC: USER alice\nS: +OK Send the password\nC: PASS x\n= LOGIN alice x\n> refused\nS: -ERR [AUTH] Authentication failed";
    play_dialogue(|| Box::new(Dialogue::new(opening.clone())), script);
}

#[test]
fn passwords_where_none_are_offered() {
    let offer = Offer { sasl: vec![Mechanism::XOAuth2], ..offer() };
    let opening = Opening { offer: Arc::new(offer), ..opening(Channel::Encrypted) };
    let script = "S: +OK ready\nC: USER alice\nS: -ERR Password login is not offered here";
    play_dialogue(|| Box::new(Dialogue::new(opening.clone())), script);
}

#[test]
fn what_came_before_the_handshake_is_forgotten() {
    let offer = Offer { cleartext_without_tls: true, ..offer() };
    let opening = Opening { offer: Arc::new(offer), ..opening(Channel::Upgradable) };
    let script = "S: +OK ready
                  C: USER mallory
                  S: +OK Send the password
                  C: STLS
                  S: +OK Begin TLS negotiation now
                  TLS
                  C: PASS secret
                  S: -ERR No user name: send USER first";
    play_dialogue(|| Box::new(Dialogue::new(opening.clone())), script);
}

#[test]
fn a_fronts_word_counts_where_it_is_trusted() {
    let trusting = Opening { trusts_front: true, ..opening(Channel::Encrypted) };
    let script = "S: +OK [XCLIENT] ready
                  C: XCLIENT ADDR=nobody
                  S: -ERR Error in XCLIENT attributes
                  C: XCLIENT
                  S: -ERR Error in command arguments
                  C: XCLIENT ADDR=2001:db8::7 PORT=4711 SESSION=abc TTL=3
                  S: +OK Updated";
    play_dialogue(|| Box::new(Dialogue::new(trusting.clone())), script);
    encrypted("C: XCLIENT ADDR=192.0.2.1\nS: -ERR Unknown command");

    for (opening, expected) in [(trusting, Some("[2001:db8::7]:4711")), (opening(Channel::Encrypted), None)] {
        let mut dialogue = Dialogue::new(opening);
        let mut inbox = Inbox::new(1000);
        inbox.receive(b"XCLIENT ADDR=2001:db8::7 PORT=4711\r\nAUTH PLAIN AGEAYg==\r\n");
        assert!(matches!(dialogue.feed(&mut inbox), Step::Write(_)));
        let Step::Event(ClientEvent::Attempt(attempt)) = dialogue.feed(&mut inbox) else {
            panic!("no attempt")
        };
        assert_eq!(
            attempt.client_info.front.map(|front| front.client),
            expected.map(|text| text.parse().expect("address"))
        );
    }
}

#[test]
fn goodbyes() {
    for (why, words) in [
        (CloseReason::TimedOut, "Login took too long"),
        (CloseReason::TooManyFailures, "Too many failed logins"),
        (CloseReason::TooBusy, "[SYS/TEMP] Too many connections, try again later"),
        (CloseReason::ShuttingDown, "[SYS/TEMP] The server is shutting down, connect again"),
        (CloseReason::Ended, "[SYS/TEMP] The session was ended, connect again"),
        (CloseReason::Unavailable, "[SYS/TEMP] The mail server cannot be reached right now"),
    ] {
        let mut dialogue = Dialogue::new(opening(Channel::Encrypted));
        assert_eq!(dialogue.farewell(why), format!("-ERR {words}\r\n").into_bytes());
        assert!(matches!(dialogue.feed(&mut Inbox::new(10)), Step::Close(rest) if rest.is_empty()));
    }
}

#[test]
fn bounds_of_what_a_client_may_send() {
    let fits = "x".repeat(8 * 1024 - "USER \r".len());
    encrypted(&format!("C: USER {fits}\nS: +OK Send the password"));
    // One byte more than a line may have: nothing is waited for.
    encrypted(&format!("C| USER {fits}xx\nS: -ERR Command line too long\nEND"));
    // A token fits where a password would not.
    let token = "A".repeat(40_000);
    let shown = "\\x00".repeat(30_000);
    encrypted(&format!(
        "C: AUTH XOAUTH2 {token}\n= XOAUTH2 {shown}\n> refused\nS: -ERR [AUTH] Authentication failed"
    ));
    let endless = "A".repeat(64 * 1024);
    encrypted(&format!("C: AUTH PLAIN\nS: + \nC| {endless}\nS: -ERR Response too long\nEND"));
    let unknown = "C: FOO\nS: -ERR Unknown command\n".repeat(9);
    encrypted(&format!("{unknown}C: \nS: -ERR Too many unknown commands\nEND"));
    encrypted("C: POST / HTTP/1.1\nS: -ERR This is POP3\nEND");
}

// The backend's side.

fn forward() -> Forward {
    Forward {
        client: "[2001:db8::7]:4711".parse().expect("address"),
        local: "198.51.100.1:995".parse().expect("address"),
        session: "abcdefgh23456723".to_owned(),
        ttl: 6,
        encrypted: true,
    }
}

fn context(starttls: bool, forwards: bool) -> ReplayContext {
    ReplayContext {
        starttls,
        forward: forwards.then(forward),
        client_info: ClientInfo::default(),
        hostname: "proxy".to_owned(),
    }
}

fn replay(starttls: bool, forwards: bool, script: &str) {
    play_replay(|| Box::new(Replay::new(context(starttls, forwards))), script);
}

/// A backend that lists `capabilities`, up to the point where it is ready.
fn ready(capabilities: &[&str]) -> String {
    let lines: String = capabilities.iter().map(|word| format!("S: {word}\n")).collect();
    format!("S: +OK ready\nC: CAPA\nS: +OK list\n{lines}S: .\n= READY true\n")
}

#[test]
fn the_best_way_in_is_taken() {
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
fn no_way_in() {
    for (capabilities, login) in [
        (&["TOP"][..], "login alice secret"),
        (&["SASL PLAIN"], "XOAUTH2 x"),
        // What would end the line is not sent, and nothing else is.
        (&["USER"], "login alice a\\r\\nb"),
        (&["USER"], "login al\\nice secret"),
        (&["USER"], "login alice a\\0b"),
        (&["USER"], "PLAIN \\0alice\\0a\\nDELE"),
    ] {
        replay(false, false, &format!("{}> {login}\nC: BROKEN no_mechanism", ready(capabilities)));
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
fn utf8_and_lang() {
    encrypted(
        r"C: LANG
          S: +OK Language listing follows
          S: en English
          S: .
          C: LANG *
          S: +OK en English it is
          C: lang EN
          S: +OK en English it is
          C: LANG tlh
          S: -ERR No such language here
          C: UTF8
          S: +OK UTF8 enabled
          C: USER \xc3\xa9ve@example.org
          S: +OK Send the password
          C: PASS x
          = LOGIN \xc3\xa9ve@example.org x
          > refused
          S: -ERR [AUTH] Authentication failed",
    );
    // The mode is part of what an attempt tells, and is forgotten with the rest at a handshake.
    for (commands, expected) in
        [(&b"UTF8\r\nUSER a\r\nPASS b\r\n"[..], true), (b"USER a\r\nPASS b\r\n", false)]
    {
        let mut dialogue = Dialogue::new(opening(Channel::Encrypted));
        let mut inbox = Inbox::new(1000);
        inbox.receive(commands);
        let attempt = loop {
            match dialogue.feed(&mut inbox) {
                Step::Write(_) => {}
                Step::Event(ClientEvent::Attempt(attempt)) => break attempt,
                step => panic!("{step:?}"),
            }
        };
        assert_eq!(attempt.client_info.utf8, expected);
        dialogue.secured();
        inbox.receive(b"AUTH XOAUTH2 YQ==\r\n");
        let Step::Event(ClientEvent::Attempt(attempt)) = dialogue.feed(&mut inbox) else {
            panic!("no attempt")
        };
        assert!(!attempt.client_info.utf8);
    }
}

#[test]
fn the_clients_utf8_mode_is_entered_at_a_backend_that_has_it() {
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
        assert_eq!(crate::transcript::in_one_breath(&mut replay, pieces), expected, "{pieces:?}");
    }
}

#[test]
fn what_breaks_a_leg() {
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
fn bytes_behind_the_answer_to_stls_break_the_leg() {
    let mut replay = Replay::new(context(true, false));
    let mut inbox = Inbox::new(1000);
    inbox.receive(b"+OK x\r\n");
    assert!(matches!(replay.feed(&mut inbox), Step::Write(_)));
    inbox.receive(b"+OK go\r\n+OK [XCLIENT]\r\n");
    let step = replay.feed(&mut inbox);
    assert!(matches!(step, Step::Event(BackendEvent::Broken(Fault::StartTlsInjected))), "{step:?}");
}

#[test]
fn what_the_backend_says_behind_its_yes_is_the_sessions() {
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

proptest! {
    /// Whatever comes, in whatever pieces: no panic, and neither side ever waits with a full inbox.
    #[test]
    fn any_input_is_survived(
        input in proptest::collection::vec(
            prop_oneof![
                "[ -~]{0,20}".prop_map(String::into_bytes),
                Just(b"\r\n".to_vec()),
                Just(b"USER a\r\nPASS ".to_vec()),
                Just(b"AUTH PLAIN ".to_vec()),
                Just(b"AUTH LOGIN\r\n".to_vec()),
                Just(b"XCLIENT ADDR=".to_vec()),
                Just(b"+OK [XCLIENT] ".to_vec()),
                Just(b".\r\n+ \r\n".to_vec()),
                proptest::collection::vec(any::<u8>(), 0..20),
                Just(vec![b'x'; 300]),
            ],
            0..30,
        ),
        starttls in any::<bool>(),
        trusts_front in any::<bool>(),
    ) {
        let mut dialogue = Dialogue::new(Opening { trusts_front, ..opening(Channel::Encrypted) });
        let mut replay = Replay::new(context(starttls, true));
        let mut inboxes = [Inbox::new(256), Inbox::new(256)];
        for piece in input {
            inboxes[0].receive(&piece);
            inboxes[1].receive(&piece);
            let mut last = dialogue.feed(&mut inboxes[0]);
            while let Step::Write(_) = last {
                last = dialogue.feed(&mut inboxes[0]);
            }
            match last {
                Step::NeedMore => prop_assert!(!inboxes[0].is_full()),
                Step::Event(_) => {
                    let _ = dialogue.answer(Verdict::Refused(None));
                }
                _ => {}
            }
            for _ in 0..100 {
                match replay.feed(&mut inboxes[1]) {
                    Step::Event(BackendEvent::Ready { .. }) => {
                        let attempt = crate::transcript::password("a", "b");
                        let _ = crate::step::Replay::authenticate(&mut replay, &attempt);
                    }
                    Step::StartTls(_) => { replay.secured(); }
                    Step::Write(_) => {}
                    _ => break,
                }
            }
        }
    }
}
