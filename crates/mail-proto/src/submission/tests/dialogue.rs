//! Clients of submission, before their login.

use super::*;

/// Plays `script` behind the greeting.
fn fresh(opening: &DialogueContext, script: &str) {
    let script = format!("S: 220 mail.example.org ESMTP ready\n{script}");
    play_dialogue(|| Box::new(Dialogue::new(opening.clone())), &script);
}

/// Plays `script` behind the greeting and a HELO, on an encrypted connection.
fn encrypted(script: &str) {
    fresh(&opening(Channel::Encrypted), &format!("C: HELO pc\nS: 250 mail.example.org\n{script}"));
}

#[test]
fn small_commands() {
    fresh(
        &opening(Channel::Encrypted),
        r"C: EHLO [192.0.2.1]
          S: 250-mail.example.org
          S: 250-PIPELINING
          S: 250-SIZE 1000
          S: 250-AUTH PLAIN LOGIN XOAUTH2 SCRAM-SHA-256
          S: 250 AUTH=PLAIN LOGIN XOAUTH2 SCRAM-SHA-256
          C: helo pc
          S: 250 mail.example.org
          C: EHLO
          S: 501 5.5.4 Error in command arguments
          C: NOOP
          S: 250 2.0.0 Nothing done
          C: RSET
          S: 250 2.0.0 Nothing to reset
          C: HELP
          S: 214 2.0.0 Log in with AUTH, then send mail as in RFC 5321
          C: VRFY alice
          S: 252 2.7.0 Addresses are not verified here
          C: EXPN staff
          S: 252 2.7.0 Addresses are not verified here
          C: STARTTLS
          S: 503 5.5.1 The connection is encrypted already
          C: MAIL FROM:<a@example.org> SIZE=100
          S: 530 5.7.0 Log in first
          C: RCPT TO:<b@example.org>
          S: 530 5.7.0 Log in first
          C: DATA
          S: 530 5.7.0 Log in first
          C: FROBNICATE
          S: 500 5.5.1 Unknown command
          C: QUIT
          S: 221 2.0.0 Goodbye
          END",
    );
}

#[test]
fn a_login_after_starttls_without_a_second_ehlo() {
    fresh(
        &opening(Channel::Upgradable),
        r"C: EHLO pc
          S: 250-mail.example.org
          S: 250-PIPELINING
          S: 250-SIZE 1000
          S: 250-STARTTLS
          S: 250-AUTH SCRAM-SHA-256
          S: 250 AUTH=SCRAM-SHA-256
          C: STARTTLS
          S: 220 2.0.0 Begin TLS negotiation now
          TLS
          C: AUTH LOGIN  YWxpY2U=
          S: 334 UGFzc3dvcmQ6
          C: c2VjcmV0
          = LOGIN alice secret
          > mechanism-unavailable
          S: 504 5.5.4 Unsupported authentication mechanism",
    );
}

#[test]
fn a_login_without_ehlo() {
    fresh(
        &opening(Channel::Encrypted),
        r"C: AUTH PLAIN  AGFsaWNlAHNlY3JldA== 
          = PLAIN \x00alice\x00secret
          > accepted 235 2.7.0 Logged in
          S: 235 2.7.0 Logged in
          END",
    );
}

#[test]
fn commands_after_a_login_belong_to_the_session() {
    let mut dialogue = Dialogue::new(opening(Channel::Encrypted));
    let mut inbox = Inbox::new(1000);
    inbox.receive(b"HELO pc\r\nAUTH PLAIN AGEAYg==\r\nMAIL FROM:<>\r\nBDAT 5 LAST\r\nx\ny\r\n");
    assert!(matches!(dialogue.feed(&mut inbox), Step::Write(_)));
    let Step::Event(ClientEvent::Attempt(attempt)) = dialogue.feed(&mut inbox) else { panic!("no attempt") };
    assert_eq!(
        (attempt.client_info.helo.as_deref(), attempt.client_info.extended),
        (Some(&b"pc"[..]), false)
    );
    // While the verdict is awaited, nothing of it is read.
    assert!(matches!(dialogue.feed(&mut inbox), Step::NeedMore));
    assert_eq!(inbox.unread(), b"MAIL FROM:<>\r\nBDAT 5 LAST\r\nx\ny\r\n");
}

