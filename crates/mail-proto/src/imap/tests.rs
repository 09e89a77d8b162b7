//! IMAP as conversations, byte for byte.

use std::sync::Arc;

use proptest::prelude::*;

use super::{Dialogue, Replay};
use crate::inbox::Inbox;
use crate::step::{Channel, Forward, Machine, Offer, Opening, ReplayContext, Step};
use crate::transcript::{play_dialogue, play_replay};
use credentials::attempt::{ClientInfo, Mechanism};

fn offer() -> Offer {
    use Mechanism::{Login, Plain, ScramSha256, XOAuth2};
    Offer {
        hostname: "mail.example.org".to_owned(),
        banner: "ready".to_owned(),
        sasl: vec![Plain, Login, XOAuth2, ScramSha256],
        capabilities: ["IMAP4rev1", "SASL-IR", "LITERAL+"].map(str::to_owned).to_vec(),
        notify: Vec::new(),
        implementation: String::new(),
        cleartext_without_tls: false,
    }
}

fn opening(channel: Channel) -> Opening {
    Opening { offer: Arc::new(offer()), channel, trusts_front: false }
}

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
fn a_login_and_what_is_pipelined_behind_it() {
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
fn refused_logins_stay_at_our_prompt() {
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
fn goodbyes() {
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
fn a_browser_is_shown_the_door() {
    encrypted(
        "C: POST / HTTP/1.1
         S: * BAD This is IMAP
         S: * BYE Not a mail client
         END",
    );
}

#[test]
fn literal_minus_is_honoured_where_it_is_advertised() {
    let offer = Offer { capabilities: vec!["LITERAL-".to_owned()], ..offer() };
    let opening = Opening { offer: Arc::new(offer), ..opening(Channel::Encrypted) };
    let script = "S: * OK [CAPABILITY LITERAL- AUTH=PLAIN AUTH=LOGIN AUTH=XOAUTH2 AUTH=SCRAM-SHA-256] ready
                  C: a LOGIN {4097+}
                  S: a BAD Command line or literal too long
                  S: * BYE Too long
                  END";
    play_dialogue(|| Box::new(Dialogue::new(opening.clone())), script);
}

// The backend's side.

fn replay(starttls: bool, forward: bool, script: &str) {
    let forward = forward.then(|| Forward {
        client: "203.0.113.7:4711".parse().expect("address"),
        local: "198.51.100.1:993".parse().expect("address"),
        session: "abcdefgh23456723".to_owned(),
        ttl: 6,
        encrypted: true,
    });
    let context = || ReplayContext {
        starttls,
        forward: forward.clone(),
        client_info: ClientInfo::default(),
        hostname: "proxy".to_owned(),
    };
    play_replay(|| Box::new(Replay::new(context())), script);
}

#[test]
fn a_yes_before_the_whole_credential_is_none() {
    for script in [
        "S: * OK [CAPABILITY AUTH=PLAIN] ready
         = READY true
         > login alice secret
         C: P1 AUTHENTICATE PLAIN
         S: P1 OK Logged in
         = BROKEN protocol",
        "S: * OK [CAPABILITY IMAP4rev1] ready
         = READY true
         > login alice se\\r\\ncret
         C: P1 LOGIN \"alice\" {8}
         S: P1 OK Logged in
         = BROKEN protocol",
        "S: * OK [CAPABILITY AUTH=LOGIN LOGINDISABLED] ready
         = READY true
         > login alice secret
         C: P1 AUTHENTICATE LOGIN
         S: + VXNlcm5hbWU6
         C: YWxpY2U=
         S: P1 OK Logged in
         = BROKEN protocol",
    ] {
        replay(false, false, script);
    }
}

#[test]
fn capabilities_come_from_the_greeting_or_are_asked_for() {
    replay(
        false,
        false,
        r"S: * OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] ready
          = READY true
          > login alice secret
          C: P1 AUTHENTICATE PLAIN AGFsaWNlAHNlY3JldA==
          S: * CAPABILITY IMAP4rev1 IDLE
          S: P1 OK Logged in
          = ACCEPTED * CAPABILITY IMAP4rev1 IDLE\r\n|OK Logged in\r\n",
    );
    replay(
        false,
        false,
        r"S: * OK ready
          C: P1 CAPABILITY
          S: * CAPABILITY IMAP4rev1 AUTH=PLAIN
          S: P1 OK done
          = READY true
          > login alice secret
          C: P2 AUTHENTICATE PLAIN
          S: + 
          C: AGFsaWNlAHNlY3JldA==
          S: P2 NO [AUTHENTICATIONFAILED] no
          = REFUSED |NO [AUTHENTICATIONFAILED] no\r\n",
    );
}

#[test]
fn the_backends_own_login_where_plain_is_missing() {
    replay(
        false,
        false,
        r#"S: * OK [CAPABILITY IMAP4rev1] ready
           = READY true
           > login al"ice s\\ecret
           C: P1 LOGIN "al\\"ice" "s\\\\ecret"
           S: P1 NO [UNAVAILABLE] later
           = NOT NOW |NO [UNAVAILABLE] later\r\n"#,
    );
    replay(
        false,
        false,
        r"S: * OK [CAPABILITY IMAP4rev1] ready
          = READY true
          > login a\xff b\r\nc
          C: P1 LOGIN {2}
          S: + go
          C: a\xff {4}
          S: + go
          C: b\r\nc
          S: P1 OK [CAPABILITY X] in
          = ACCEPTED |OK [CAPABILITY X] in\r\n",
    );
    replay(
        false,
        false,
        r"S: * OK [CAPABILITY IMAP4rev1 LOGINDISABLED] ready
          = READY true
          > login alice secret
          C: BROKEN no_mechanism",
    );
}

#[test]
fn what_a_backend_says_beside_a_refusal_is_the_clients() {
    let login = "S: * OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] x
        = READY true
        > PLAIN x
        C: P1 AUTHENTICATE PLAIN eA==\n";
    for (answer, event) in [
        (
            "S: * NO [ALERT] Quota\nS: * CAPABILITY IMAP4rev1\nS: * OK [CAPABILITY X] x\nS: P1 NO no",
            "REFUSED * NO [ALERT] Quota\\r\\n|NO no\\r\\n",
        ),
        ("S: * BYE [ALERT] Account locked", "REFUSED |NO [ALERT] Account locked\\r\\n"),
        ("S: * NO [ALERT] Locked\nS: * BYE Goodbye", "REFUSED |NO [ALERT] Locked\\r\\n"),
        ("S: * BYE [UNAVAILABLE] Restarting", "NOT NOW |NO [UNAVAILABLE] Restarting\\r\\n"),
        ("S: * BYE Restarting", "NOT NOW |NO [UNAVAILABLE] Restarting\\r\\n"),
    ] {
        replay(false, false, &format!("{login}{answer}\n= {event}"));
    }
}

#[test]
fn a_backend_that_announces_nothing_with_its_ok_is_asked() {
    let login = "S: * OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] x
        = READY true
        > PLAIN x
        C: P1 AUTHENTICATE PLAIN eA==\n";
    for (answer, event) in [
        (
            "S: P1 OK in\nC: P2 CAPABILITY\nS: * CAPABILITY IMAP4rev1 IDLE\nS: P2 OK done",
            "ACCEPTED * CAPABILITY IMAP4rev1 IDLE\\r\\n|OK in\\r\\n",
        ),
        ("S: P1 OK in\nC: P2 CAPABILITY\nS: P2 BAD what?", "ACCEPTED |OK in\\r\\n"),
        ("S: * CAPABILITY IMAP4rev1\nS: P1 OK in", "ACCEPTED * CAPABILITY IMAP4rev1\\r\\n|OK in\\r\\n"),
        ("S: P1 OK [CAPABILITY IMAP4rev1] in", "ACCEPTED |OK [CAPABILITY IMAP4rev1] in\\r\\n"),
        ("S: P1 OK in\nC: P2 CAPABILITY\nS: * BYE", "BROKEN closed"),
        ("S: P1 OK in\nC: P2 CAPABILITY\nS: + what", "BROKEN protocol"),
    ] {
        replay(false, false, &format!("{login}{answer}\n= {event}"));
    }
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
fn starttls_and_id() {
    replay(
        true,
        true,
        r#"S: * OK [CAPABILITY IMAP4rev1 STARTTLS ID AUTH=PLAIN] ready
           C: P1 STARTTLS
           S: P1 OK go
           TLS
           C: P2 CAPABILITY
           S: * CAPABILITY IMAP4rev1 ID AUTH=PLAIN
           S: P2 OK done
           C: P3 ID ("x-originating-ip" "203.0.113.7" "x-originating-port" "4711" "x-connected-ip" "198.51.100.1" "x-connected-port" "993" "x-proxy-ttl" "6" "x-session-id" "abcdefgh23456723" "x-client-transport" "TLS")
           S: * ID ("name" "Dovecot")
           S: P3 OK ID completed
           = READY true"#,
    );
    replay(false, true, "S: * OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] ready\n= READY false");
}

#[test]
fn what_breaks_a_leg() {
    for (starttls, script) in [
        (false, "S: 220 mail ESMTP\n= BROKEN greeting"),
        (false, "S: +OK pop\n= BROKEN greeting"),
        (false, "S: * BYE busy\n= BROKEN greeting"),
        (false, "S: * PREAUTH hello\n= BROKEN preauth"),
        (true, "S: * OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] x\n= BROKEN no_starttls"),
        (true, "S: * OK [CAPABILITY STARTTLS] x\nC: P1 STARTTLS\nS: P1 NO\n= BROKEN no_starttls"),
        (false, "S: * OK x\nC: P1 CAPABILITY\nS: P1 OK none\n= BROKEN protocol"),
        (false, "S: * OK x\nC: P1 CAPABILITY\nS: P2 OK none\n= BROKEN protocol"),
        (false, "S: * OK x\nC: P1 CAPABILITY\nS: + what\n= BROKEN protocol"),
        (false, "S: * OK x\nC: P1 CAPABILITY\nS: * BYE\n= BROKEN closed"),
        (
            false,
            "S: * OK [CAPABILITY AUTH=PLAIN SASL-IR] x\n= READY true\n> PLAIN x\nC: P1 AUTHENTICATE PLAIN eA==\nS: + \n= BROKEN protocol",
        ),
    ] {
        replay(starttls, false, script);
    }
    let endless = "S: * 1 EXISTS\n".repeat(101);
    replay(false, false, &format!("S: * OK x\nC: P1 CAPABILITY\n{endless}= BROKEN protocol"));
}

#[test]
fn bytes_behind_the_answer_to_starttls_break_the_leg() {
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

proptest! {
    /// Whatever comes, in whatever pieces: no panic, and never more than the inbox holds.
    #[test]
    fn any_input_is_survived(
        input in proptest::collection::vec(
            prop_oneof![
                "[ -~]{0,20}".prop_map(String::into_bytes),
                Just(b"\r\n".to_vec()),
                Just(b"a LOGIN ".to_vec()),
                Just(b"a AUTHENTICATE PLAIN ".to_vec()),
                Just(b"{5}\r\n".to_vec()),
                Just(b"* OK [CAPABILITY ".to_vec()),
                Just(b"P1 OK ".to_vec()),
                proptest::collection::vec(any::<u8>(), 0..20),
            ],
            0..30,
        ),
        starttls in any::<bool>(),
    ) {
        let mut dialogue = Dialogue::new(opening(Channel::Upgradable));
        let mut replay = Replay::new(ReplayContext { starttls, forward: None, client_info: ClientInfo::default(), hostname: String::new() });
        let mut inboxes = [Inbox::new(4096), Inbox::new(4096)];
        for piece in input {
            inboxes[0].receive(&piece);
            inboxes[1].receive(&piece);
            for _ in 0..100 {
                if matches!(dialogue.feed(&mut inboxes[0]), Step::NeedMore | Step::Close(_)) { break; }
            }
            for _ in 0..100 {
                if matches!(replay.feed(&mut inboxes[1]), Step::NeedMore | Step::Event(_)) { break; }
            }
        }
    }
}
