//! Clients of ManageSieve, before their login.

use super::*;

fn encrypted(script: &str) {
    clear(Channel::Encrypted, &format!("{BLOCK}S: OK \"ready\"\n{script}"));
}

fn clear(channel: Channel, script: &str) {
    play_dialogue(|| Box::new(Dialogue::new(opening(channel))), script);
}

#[test]
fn small_commands() {
    encrypted(&format!(
        r#"C: CAPABILITY
           {BLOCK}
           S: OK "Capability completed"
           C: noop
           S: OK "Nothing done"
           C: NOOP "sync \\"1\\""
           S: OK (TAG "sync \\"1\\"") "Nothing done"
           C| NOOP {{4+}}\r\na\r\nb\r\n
           S: OK (TAG {{4}}
           S: a
           S: b) "Nothing done"
           C: NOOP x
           S: NO "Error in command arguments"
           C: LISTSCRIPTS
           S: NO "Log in first"
           C: UNAUTHENTICATE
           S: NO "Log in first"
           C: STARTTLS
           S: NO "The connection is encrypted already"
           C| NOOP\n
           S: OK "Nothing done"
           C: LOGOUT
           S: OK "Logging out"
           END"#
    ));
}

#[test]
fn a_login_with_pipelined_commands() {
    encrypted(
        r#"C: AUTHENTICATE "PLAIN" "AGFsaWNlAHNlY3JldA=="
           = PLAIN \x00alice\x00secret
           > accepted OK "Logged in."
           S: OK "Logged in."
           END"#,
    );
    let mut dialogue = Dialogue::new(opening(Channel::Encrypted));
    let mut inbox = Inbox::new(1000);
    inbox.receive(b"AUTHENTICATE \"PLAIN\" \"AGEAYg==\"\r\nLISTSCRIPTS\r\nPUTSCRIPT \"x\" {4+}\r\nkeep\r\n");
    assert!(matches!(dialogue.feed(&mut inbox), Step::Event(ClientEvent::Attempt(_))));
    let rest = b"LISTSCRIPTS\r\nPUTSCRIPT \"x\" {4+}\r\nkeep\r\n";
    assert_eq!(inbox.unread(), rest);
    // While the verdict is awaited, nothing of it is read.
    assert!(matches!(dialogue.feed(&mut inbox), Step::NeedMore));
    assert_eq!(inbox.unread(), rest);
}

#[test]
fn after_a_refused_login_the_client_may_try_again() {
    encrypted(
        r#"C: AUTHENTICATE "PLAIN" "AGEAYg=="
           = PLAIN \x00a\x00b
           > refused NO (AUTH-TOO-WEAK) "No."
           S: NO (AUTH-TOO-WEAK) "No."
           C: AUTHENTICATE "PLAIN" "AGEAYg=="
           = PLAIN \x00a\x00b
           > refused
           S: NO "Authentication failed"
           C: AUTHENTICATE "PLAIN" "AGEAYg=="
           = PLAIN \x00a\x00b
           > unavailable
           S: NO (TRYLATER) "The mail server cannot be reached right now, try again later"
           C: AUTHENTICATE "PLAIN" "AGEAYg=="
           = PLAIN \x00a\x00b
           > not-now NO (TRYLATER) "Later"
           S: NO (TRYLATER) "Later"
           C: NOOP
           S: OK "Nothing done""#,
    );
}

