//! Clients of POP3, before their login.

use super::*;

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
fn a_login_with_pipelined_commands() {
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
           S: -ERR Forbidden byte in the command
           C| PASS a\rb\r\n
           S: -ERR Forbidden byte in the command
           C: PASS x HTTP/1.1
           = LOGIN alice x HTTP/1.1
           > refused
           S: -ERR [AUTH] Authentication failed"#,
    );
}

#[test]
fn after_a_refused_login_the_client_may_try_again() {
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
    let opening = DialogueContext { offer: Arc::new(offer), ..opening(Channel::Plain) };
    let script = "S: +OK ready\nC: USER alice\nS: +OK Send the password\nC: PASS x\n= LOGIN alice x\n> refused\nS: -ERR [AUTH] Authentication failed";
    play_dialogue(|| Box::new(Dialogue::new(opening.clone())), script);
}

#[test]
fn passwords_without_a_password_mechanism() {
    let offer = Offer { sasl: vec![Mechanism::XOAuth2], ..offer() };
    let opening = DialogueContext { offer: Arc::new(offer), ..opening(Channel::Encrypted) };
    let script = "S: +OK ready\nC: USER alice\nS: -ERR Password login is not offered here";
    play_dialogue(|| Box::new(Dialogue::new(opening.clone())), script);
}

#[test]
fn state_from_before_the_handshake_is_discarded() {
    let offer = Offer { cleartext_without_tls: true, ..offer() };
    let opening = DialogueContext { offer: Arc::new(offer), ..opening(Channel::Upgradable) };
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
fn a_trusted_proxy_reports_its_client() {
    let trusting = DialogueContext { peer_is_trusted: true, ..opening(Channel::Encrypted) };
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
            attempt.client_info.forwarded.map(|forwarded| forwarded.client),
            expected.map(|text| text.parse().expect("address"))
        );
    }
}

#[test]
fn farewells() {
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

#[test]
fn spaces_around_arguments() {
    encrypted(
        r"C: NOOP 
          S: +OK Nothing done
          C: AUTH  PLAIN  AGEAYg== 
          = PLAIN \x00a\x00b
          > mechanism-unavailable
          S: -ERR Unsupported authentication mechanism
          C: QUIT 
          S: +OK Logging out
          END",
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
          S: +OK en Language changed to English
          C: lang EN
          S: +OK en Language changed to English
          C: LANG tlh
          S: -ERR Unknown language
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
