//! Submission as conversations, byte for byte.

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
use credentials::attempt::{Attempt, ClientInfo, Mechanism};
use types::fault::Fault;

fn offer() -> Offer {
    use Mechanism::{Login, Plain, ScramSha256, XOAuth2};
    Offer {
        hostname: "mail.example.org".to_owned(),
        banner: "ESMTP ready".to_owned(),
        sasl: vec![Plain, Login, XOAuth2, ScramSha256],
        capabilities: ["PIPELINING", "SIZE 1000", "starttls", "AUTH PLAIN", "AUTH=PLAIN", "XCLIENT"]
            .map(str::to_owned)
            .to_vec(),
        notify: Vec::new(),
        implementation: String::new(),
        cleartext_without_tls: false,
    }
}

fn opening(channel: Channel) -> Opening {
    Opening { offer: Arc::new(offer()), channel, trusts_front: false }
}

fn trusting() -> Opening {
    Opening { trusts_front: true, ..opening(Channel::Encrypted) }
}

/// Plays `script` behind the greeting.
fn fresh(opening: &Opening, script: &str) {
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
fn a_hello_comes_before_a_login() {
    fresh(
        &opening(Channel::Encrypted),
        r"C: AUTH PLAIN AGFsaWNlAHNlY3JldA==
          S: 503 5.5.1 Send EHLO first
          C: HELO pc
          S: 250 mail.example.org
          C: AUTH PLAIN AGFsaWNlAHNlY3JldA==
          = PLAIN \x00alice\x00secret
          > accepted 235 2.7.0 Logged in
          S: 235 2.7.0 Logged in
          END",
    );
}

#[test]
fn what_is_pipelined_behind_a_login_is_the_sessions() {
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
fn the_bytes_of_a_message_are_no_commands() {
    encrypted("C: BDAT 20 LAST\nS: 530 5.7.0 Log in first\nEND");
    let mut dialogue = Dialogue::new(opening(Channel::Encrypted));
    let mut inbox = Inbox::new(1000);
    inbox.receive(b"HELO pc\r\nBDAT 27 LAST\r\nAUTH PLAIN AGEAYg==\r\n....\r\n");
    assert!(matches!(dialogue.feed(&mut inbox), Step::Write(_)));
    assert!(matches!(dialogue.feed(&mut inbox), Step::Close(_)));
    assert!(matches!(dialogue.feed(&mut inbox), Step::Close(rest) if rest.is_empty()));
}

#[test]
fn lines_end_in_cr_lf_and_hold_neither_nor_nul() {
    let bare = "S: 500 5.5.2 A line ends in CR LF, and nowhere else\nEND";
    encrypted(&format!("C| NOOP\\n\n{bare}"));
    encrypted(&format!("C| \\n\n{bare}"));
    encrypted(&format!("C: AUTH PLAIN\nS: 334 \nC| AGEAYg==\\n\n{bare}"));
    encrypted(
        r"C| NOOP\rMAIL FROM:<>\r\n
          S: 500 5.5.2 A byte that no command may hold
          C| EHLO a\0b\r\n
          S: 500 5.5.2 A byte that no command may hold
          C| AUTH PLAIN AGEA\0Yg==\r\n
          S: 500 5.5.2 A byte that no command may hold
          C: NOOP
          S: 250 2.0.0 Nothing done",
    );
}

#[test]
fn refused_logins_stay_at_our_prompt() {
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
          C: AUTH PLAIN AGEAYg==
          S: 503 5.5.1 Send EHLO first
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
        Opening { offer: Arc::new(offer), ..opening(channel) }
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
fn a_fronts_word_counts_where_it_is_trusted() {
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
          S: 220 mail.example.org ESMTP ready
          C: AUTH PLAIN
          S: 503 5.5.1 Send EHLO first",
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
        let ClientInfo { front, helo: client_info, extended: is_extended, .. } = attempt.client_info;
        assert_eq!(front.map(|front| front.client), client.map(|text| text.parse().expect("address")));
        assert_eq!((client_info.as_deref(), is_extended), (Some(helo.as_bytes()), extended), "{attributes}");
    }
}

#[test]
fn goodbyes() {
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

// The backend's side.

const XCLIENT: &str = "XCLIENT ADDR=IPV6:2001:db8::7 PORT=4711 HELO=pc PROTO=ESMTP";

fn context(starttls: bool, forwards: bool, helo: &[u8]) -> ReplayContext {
    let forward = forwards.then(|| Forward {
        client: "[2001:db8::7]:4711".parse().expect("address"),
        local: "198.51.100.1:587".parse().expect("address"),
        session: "abcdefgh23456723".to_owned(),
        ttl: 6,
        encrypted: true,
    });
    let client_info = ClientInfo { helo: Some(helo.to_vec()), extended: true, ..ClientInfo::default() };
    ReplayContext { starttls, forward, client_info, hostname: "proxy".to_owned() }
}

fn replay(starttls: bool, forwards: bool, script: &str) {
    play_replay(|| Box::new(Replay::new(context(starttls, forwards, b"pc"))), script);
}

/// A backend that lists `keywords`, up to the point where it is ready.
fn ready(keywords: &[&str]) -> String {
    let lines: String = keywords.iter().map(|word| format!("S: 250-{word}\n")).collect();
    format!("S: 220 mail ESMTP\nC: EHLO proxy\nS: 250-mail\n{lines}S: 250 HELP\n= READY true\n")
}

#[test]
fn the_best_way_in_is_taken() {
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
fn no_way_in() {
    for (keyword, login) in [
        ("SIZE", "login alice secret"),
        ("AUTH PLAIN", "XOAUTH2 x"),
        ("AUTH LOGIN", "PLAIN bob\\0alice\\0secret"),
    ] {
        replay(false, false, &format!("{}> {login}\nC: BROKEN no_mechanism", ready(&[keyword])));
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
              C: BROKEN no_mechanism"
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
fn a_clients_name_that_is_refused_is_no_fault_of_the_backends() {
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
        assert_eq!(crate::transcript::in_one_breath(&mut replay, pieces), expected, "{pieces:?}");
    }
}

#[test]
fn what_breaks_a_leg() {
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
fn bytes_behind_the_answer_to_starttls_break_the_leg() {
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
fn what_the_backend_says_behind_its_yes_is_the_sessions() {
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

proptest! {
    /// Whatever comes, in whatever pieces: no panic, and the dialogue never waits with a full inbox.
    #[test]
    fn any_input_is_survived(
        input in proptest::collection::vec(
            prop_oneof![
                "[ -~]{0,20}".prop_map(String::into_bytes),
                Just(b"\r\n".to_vec()),
                Just(b"EHLO a\r\n".to_vec()),
                Just(b"AUTH PLAIN ".to_vec()),
                Just(b"AUTH LOGIN\r\n".to_vec()),
                Just(b"XCLIENT ADDR=".to_vec()),
                Just(b"220 mail\r\n".to_vec()),
                Just(b"250-mail\r\n250-STARTTLS\r\n250-AUTH PLAIN\r\n250 XCLIENT ADDR\r\n".to_vec()),
                Just(b"334 eA==\r\n".to_vec()),
                proptest::collection::vec(any::<u8>(), 0..20),
                Just(vec![b'x'; 300]),
            ],
            0..30,
        ),
        starttls in any::<bool>(),
        trusts_front in any::<bool>(),
    ) {
        let mut dialogue = Dialogue::new(Opening { trusts_front, ..opening(Channel::Encrypted) });
        let mut replay = Replay::new(context(starttls, true, b"pc"));
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