#[test]
fn the_bytes_of_a_message_are_not_commands() {
    encrypted("C: BDAT 20 LAST\nS: 530 5.7.0 Log in first\nEND");
    let mut dialogue = Dialogue::new(opening(Channel::Encrypted));
    let mut inbox = Inbox::new(1000);
    inbox.receive(b"HELO pc\r\nBDAT 27 LAST\r\nAUTH PLAIN AGEAYg==\r\n....\r\n");
    assert!(matches!(dialogue.feed(&mut inbox), Step::Write(_)));
    assert!(matches!(dialogue.feed(&mut inbox), Step::Close(_)));
    assert!(matches!(dialogue.feed(&mut inbox), Step::Close(rest) if rest.is_empty()));
}

#[test]
fn lines_end_with_cr_lf_and_contain_no_nul() {
    let bare = "S: 500 5.5.2 Lines must end with CR LF\nEND";
    encrypted(&format!("C| NOOP\\n\n{bare}"));
    encrypted(&format!("C| \\n\n{bare}"));
    encrypted(&format!("C: AUTH PLAIN\nS: 334 \nC| AGEAYg==\\n\n{bare}"));
    encrypted(
        r"C| NOOP\rMAIL FROM:<>\r\n
          S: 500 5.5.2 Forbidden byte in the command
          C| EHLO a\0b\r\n
          S: 500 5.5.2 Forbidden byte in the command
          C| AUTH PLAIN AGEA\0Yg==\r\n
          S: 500 5.5.2 Forbidden byte in the command
          C: NOOP
          S: 250 2.0.0 Nothing done",
    );
}

#[test]
fn after_a_refused_login_the_client_may_try_again() {
    let login = "C: AUTH PLAIN AGEAYg==\n= PLAIN \\x00a\\x00b\n";
    for (answer, words) in [
        ("refused", &["535 5.7.8 Authentication failed"][..]),
        ("refused 535 5.7.8 No.", &["535 5.7.8 No."]),
        ("refused 535-5.7.8 No\\r\\n535 5.7.8 really", &["535-5.7.8 No", "535 5.7.8 really"]),
        ("not-now 454 4.7.0 Later", &["454 4.7.0 Later"]),
        ("not-now 421 4.7.0 Closing", &["454 4.7.0 Closing"]),
        ("not-now 421-4.7.0 Closing\\r\\n421 soon", &["454-4.7.0 Closing", "454 soon"]),
        ("unavailable", &["454 4.7.0 The mail server cannot be reached right now, try again later"]),
    ] {
        let said: String = words.iter().map(|word| format!("S: {word}\n")).collect();
        encrypted(&format!("{login}> {answer}\n{said}{login}> refused\nS: 535 5.7.8 Authentication failed"));
    }
    encrypted(&format!("{login}> accepted 235-2.7.0 Yes\\r\\n235 in\nS: 235-2.7.0 Yes\nS: 235 in\nEND"));
}

#[test]
fn sasl_with_and_without_initial_response() {
    encrypted(
        r"C: AUTH PLAIN
          S: 334 
          C: AGFsaWNlAHNlY3JldA==
          = PLAIN \x00alice\x00secret
          > refused
          S: 535 5.7.8 Authentication failed
          C: auth login
          S: 334 VXNlcm5hbWU6
          C: YWxpY2U=
          S: 334 UGFzc3dvcmQ6
          C: c2VjcmV0
          = LOGIN alice secret
          > refused
          S: 535 5.7.8 Authentication failed
          C: AUTH LOGIN YWxpY2U=
          S: 334 UGFzc3dvcmQ6
          C: *
          S: 501 5.7.0 Authentication cancelled
          C: AUTH LOGIN YWxpY2U=
          S: 334 UGFzc3dvcmQ6
          C: 
          = LOGIN alice 
          > refused
          S: 535 5.7.8 Authentication failed
          C: AUTH PLAIN =
          = PLAIN 
          > refused
          S: 535 5.7.8 Authentication failed
          C: AUTH PLAIN AGFsaWNlAHNlY3JldA
          S: 501 5.5.2 Invalid base64 in the initial response
          C: AUTH PLAIN
          S: 334 
          C: !!!
          S: 501 5.5.2 Invalid base64 in the response
          C: AUTH PLAIN
          S: 334 
          C: =
          S: 501 5.5.2 Invalid base64 in the response
          C: AUTH CRAM-MD5
          S: 504 5.5.4 Unsupported authentication mechanism
          C: AUTH OAUTHBEARER eA==
          S: 504 5.5.4 Unsupported authentication mechanism
          C: AUTH
          S: 501 5.5.4 Error in command arguments
          C: AUTH PLAIN AGE= x
          S: 501 5.5.4 Error in command arguments",
    );
}

