//! Clients of IMAP, before their login.

use super::*;

fn encrypted(script: &str) {
    let greeting = "S: * OK [CAPABILITY IMAP4rev1 SASL-IR LITERAL+ AUTH=PLAIN AUTH=LOGIN AUTH=XOAUTH2 AUTH=SCRAM-SHA-256] ready\n";
    play_dialogue(|| Box::new(Dialogue::new(opening(Channel::Encrypted))), &format!("{greeting}{script}"));
}

fn clear(channel: Channel, script: &str) {
    play_dialogue(|| Box::new(Dialogue::new(opening(channel))), script);
}

#[test]
fn small_commands() {
    encrypted(
        r#"C: a1 CAPABILITY
           S: * CAPABILITY IMAP4rev1 SASL-IR LITERAL+ AUTH=PLAIN AUTH=LOGIN AUTH=XOAUTH2 AUTH=SCRAM-SHA-256
           S: a1 OK Capability completed
           C: a2 noop
           S: a2 OK Nothing done
           C: a3 ID ("name" "mutt")
           S: * ID ("name" "Pointsman")
           S: a3 OK ID completed
           C: a4 SELECT INBOX
           S: a4 BAD Log in first
           C: a5 ENABLE UTF8=ACCEPT
           S: a5 BAD Log in first
           C: a6 NOOP now
           S: a6 BAD Error in command arguments
           C: a7 STARTTLS
           S: a7 BAD The connection is encrypted already
           C: a8 LOGOUT
           S: * BYE Logging out
           S: a8 OK Logout completed
           END"#,
    );
}

#[test]
fn a_login_with_pipelined_commands() {
    encrypted(
        r"C: a LOGIN alice@example.org secret
          = LOGIN alice@example.org secret
          > accepted * CAPABILITY X\r\n|OK [READ-WRITE] Logged in
          S: * CAPABILITY X
          S: a OK [READ-WRITE] Logged in
          END",
    );
    let mut dialogue = Dialogue::new(opening(Channel::Encrypted));
    let mut inbox = Inbox::new(1000);
    inbox.receive(b"a LOGIN alice secret\r\nb SELECT INBOX\r\nc FETCH 1 ALL\r\n");
    assert!(matches!(dialogue.feed(&mut inbox), Step::Event(_)));
    assert_eq!(inbox.unread(), b"b SELECT INBOX\r\nc FETCH 1 ALL\r\n");
}

#[test]
fn after_a_refused_login_the_client_may_try_again() {
    encrypted(
        r"C: a LOGIN alice wrong
          = LOGIN alice wrong
          > refused NO [AUTHENTICATIONFAILED] No.
          S: a NO [AUTHENTICATIONFAILED] No.
          C: b LOGIN bob wrong
          = LOGIN bob wrong
          > refused
          S: b NO [AUTHENTICATIONFAILED] Authentication failed
          C: c LOGIN bob secret
          = LOGIN bob secret
          > unavailable
          S: c NO [UNAVAILABLE] The mail server cannot be reached right now, try again later
          C: d LOGIN bob secret
          = LOGIN bob secret
          > not-now NO [INUSE] Later
          S: d NO [INUSE] Later
          C: e NOOP
          S: e OK Nothing done",
    );
}

#[test]
fn literals() {
    encrypted(
        r"C: a LOGIN {5}
          S: + OK
          C: alice {8+}
          C| se\r\ncr\x00e\r\n
          S: a BAD Error in command arguments",
    );
}

#[test]
fn literals_carry_any_bytes_but_nul() {
    encrypted(
        r"C| a LOGIN {5}\r\n
          S: + OK
          C| alice {7}\r\n
          S: + OK
          C| s\xff\r\n{}\\\r\n
          = LOGIN alice s\xff\r\n{}\\
          > refused
          S: a NO [AUTHENTICATIONFAILED] Authentication failed",
    );
}