#[test]
fn sasl_inline_as_literal_and_as_continuation() {
    encrypted(
        r#"C| AUTHENTICATE "PLAIN" {8+}\r\nAGEAYg==\r\n
           = PLAIN \x00a\x00b
           > refused
           S: NO "Authentication failed"
           C: AUTHENTICATE "PLAIN"
           S: ""
           C: "AGEAYg=="
           = PLAIN \x00a\x00b
           > refused
           S: NO "Authentication failed"
           C: AUTHENTICATE "PLAIN"
           S: ""
           C| {8+}\r\nAGEAYg==\r\n
           = PLAIN \x00a\x00b
           > refused
           S: NO "Authentication failed"
           C: authenticate "login"
           S: "VXNlcm5hbWU6"
           C: "YWxpY2U="
           S: "UGFzc3dvcmQ6"
           C: "c2VjcmV0"
           = LOGIN alice secret
           > refused
           S: NO "Authentication failed"
           C: AUTHENTICATE "LOGIN" "YWxpY2U="
           S: "UGFzc3dvcmQ6"
           C: "*"
           S: NO "Authentication cancelled"
           C: AUTHENTICATE "PLAIN"
           S: ""
           C: *
           S: NO "Authentication cancelled"
           C: AUTHENTICATE "PLAIN" ""
           = PLAIN 
           > refused
           S: NO "Authentication failed"
           C: AUTHENTICATE "PLAIN" "="
           = PLAIN 
           > refused
           S: NO "Authentication failed"
           C: AUTHENTICATE "PLAIN" "AGEAYg"
           S: NO "Invalid base64 in the initial response"
           C: AUTHENTICATE "PLAIN"
           S: ""
           C: "!!!"
           S: NO "Invalid base64 in the response"
           C: AUTHENTICATE "PLAIN"
           S: ""
           C: AGEAYg==
           S: NO "Invalid base64 in the response"
           C: AUTHENTICATE "CRAM-MD5"
           S: NO "Unsupported authentication mechanism"
           C: AUTHENTICATE PLAIN
           S: NO "Error in command arguments""#,
    );
}

#[test]
fn challenges_are_relayed() {
    encrypted(
        r#"C: AUTHENTICATE "SCRAM-SHA-256" "biwsbj1hbGljZSxyPXg="
           = SCRAM-SHA-256 n,,n=alice,r=x
           > challenge r=xy,s=AA==,i=4096
           S: "cj14eSxzPUFBPT0saT00MDk2"
           C: "Yz1iaXdz"
           = RESPONSE c=biws
           > accepted OK (SASL "dj16eg==")
           S: OK (SASL "dj16eg==")
           END"#,
    );
    encrypted(
        r#"C: AUTHENTICATE "XOAUTH2" "eA=="
           = XOAUTH2 x
           > challenge {}
           S: "e30="
           C: ""
           = RESPONSE 
           > refused NO "expired"
           S: NO "expired"
           C: AUTHENTICATE "XOAUTH2" "eA=="
           = XOAUTH2 x
           > challenge {}
           S: "e30="
           C: "*"
           = CANCELLED
           > cancelled
           S: NO "Authentication cancelled"
           C: AUTHENTICATE "XOAUTH2" "eA=="
           = XOAUTH2 x
           > challenge {}
           S: "e30="
           C: no string
           = CANCELLED
           > cancelled
           S: NO "Authentication cancelled"
           C: NOOP
           S: OK "Nothing done""#,
    );
    // A challenge too long for quotes goes as a literal.
    let challenge = "\\0".repeat(900);
    let text = "A".repeat(1200);
    encrypted(&format!(
        "C: AUTHENTICATE \"XOAUTH2\" \"eA==\"\n= XOAUTH2 x\n> challenge {challenge}\nS: {{1200}}\nS: {text}\nC: \"*\"\n= CANCELLED\n> cancelled\nS: NO \"Authentication cancelled\""
    ));
}