#[test]
fn challenges_are_relayed() {
    encrypted(
        r"C: AUTH SCRAM-SHA-256 biwsbj1hbGljZSxyPXg=
          = SCRAM-SHA-256 n,,n=alice,r=x
          > challenge r=xy,s=AA==,i=4096
          S: 334 cj14eSxzPUFBPT0saT00MDk2
          C: Yz1iaXdz
          = RESPONSE c=biws
          > challenge v=zz
          S: 334 dj16eg==
          C: 
          = RESPONSE 
          > accepted 235 done
          S: 235 done
          END",
    );
    encrypted(
        r"C: AUTH XOAUTH2 eA==
          = XOAUTH2 x
          > challenge {}
          S: 334 e30=
          C: 
          = RESPONSE 
          > refused 535 5.7.8 expired
          S: 535 5.7.8 expired
          C: AUTH XOAUTH2 eA==
          = XOAUTH2 x
          > challenge {}
          S: 334 e30=
          C: *
          = CANCELLED
          > cancelled
          S: 501 5.7.0 Authentication cancelled
          C: AUTH XOAUTH2 eA==
          = XOAUTH2 x
          > challenge {}
          S: 334 e30=
          C: no base64
          = CANCELLED
          > cancelled
          S: 501 5.7.0 Authentication cancelled
          C: NOOP
          S: 250 2.0.0 Nothing done",
    );
}

#[test]
fn passwords_need_encryption() {
    fresh(
        &opening(Channel::Upgradable),
        r"C: EHLO pc
          S: 250-mail.example.org
          S: 250-PIPELINING
          S: 250-SIZE 1000
          S: 250-STARTTLS
          S: 250-AUTH SCRAM-SHA-256
          S: 250 AUTH=SCRAM-SHA-256
          C: AUTH PLAIN
          S: 538 5.7.11 Use STARTTLS first
          C: AUTH LOGIN YWxpY2U=
          S: 538 5.7.11 Use STARTTLS first
          C: MAIL FROM:<>
          S: 530 5.7.0 Log in first
          C: STARTTLS now
          S: 501 5.5.4 Error in command arguments
          C: STARTTLS
          S: 220 2.0.0 Begin TLS negotiation now
          TLS
          C: HELO pc
          S: 250 mail.example.org
          C: STARTTLS
          S: 503 5.5.1 The connection is encrypted already
          C: AUTH PLAIN AGEAYg==
          = PLAIN \x00a\x00b
          > accepted 235 in
          S: 235 in
          END",
    );
    fresh(
        &opening(Channel::Plain),
        r"C: HELO pc
          S: 250 mail.example.org
          C: STARTTLS
          S: 502 5.5.1 STARTTLS is not available
          C: AUTH XOAUTH2 eA==
          S: 538 5.7.11 Password login needs an encrypted connection",
    );
    let only = |channel, cleartext_without_tls| {
        let sasl = vec![Mechanism::Plain];
        let offer = Offer { cleartext_without_tls, sasl, capabilities: Vec::new(), ..offer() };
        DialogueContext { offer: Arc::new(offer), ..opening(channel) }
    };
    fresh(
        &only(Channel::Upgradable, false),
        "C: EHLO pc\nS: 250-mail.example.org\nS: 250 STARTTLS\nC: MAIL FROM:<>\nS: 530 5.7.0 Use STARTTLS first",
    );
    fresh(&only(Channel::Plain, false), "C: EHLO pc\nS: 250 mail.example.org");
    fresh(
        &only(Channel::Plain, true),
        r"C: EHLO pc
          S: 250-mail.example.org
          S: 250-AUTH PLAIN
          S: 250 AUTH=PLAIN
          C: AUTH PLAIN AGEAYg==
          = PLAIN \x00a\x00b
          > refused
          S: 535 5.7.8 Authentication failed",
    );
}

