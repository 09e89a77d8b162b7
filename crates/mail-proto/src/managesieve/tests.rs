//! ManageSieve as conversations, byte for byte.

use std::sync::Arc;

use proptest::prelude::*;

use super::{Dialogue, Replay};
use crate::inbox::Inbox;
use crate::step::Dialogue as _;
use crate::step::Replay as _;
use crate::step::{
    BackendEvent, Channel, ClientEvent, Forward, Machine, Offer, Opening, ReplayContext, Step,
};
use crate::transcript::{password, play_dialogue, play_replay};
use crate::verdict::{CloseReason, Verdict};
use credentials::attempt::{ClientInfo, Mechanism};
use types::fault::Fault;

fn offer() -> Offer {
    use Mechanism::{Login, Plain, ScramSha256, XOAuth2};
    Offer {
        hostname: "mail.example.org".to_owned(),
        banner: "ready".to_owned(),
        sasl: vec![Plain, Login, XOAuth2, ScramSha256],
        capabilities: ["fileinto", "vacation"].map(str::to_owned).to_vec(),
        notify: Vec::new(),
        implementation: "Pointsman".to_owned(),
        cleartext_without_tls: false,
    }
}

fn opening(channel: Channel) -> Opening {
    Opening { offer: Arc::new(offer()), channel, trusts_front: false }
}

const BLOCK: &str = r#"S: "IMPLEMENTATION" "Pointsman"
S: "SIEVE" "fileinto vacation"
S: "SASL" "PLAIN LOGIN XOAUTH2 SCRAM-SHA-256"
S: "VERSION" "1.0"
"#;

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
fn a_login_and_what_is_pipelined_behind_it() {
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
fn refused_logins_stay_at_our_prompt() {
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
    let opening = Opening { offer: Arc::new(offer), ..opening(Channel::Plain) };
    let mut dialogue = Dialogue::new(opening);
    let mut inbox = Inbox::new(1000);
    inbox.receive(b"AUTHENTICATE \"PLAIN\" \"AGEAYg==\"\r\n");
    assert!(matches!(dialogue.feed(&mut inbox), Step::Event(ClientEvent::Attempt(_))));
}

#[test]
fn a_fronts_word_counts_where_it_is_trusted() {
    let trusting = Opening { trusts_front: true, ..opening(Channel::Encrypted) };
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
        let client = attempt.client_info.front.map(|front| front.client);
        assert_eq!(client, expected.map(|text| text.parse().expect("address")));
    }
}

#[test]
fn what_came_before_the_handshake_is_forgotten() {
    let mut dialogue = Dialogue::new(Opening { trusts_front: true, ..opening(Channel::Upgradable) });
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
fn goodbyes() {
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
fn octets_of_a_literal_are_no_commands() {
    encrypted("C| FOO {8+}\\r\\nLOGOUT\\r\\n\\r\\n\nS: NO \"Unknown command\"");
    encrypted("C| PUTSCRIPT \"x\" {8}\\r\\nLOGOUT\\r\\n\\r\\n\nS: NO \"Log in first\"");
}

// The backend's side.

fn forward() -> Forward {
    Forward {
        client: "[2001:db8::7]:4711".parse().expect("address"),
        local: "198.51.100.1:4190".parse().expect("address"),
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

/// A backend that offers `sasl`, up to the point where it is ready.
fn ready(sasl: &str) -> String {
    format!("S: \"IMPLEMENTATION\" \"x\"\nS: \"SASL\" \"{sasl}\"\nS: OK \"ready\"\n= READY true\n")
}

#[test]
fn the_best_way_in_is_taken() {
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
fn no_way_in() {
    for (sasl, login) in
        [("", "login alice secret"), ("CRAM-MD5", "login alice secret"), ("PLAIN", "XOAUTH2 x")]
    {
        replay(false, false, &format!("{}> {login}\nC: BROKEN no_mechanism", ready(sasl)));
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
               C: BROKEN no_mechanism"#
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
fn capabilities_behind_xclient_are_found_wherever_they_stand() {
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
        assert_eq!(crate::transcript::in_one_breath(&mut replay, pieces), expected, "{pieces:?}");
    }
}

#[test]
fn what_breaks_a_leg() {
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
fn bytes_behind_the_answer_to_starttls_break_the_leg() {
    let mut replay = Replay::new(context(true, false));
    let mut inbox = Inbox::new(1000);
    inbox.receive(b"\"STARTTLS\"\r\nOK\r\n");
    assert!(matches!(replay.feed(&mut inbox), Step::Write(_)));
    inbox.receive(b"OK\r\n\"SASL\" \"PLAIN\"\r\nOK\r\n");
    let step = replay.feed(&mut inbox);
    assert!(matches!(step, Step::Event(BackendEvent::Broken(Fault::StartTlsInjected))), "{step:?}");
}

#[test]
fn what_the_backend_says_behind_its_yes_is_the_sessions() {
    let mut replay = Replay::new(context(false, false));
    let mut inbox = Inbox::new(1000);
    inbox.receive(b"\"SASL\" \"PLAIN\"\r\nOK\r\n");
    assert!(matches!(replay.feed(&mut inbox), Step::Event(BackendEvent::Ready { introduced: true })));
    assert!(matches!(replay.authenticate(&password("a", "b")), Step::Write(_)));
    inbox.receive(b"OK\r\n\"active\" ACTIVE\r\n");
    assert!(matches!(replay.feed(&mut inbox), Step::Event(BackendEvent::Accepted(_))));
    assert_eq!(inbox.unread(), b"\"active\" ACTIVE\r\n");
}

proptest! {
    /// Whatever comes, in whatever pieces: no panic, and neither side ever waits with a full inbox.
    #[test]
    fn any_input_is_survived(
        input in proptest::collection::vec(
            prop_oneof![
                "[ -~]{0,20}".prop_map(String::into_bytes),
                Just(b"\r\n".to_vec()),
                Just(b"AUTHENTICATE \"PLAIN\" ".to_vec()),
                Just(b"AUTHENTICATE \"LOGIN\"\r\n".to_vec()),
                Just(b"NOOP \"".to_vec()),
                Just(b"XCLIENT ADDR=".to_vec()),
                Just(b"{5+}\r\n".to_vec()),
                Just(b"\"SASL\" \"PLAIN LOGIN\"\r\n\"XCLIENT\"\r\nOK\r\n".to_vec()),
                Just(b"OK (TAG \"xclient-taken\")\r\n".to_vec()),
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
                        let _ = replay.authenticate(&password("a", "b"));
                    }
                    Step::StartTls(_) => { replay.secured(); }
                    Step::Write(_) => {}
                    _ => break,
                }
            }
        }
    }
}