#[test]
fn passwords_need_encryption() {
    clear(
        Channel::Upgradable,
        &format!(
            r#"S: "IMPLEMENTATION" "Pointsman"
               S: "SIEVE" "fileinto vacation"
               S: "SASL" "SCRAM-SHA-256"
               S: "STARTTLS"
               S: "VERSION" "1.0"
               S: OK "ready"
               C: AUTHENTICATE "PLAIN"
               S: NO (ENCRYPT-NEEDED) "Use STARTTLS first"
               C: AUTHENTICATE "PLAIN" "AGEAYg=="
               S: NO (ENCRYPT-NEEDED) "Use STARTTLS first"
               C: STARTTLS
               S: OK "Begin TLS negotiation now"
               TLS
               {BLOCK}
               S: OK "TLS negotiation successful"
               C: AUTHENTICATE "PLAIN" "AGEAYg=="
               = PLAIN \x00a\x00b
               > accepted OK
               S: OK
               END"#
        ),
    );
    clear(
        Channel::Plain,
        r#"S: "IMPLEMENTATION" "Pointsman"
           S: "SIEVE" "fileinto vacation"
           S: "SASL" "SCRAM-SHA-256"
           S: "VERSION" "1.0"
           S: OK "ready"
           C: STARTTLS
           S: NO "STARTTLS is not available"
           C: AUTHENTICATE "LOGIN"
           S: NO (ENCRYPT-NEEDED) "Password login needs an encrypted connection""#,
    );
    let offer = Offer { cleartext_without_tls: true, sasl: vec![Mechanism::Plain], ..offer() };
    let opening = DialogueContext { offer: Arc::new(offer), ..opening(Channel::Plain) };
    let mut dialogue = Dialogue::new(opening);
    let mut inbox = Inbox::new(1000);
    inbox.receive(b"AUTHENTICATE \"PLAIN\" \"AGEAYg==\"\r\n");
    assert!(matches!(dialogue.feed(&mut inbox), Step::Event(ClientEvent::Attempt(_))));
}

#[test]
fn a_trusted_proxy_reports_its_client() {
    let trusting = DialogueContext { peer_is_trusted: true, ..opening(Channel::Encrypted) };
    let block = BLOCK.replace("S: \"VERSION\"", "S: \"XCLIENT\"\nS: \"VERSION\"");
    let script = format!(
        r#"{block}S: OK "ready"
           C: XCLIENT ADDR=nobody
           S: NO "Error in XCLIENT attributes"
           C: XCLIENT
           S: NO "Error in command arguments"
           C: XCLIENT ADDR=2001:db8::7 PORT=4711 SESSION=abc TTL=3
           S: OK "Updated""#
    );
    play_dialogue(|| Box::new(Dialogue::new(trusting.clone())), &script);
    encrypted("C: XCLIENT ADDR=192.0.2.1\nS: NO \"Unknown command\"");

    for (opening, expected) in [(trusting, Some("[2001:db8::7]:4711")), (opening(Channel::Encrypted), None)] {
        let mut dialogue = Dialogue::new(opening);
        let mut inbox = Inbox::new(1000);
        inbox.receive(b"XCLIENT ADDR=2001:db8::7 PORT=4711\r\nAUTHENTICATE \"PLAIN\" \"AGEAYg==\"\r\n");
        assert!(matches!(dialogue.feed(&mut inbox), Step::Write(_)));
        let Step::Event(ClientEvent::Attempt(attempt)) = dialogue.feed(&mut inbox) else {
            panic!("no attempt")
        };
        let client = attempt.client_info.forwarded.map(|forwarded| forwarded.client);
        assert_eq!(client, expected.map(|text| text.parse().expect("address")));
    }
}

#[test]
fn state_from_before_the_handshake_is_discarded() {
    let mut dialogue =
        Dialogue::new(DialogueContext { peer_is_trusted: true, ..opening(Channel::Upgradable) });
    let mut inbox = Inbox::new(1000);
    inbox.receive(b"XCLIENT ADDR=192.0.2.1\r\nSTARTTLS\r\n");
    assert!(matches!(dialogue.feed(&mut inbox), Step::Write(_)));
    assert!(matches!(dialogue.feed(&mut inbox), Step::StartTls(_)));
    dialogue.secured();
    inbox.receive(b"AUTHENTICATE \"PLAIN\" \"AGEAYg==\"\r\n");
    let Step::Event(ClientEvent::Attempt(attempt)) = dialogue.feed(&mut inbox) else { panic!("no attempt") };
    assert_eq!(attempt.client_info, ClientInfo::default());
}