#[test]
fn sasl_with_and_without_initial_response() {
    encrypted(
        r"C: a AUTHENTICATE PLAIN AGFsaWNlAHNlY3JldA==
          = PLAIN \x00alice\x00secret
          > refused
          S: a NO [AUTHENTICATIONFAILED] Authentication failed
          C: b AUTHENTICATE PLAIN
          S: + 
          C: AGFsaWNlAHNlY3JldA==
          = PLAIN \x00alice\x00secret
          > refused
          S: b NO [AUTHENTICATIONFAILED] Authentication failed
          C: c authenticate login
          S: + VXNlcm5hbWU6
          C: YWxpY2U=
          S: + UGFzc3dvcmQ6
          C: c2VjcmV0
          = LOGIN alice secret
          > refused
          S: c NO [AUTHENTICATIONFAILED] Authentication failed
          C: d AUTHENTICATE LOGIN YWxpY2U=
          S: + UGFzc3dvcmQ6
          C: *
          S: d BAD Authentication cancelled
          C: e AUTHENTICATE PLAIN =
          = PLAIN 
          > refused
          S: e NO [AUTHENTICATIONFAILED] Authentication failed
          C: f AUTHENTICATE PLAIN AGFsaWNlAHNlY3JldA
          S: f BAD Invalid base64 in the initial response
          C: g AUTHENTICATE PLAIN
          S: + 
          C: !!!
          S: g BAD Invalid base64 in the response
          C: h AUTHENTICATE CRAM-MD5
          S: h NO [CANNOT] Unsupported authentication mechanism",
    );
}

#[test]
fn challenges_are_relayed() {
    encrypted(
        r"C: a AUTHENTICATE SCRAM-SHA-256 biwsbj1hbGljZSxyPXg=
          = SCRAM-SHA-256 n,,n=alice,r=x
          > challenge r=xy,s=AA==,i=4096
          S: + cj14eSxzPUFBPT0saT00MDk2
          C: Yz1iaXdz
          = RESPONSE c=biws
          > challenge v=zz
          S: + dj16eg==
          C: 
          = RESPONSE 
          > accepted OK done
          S: a OK done
          END",
    );
    encrypted(
        r"C: a AUTHENTICATE XOAUTH2 eA==
          = XOAUTH2 x
          > challenge {}
          S: + e30=
          C: *
          = CANCELLED
          > cancelled
          S: a BAD Authentication cancelled
          C: b AUTHENTICATE XOAUTH2 eA==
          = XOAUTH2 x
          > challenge {}
          S: + e30=
          C: no base64
          = CANCELLED
          > cancelled
          S: b BAD Authentication cancelled",
    );
}

#[test]
fn passwords_need_encryption() {
    clear(
        Channel::Upgradable,
        r"S: * OK [CAPABILITY IMAP4rev1 SASL-IR LITERAL+ STARTTLS LOGINDISABLED AUTH=SCRAM-SHA-256] ready
          C: a LOGIN alice secret
          S: a NO [PRIVACYREQUIRED] Use STARTTLS first
          C: b AUTHENTICATE PLAIN
          S: b NO [PRIVACYREQUIRED] Use STARTTLS first
          C: c STARTTLS
          S: c OK Begin TLS negotiation now
          TLS
          C: d CAPABILITY
          S: * CAPABILITY IMAP4rev1 SASL-IR LITERAL+ AUTH=PLAIN AUTH=LOGIN AUTH=XOAUTH2 AUTH=SCRAM-SHA-256
          S: d OK Capability completed
          C: e LOGIN alice secret
          = LOGIN alice secret
          > accepted OK
          S: e OK
          END",
    );
    // The password is refused before it is sent, and what comes of it all the same is no command.
    clear(
        Channel::Plain,
        r"S: * OK [CAPABILITY IMAP4rev1 SASL-IR LITERAL+ LOGINDISABLED AUTH=SCRAM-SHA-256] ready
          C: a STARTTLS
          S: a BAD STARTTLS is not available
          C: b LOGIN {5}
          S: b NO [PRIVACYREQUIRED] Password login needs an encrypted connection
          S: * BYE Encryption needed
          END",
    );
}

#[test]
fn farewells() {
    for (why, words) in [
        ("timed-out", "Login took too long"),
        ("too-many-failures", "Too many failed logins"),
        ("too-busy", "[UNAVAILABLE] Too many connections, try again later"),
        ("shutting-down", "[UNAVAILABLE] The server is shutting down, connect again"),
    ] {
        encrypted(&format!("> {why}\nS: * BYE {words}\nEND"));
    }
}

#[test]
fn bounds_of_what_a_client_may_send() {
    // One byte more than a line may have: nothing is waited for.
    let long = "x".repeat(8 * 1024 + 1 - "a LOGIN alice ".len());
    encrypted(
        &format!(
            "C: a LOGIN alice {long}\nS: a BAD Command line or literal too long\nS: * BYE Too long\nEND"
        )
        .replace("C: a", "C| a"),
    );
    encrypted("C: a LOGIN {70000}\nS: a BAD Command line or literal too long\nS: * BYE Too long\nEND");
    encrypted("C: a LOGIN {70000+}\nS: a BAD Command line or literal too long\nS: * BYE Too long\nEND");
    // A token fits where a password would not.
    let token = "A".repeat(40_000);
    let shown = "\\x00".repeat(30_000);
    encrypted(&format!(
        "C: a AUTHENTICATE XOAUTH2 {token}\n= XOAUTH2 {shown}\n> refused\nS: a NO [AUTHENTICATIONFAILED] Authentication failed"
    ));
    let unknown = "C: a FOO\nS: a BAD Unknown command\n".repeat(10);
    encrypted(&format!("{unknown}S: * BYE Too many unknown commands\nEND"));
}

