//! Bytes from a client never end a line or start another command at a backend.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{ALICE, ALL, MANAGESIEVE, POP3, Protocol, SUBMISSION};
use crate::support::{Backend, Options, Proxy};

fn encoded(message: &[u8]) -> String {
    STANDARD.encode(message)
}

/// A proxy in front of `backend` alone.
fn in_front_of(backend: &Backend, options: &Options<'_>) -> Proxy {
    Proxy::start(backend.address, backend.address, options)
}

#[test]
fn a_user_name_with_a_line_end_is_refused_before_a_backend_is_contacted() {
    for protocol in ALL {
        let (proxy, old, new) = protocol.proxy(&Options {
            listener: "max_auth_attempts = 100",
            server: "[limits]\nauth_delay_max = \"0s\"",
            ..protocol.options()
        });
        let mut client = proxy.client();
        client.plays(protocol.hello);
        for user in [
            &b"alice\r\nDELE 1"[..],
            b"alice\n",
            b"alice\r",
            b"alice\x7f",
            b"alice\t",
            b"ali\"ce",
            b" alice",
            b"alice ",
            b"\xff",
            b"",
        ] {
            let message = encoded(&[b"\0", user, b"\0secret"].concat());
            client.plays(&format!("C: {}\nS: {} …", protocol.login(&message), protocol.refused));
        }
        // A NUL makes it a message of another form; `authzid` is checked like the user name.
        for message in [&b"\0ali\0ce\0secret"[..], b"al\r\nice\0alice\0secret", b"alice"] {
            let message = encoded(message);
            client.plays(&format!("C: {}\nS: {} …", protocol.login(&message), protocol.refused));
        }
        assert!(old.seen.try_recv().is_err() && new.seen.try_recv().is_err(), "{}", protocol.name);
    }
}

/// A password may contain line ends: in base64 they are harmless, and a password that would be sent bare is not sent.
#[test]
fn a_password_with_line_ends_stays_in_its_line() {
    const HOSTILE: &[u8] = b"se\r\nQUIT\r\ncret";
    let prompts = |protocol: &Protocol| match protocol.name {
        "pop3" => ("C: AUTH LOGIN\nS: + VXNlcm5hbWU6", "S: + UGFzc3dvcmQ6"),
        "managesieve" => ("C: AUTHENTICATE \"LOGIN\"\nS: \"VXNlcm5hbWU6\"", "S: \"UGFzc3dvcmQ6\""),
        _ => ("C: AUTH LOGIN\nS: 334 VXNlcm5hbWU6", "S: 334 UGFzc3dvcmQ6"),
    };
    let line = |protocol: &Protocol, message: &[u8]| match protocol.name {
        "managesieve" => format!("\"{}\"", encoded(message)),
        _ => encoded(message),
    };
    for protocol in ALL {
        let backend = protocol.refusing();
        let (user, password) = prompts(protocol);
        in_front_of(&backend, &protocol.options()).client().plays(&format!(
            "{}\n{user}\nC: {}\n{password}\nC: {}\nS: {}",
            protocol.hello,
            line(protocol, b"alice@example.org"),
            line(protocol, HOSTILE),
            protocol.no
        ));
        let seen = backend.saw_all();
        let message = encoded(&[b"\0alice@example.org\0", HOSTILE].concat());
        assert!(seen.last().is_some_and(|line| line.contains(&message)), "{seen:?}");
        assert!(!seen.iter().any(|line| line.contains("QUIT")), "{seen:?}");
    }

    // A backend that accepts logins only as a bare line.
    let backend = POP3.playing("S: +OK hello\nC: CAPA\nS: +OK\nS: USER\nS: .\nWAIT");
    let proxy = in_front_of(&backend, &POP3.options());
    for message in [&b"\0alice@example.org\0se\r\nQUIT"[..], b"\0alice@example.org\0se\rcret"] {
        let login = POP3.login(&encoded(message));
        proxy
            .client()
            .plays(&format!("{}\nC: {login}\nS: -ERR Unsupported authentication mechanism", POP3.hello));
        assert_eq!(backend.saw_all(), ["CAPA"]);
    }
    proxy.logged("fault=\"no_mechanism\"");
}

#[test]
fn what_is_no_base64_never_leaves() {
    for protocol in ALL {
        // The backend's own challenge is passed on; the response must be base64 too. What is not cancels the exchange,
        // and the backend's refusal of the token is the verdict.
        let (challenge, shown, cancelled) = match protocol.name {
            "pop3" => ("+ e30=", "+ e30=", "-ERR refused"),
            "managesieve" => ("\"e30=\"", "\"e30=\"", "NO \"refused\""),
            _ => ("334 e30=", "334 e30=", "535 5.7.8 refused"),
        };
        let cancel = if protocol.name == "managesieve" { "\"*\"" } else { "*" };
        let script = format!(
            "{}\n{}\nS: {challenge}\nC: {cancel}\nS: {cancelled}\nWAIT",
            protocol.backend, protocol.asked
        );
        let backend = protocol.playing(&script.replace("PLAIN", "XOAUTH2"));
        let proxy = in_front_of(&backend, &protocol.options());
        let login = protocol.login(&encoded(b"user=alice@example.org\x01auth=Bearer x\x01\x01"));
        let login = login.replace("PLAIN", "XOAUTH2");
        let answers = match protocol.name {
            "managesieve" => &["{6+}\\r\\nx\\r\\ny\\r\\n\\r\\n", "\\r\\n", "LOGOUT\\r\\n", "\"*\"\\r\\n"][..],
            _ => &["DELE 1\\r\\n", "x\\0y\\r\\n", "*\\r\\n", "e3 0=\\r\\n"],
        };
        for answer in answers {
            let script = format!(
                "{}\nC: {login}\nS: {shown}\nC| {answer}\nS: {cancelled}\n{}",
                protocol.hello, protocol.noop
            );
            proxy.client().plays(&script);
            let seen = backend.saw_all();
            let [.., last, end] = &*seen else { panic!("the login and its end: {seen:?}") };
            assert!(last.len() > 40, "nothing between the login and its end: {seen:?}");
            assert_eq!(end, cancel, "{seen:?}");
        }
    }
}