#[test]
fn farewells() {
    for (why, words) in [
        (CloseReason::TimedOut, "BYE \"Login took too long\""),
        (CloseReason::TooManyFailures, "BYE \"Too many failed logins\""),
        (CloseReason::TooBusy, "BYE (TRYLATER) \"Too many connections, try again later\""),
        (CloseReason::ShuttingDown, "BYE (TRYLATER) \"The server is shutting down, connect again\""),
        (CloseReason::Ended, "BYE (TRYLATER) \"The session was ended, connect again\""),
        (CloseReason::Unavailable, "BYE (TRYLATER) \"The mail server cannot be reached right now\""),
    ] {
        let mut dialogue = Dialogue::new(opening(Channel::Encrypted));
        assert_eq!(dialogue.farewell(why), format!("{words}\r\n").into_bytes());
        assert!(matches!(dialogue.feed(&mut Inbox::new(10)), Step::Close(rest) if rest.is_empty()));
    }
}

#[test]
fn bounds_of_what_a_client_may_send() {
    let fits = "x".repeat(8 * 1024 - "FOO \r".len());
    encrypted(&format!("C: FOO {fits}\nS: NO \"Unknown command\""));
    // One byte more than a line may have: nothing is waited for.
    encrypted(&format!("C| FOO {fits}xx\nS: BYE \"Command line or literal too long\"\nEND"));
    encrypted("C: FOO {70000+}\nS: BYE \"Command line or literal too long\"\nEND");
    encrypted("C: FOO {99999999999999999999999999}\nS: BYE \"Command line or literal too long\"\nEND");
    // A token fits where a command would not, between quotes or as a literal.
    let token = "A".repeat(40_000);
    let verdict = format!("= XOAUTH2 {}\n> refused\nS: NO \"Authentication failed\"", "\\x00".repeat(30_000));
    encrypted(&format!("C: AUTHENTICATE \"XOAUTH2\" \"{token}\"\n{verdict}"));
    encrypted(&format!("C: AUTHENTICATE \"XOAUTH2\" {{40000+}}\nC: {token}\n{verdict}"));
    let endless = "A".repeat(64 * 1024);
    encrypted(&format!(
        "C: AUTHENTICATE \"PLAIN\"\nS: \"\"\nC| {endless}\nS: BYE \"Response too long\"\nEND"
    ));
    encrypted("C: AUTHENTICATE \"PLAIN\"\nS: \"\"\nC: {70000+}\nS: BYE \"Response too long\"\nEND");
    let unknown = "C: FOO\nS: NO \"Unknown command\"\n".repeat(9);
    encrypted(&format!("{unknown}C: \nS: BYE \"Too many unknown commands\"\nEND"));
    encrypted("C: POST / HTTP/1.1\nS: BYE \"This is ManageSieve\"\nEND");
}

#[test]
fn octets_of_a_literal_are_not_commands() {
    encrypted("C| FOO {8+}\\r\\nLOGOUT\\r\\n\\r\\n\nS: NO \"Unknown command\"");
    encrypted("C| PUTSCRIPT \"x\" {8}\\r\\nLOGOUT\\r\\n\\r\\n\nS: NO \"Log in first\"");
}

#[test]
fn spaces_around_arguments() {
    encrypted(
        r#"C: NOOP  "x" 
           S: OK (TAG "x") "Nothing done"
           C: AUTHENTICATE  "PLAIN"   "AGEAYg=="  
           = PLAIN \x00a\x00b
           > mechanism-unavailable
           S: NO "Unsupported authentication mechanism"
           C: LOGOUT 
           S: OK "Logging out"
           END"#,
    );
}