#[test]
fn http_requests_close_the_connection() {
    encrypted(
        "C: POST / HTTP/1.1
         S: * BAD This is IMAP
         S: * BYE Not a mail client
         END",
    );
}

#[test]
fn literal_minus_limits_literals() {
    let offer = Offer { capabilities: vec!["LITERAL-".to_owned()], ..offer() };
    let opening = DialogueContext { offer: Arc::new(offer), ..opening(Channel::Encrypted) };
    let script = "S: * OK [CAPABILITY LITERAL- AUTH=PLAIN AUTH=LOGIN AUTH=XOAUTH2 AUTH=SCRAM-SHA-256] ready
                  C: a LOGIN {4097+}
                  S: a BAD Command line or literal too long
                  S: * BYE Too long
                  END";
    play_dialogue(|| Box::new(Dialogue::new(opening.clone())), script);
}

#[test]
fn an_untagged_refusal_counts_when_nothing_follows() {
    use crate::step::Replay as _;

    for (answer, expected) in [
        (
            &b"* NO [AUTHENTICATIONFAILED] Too many attempts\r\n"[..],
            Some(&b"NO [AUTHENTICATIONFAILED] Too many attempts\r\n"[..]),
        ),
        (b"* NO [UNAVAILABLE] Later\r\n", None),
        (b"* OK Still thinking\r\n", None),
    ] {
        let mut replay = Replay::new(ReplayContext {
            starttls: false,
            forward: None,
            client_info: ClientInfo::default(),
            hostname: String::new(),
        });
        let mut inbox = Inbox::new(1000);
        inbox.receive(b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] x\r\n");
        assert!(matches!(replay.feed(&mut inbox), Step::Event(_)));
        assert_eq!(replay.incomplete_refusal(), None, "no credential was sent");
        assert!(matches!(replay.authenticate(&crate::transcript::password("a", "b")), Step::Write(_)));
        inbox.receive(answer);
        assert!(matches!(replay.feed(&mut inbox), Step::NeedMore));
        assert_eq!(replay.incomplete_refusal().map(|reply| reply.last), expected.map(<[u8]>::to_vec));
    }
}

#[test]
fn cleartext_after_the_response_to_starttls_is_a_fault() {
    let mut replay = Replay::new(ReplayContext {
        starttls: true,
        forward: None,
        client_info: ClientInfo::default(),
        hostname: String::new(),
    });
    let mut inbox = Inbox::new(1000);
    inbox.receive(b"* OK [CAPABILITY STARTTLS] x\r\n");
    assert!(matches!(replay.feed(&mut inbox), Step::Write(_)));
    inbox.receive(b"P1 OK go\r\n* CAPABILITY AUTH=PLAIN\r\n");
    let step = replay.feed(&mut inbox);
    assert!(
        matches!(step, Step::Event(crate::step::BackendEvent::Broken(types::fault::Fault::StartTlsInjected))),
        "{step:?}"
    );
}

#[test]
fn spellings_beyond_the_grammar() {
    encrypted(
        r#"C: a  NOOP 
           S: a OK Nothing done
           C: b ID
           S: * ID ("name" "Pointsman")
           S: b OK ID completed
           C: c ID ( "name" "x" )
           S: * ID ("name" "Pointsman")
           S: c OK ID completed
           C: d  LOGIN  "alice\\@example.org"  "my HTTP/1.1" 
           = LOGIN alice@example.org my HTTP/1.1
           > mechanism-unavailable
           S: d NO [CANNOT] Unsupported authentication mechanism
           C: e LOGIN alice@example.org "my HTTP/1.1
           S: e BAD Error in command arguments"#,
    );
}

#[test]
fn an_id_of_thirty_long_values() {
    let pairs: Vec<String> =
        (0..30).map(|number| format!("\"field{number}\" \"{}\"", "x".repeat(1024))).collect();
    encrypted(&format!(
        "C: a ID ({})\nS: * ID (\"name\" \"Pointsman\")\nS: a OK ID completed",
        pairs.join(" ")
    ));
}