#[test]
fn sieve_literals_and_strings_end_at_their_length() {
    let backend = MANAGESIEVE.refusing();
    let proxy = in_front_of(&backend, &MANAGESIEVE.options());
    proxy.client().plays(
        "S~ OK
         C| AUTHENTICATE {7+}\\r\\nPLAIN\\r\\n \"AGE=\"\\r\\n
         S: NO \"Unsupported authentication mechanism\"
         C| AUTHENTICATE \"PLAIN\" {10+}\\r\\nAGE=\\r\\nNOOP\\r\\n
         S: NO \"Invalid base64 in the initial response\"
         C| AUTHENTICATE \"PLAIN\" \"AGE=\\r\\nNOOP\"\\r\\n
         S: NO …
         C: NOOP {3+}
         C| a\\r\\n\\r\\n
         S~ OK (TAG
         S: a
         S: ) \"Nothing done\"",
    );
    assert!(backend.seen.try_recv().is_err());
    proxy.client().plays(&format!("S~ OK\nC: {}\nS: NO \"not you\"", MANAGESIEVE.login(ALICE)));
    assert_eq!(backend.saw_all(), [format!("AUTHENTICATE \"PLAIN\" \"{ALICE}\"")]);
}

#[test]
fn a_helo_name_is_not_forwarded_where_it_would_be_misread() {
    const BACKEND: &str = "S: 220 old ESMTP
C: EHLO
S: 250-old
S: 250-XCLIENT HELO
S: 250 AUTH PLAIN
C: XCLIENT, where there is something to tell
S: 220 again
C: EHLO
S: 250-old
S: 250 AUTH PLAIN
C: AUTH
S: 535 no
WAIT";
    const UNTOLD: &str = "S: 220 old ESMTP
C: EHLO
S: 250-old
S: 250-XCLIENT HELO
S: 250 AUTH PLAIN
C: AUTH
S: 535 no
WAIT";
    let forwarding = Options { destination: "forwarding = \"xclient\"", ..SUBMISSION.options() };
    for (helo, client_info) in [
        ("pc.example.org", Some("XCLIENT HELO=pc.example.org")),
        ("a+b=c", Some("XCLIENT HELO=a+2Bb+3Dc")),
        ("[192.0.2.1]", Some("XCLIENT HELO=[192.0.2.1]")),
        ("a LOGIN=admin", None),
        ("a\\x01b", None),
        ("a\\x7fb", None),
        ("a\\tb", None),
        ("\\xc3\\xa9", None),
    ] {
        let backend = SUBMISSION.playing(if client_info.is_some() { BACKEND } else { UNTOLD });
        let proxy = in_front_of(&backend, &forwarding);
        let helo = helo.replace("\\t", "\\x09");
        let login = SUBMISSION.login(ALICE);
        proxy.client().plays(&format!("S: 220 …\nC| EHLO {helo}\\r\\n\nS~ 250 \nC: {login}\nS: 535 no"));
        let seen = backend.saw_all();
        match client_info {
            Some(client_info) => {
                assert!(seen.len() == 4 && seen[1].starts_with(client_info), "{helo}: {seen:?}");
            }
            None => assert!(seen.len() == 2 && seen[1].starts_with("AUTH PLAIN "), "{helo}: {seen:?}"),
        }
        assert!(seen.iter().all(|line| line.is_ascii() && !line.contains("LOGIN")), "{helo}: {seen:?}");
    }
}

#[test]
fn imap_id_values_stay_between_their_quotes() {
    const BACKEND: &str = "S: * OK [CAPABILITY IMAP4rev1 ID SASL-IR AUTH=PLAIN] hello
C: ID
S: P1 OK
C: AUTHENTICATE
S: P2 NO not you
WAIT";
    let backend = Backend::serving(|stream, client_info| crate::support::play(stream, BACKEND, client_info));
    let options = Options { destination: "forwarding = \"xclient\"", ..Options::default() };
    in_front_of(&backend, &options).client().plays(
        "S: * OK …
         C| a ID (\"name\" \"q\\\\\"u) x\" \"v\" {11}\\r\\n
         S: + OK
         C| x\\r\\nP9 BYE\\r
         C| \\n \"x-originating-ip\" \"192.0.2.66\" \"os\" NIL \"n\\\\\\\\\" \"b\")\\r\\n
         S: * ID …
         S: a …
         C: b LOGIN alice@example.org secret
         S: b NO not you",
    );
    let seen = backend.saw_all();
    let [id, login] = seen.as_slice() else { panic!("{seen:?}") };
    assert!(id.starts_with("P1 ID (\"x-originating-ip\" \"127.0.0.1\" "), "{id}");
    assert!(id.ends_with(" \"name\" \"q\\\"u) x\" \"os\" NIL \"n\\\\\" \"b\")"), "{id}");
    assert!(!id.contains("192.0.2.66") && !id.contains("P9"), "{id}");
    assert!(login.starts_with("P2 AUTHENTICATE PLAIN "), "{login}");
}