#[test]
fn a_trusted_proxy_reports_its_client() {
    fresh(
        &trusting(),
        r"C: EHLO front
          S: 250-mail.example.org
          S: 250-PIPELINING
          S: 250-SIZE 1000
          S: 250-AUTH PLAIN LOGIN XOAUTH2 SCRAM-SHA-256
          S: 250-AUTH=PLAIN LOGIN XOAUTH2 SCRAM-SHA-256
          S: 250 XCLIENT ADDR PORT DESTADDR DESTPORT HELO PROTO SESSION TTL
          C: XCLIENT ADDR=nobody
          S: 501 5.5.4 Error in XCLIENT attributes
          C: XCLIENT
          S: 501 5.5.4 Error in command arguments
          C: XCLIENT ADDR=IPV6:2001:db8::7 PORT=4711 SESSION=abc TTL=3
          S: 220 mail.example.org ESMTP ready",
    );
    encrypted("C: XCLIENT ADDR=192.0.2.1\nS: 500 5.5.1 Unknown command");

    let six = "[2001:db8::7]:4711";
    for (opening, attributes, client, helo, extended) in [
        (trusting(), "PORT=4711 HELO=pc PROTO=SMTP", Some(six), "pc", false),
        (trusting(), "PORT=4711 HELO=pc PROTO=ESMTP", Some(six), "pc", true),
        // Not told: then the front repeats what its client said.
        (trusting(), "PORT=4711", Some(six), "front", true),
        (opening(Channel::Encrypted), "PORT=4711 HELO=pc", None, "front", true),
    ] {
        let mut dialogue = Dialogue::new(opening);
        let mut inbox = Inbox::new(1000);
        let said =
            format!("XCLIENT ADDR=IPV6:2001:db8::7 {attributes}\r\nEHLO front\r\nAUTH PLAIN AGEAYg==\r\n");
        inbox.receive(said.as_bytes());
        assert!(matches!(dialogue.feed(&mut inbox), Step::Write(_)));
        assert!(matches!(dialogue.feed(&mut inbox), Step::Write(_)));
        let Step::Event(ClientEvent::Attempt(attempt)) = dialogue.feed(&mut inbox) else {
            panic!("no attempt")
        };
        let ClientInfo { forwarded, helo: client_info, extended: is_extended, .. } = attempt.client_info;
        assert_eq!(
            forwarded.map(|forwarded| forwarded.client),
            client.map(|text| text.parse().expect("address"))
        );
        assert_eq!((client_info.as_deref(), is_extended), (Some(helo.as_bytes()), extended), "{attributes}");
    }
}

#[test]
fn farewells() {
    for (why, words) in [
        (CloseReason::TimedOut, "421 4.4.2 Login took too long"),
        (CloseReason::TooManyFailures, "421 4.7.0 Too many failed logins"),
        (CloseReason::TooBusy, "421 4.3.2 Too many connections, try again later"),
        (CloseReason::ShuttingDown, "421 4.3.2 The server is shutting down, connect again"),
        (CloseReason::Ended, "421 4.3.2 The session was ended, connect again"),
        (CloseReason::Unavailable, "421 4.3.2 The mail server cannot be reached right now"),
    ] {
        let mut dialogue = Dialogue::new(opening(Channel::Encrypted));
        assert_eq!(dialogue.farewell(why), format!("{words}\r\n").into_bytes());
        assert!(matches!(dialogue.feed(&mut Inbox::new(10)), Step::Close(rest) if rest.is_empty()));
    }
}

#[test]
fn bounds_of_what_a_client_may_send() {
    let fits = "x".repeat(8 * 1024 - "NOOP \r".len());
    encrypted(&format!("C: NOOP {fits}\nS: 250 2.0.0 Nothing done"));
    // One byte more than a line may have: nothing is waited for.
    encrypted(&format!("C| NOOP {fits}xx\nS: 500 5.5.2 Command line too long\nEND"));
    // A token fits where a host name would not.
    let token = "A".repeat(40_000);
    let shown = "\\x00".repeat(30_000);
    let login = format!("= XOAUTH2 {shown}\n> refused\nS: 535 5.7.8 Authentication failed");
    encrypted(&format!("C: AUTH XOAUTH2 {token}\n{login}"));
    encrypted(&format!("C: AUTH XOAUTH2\nS: 334 \nC: {token}\n{login}"));
    let endless = "A".repeat(64 * 1024);
    encrypted(&format!("C: AUTH PLAIN\nS: 334 \nC| {endless}\nS: 500 5.5.6 Response too long\nEND"));
    let initial = "A".repeat(64 * 1024 - "AUTH PLAIN ".len());
    encrypted(&format!("C| AUTH PLAIN {initial}\nS: 500 5.5.2 Command line too long\nEND"));
    let unknown = "C: FOO\nS: 500 5.5.1 Unknown command\n".repeat(9);
    encrypted(&format!("{unknown}C: \nS: 421 4.7.0 Too many unknown commands\nEND"));
    fresh(&opening(Channel::Plain), "C: POST / HTTP/1.1\nS: 500 5.5.1 This is SMTP\nEND");
}
