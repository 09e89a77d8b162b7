//! XCLIENT as a backend receives it: the attributes that it announced, and no others.

use super::{ALICE, MANAGESIEVE, POP3, Protocol, SUBMISSION};
use crate::support::{Options, Proxy};

/// Logs in at a backend that plays `script`. Returns the client's port, the proxy's, and what the backend received.
fn heard(protocol: &Protocol, script: &str) -> (u16, u16, Vec<String>) {
    let backend = protocol.playing(&format!("{script}\nS: {}\nWAIT", protocol.no));
    let options = Options { destination: "forwarding = \"xclient\"", ..protocol.options() };
    let proxy = Proxy::start(backend.address, backend.address, &options);
    let mut client = proxy.client();
    client.plays(&format!("{}\nC: {}\nS: {}", protocol.hello, protocol.login(ALICE), protocol.no));
    (client.port(), proxy.address.port(), backend.saw_all())
}

fn names(line: &str) -> Vec<&str> {
    line.split(' ').skip(1).filter_map(|pair| pair.split('=').next()).collect()
}

#[test]
fn submission_gets_the_attributes_that_it_lists_and_greets_again() {
    let script = |list: &str| {
        format!(
            "S: 220 old ESMTP\nC: EHLO\nS: 250-old\nS: 250-XCLIENT {list}\nS: 250 AUTH PLAIN\nC: XCLIENT\n\
             S: 220 again\nC: EHLO\nS: 250-old\nS: 250-XCLIENT {list}\nS: 250 AUTH PLAIN\nC: AUTH"
        )
    };
    let (client, _, seen) = heard(&SUBMISSION, &script("ADDR PORT LOGIN NAME"));
    assert_eq!(seen[1], format!("XCLIENT ADDR=127.0.0.1 PORT={client}"));
    assert!(seen[2].starts_with("EHLO "), "said again, and XCLIENT is not: {seen:?}");
    assert_eq!(seen[3], format!("AUTH PLAIN {ALICE}"));
    assert_eq!(seen.len(), 4);

    let (_, local, seen) = heard(&SUBMISSION, &script("PROTO HELO DESTADDR DESTPORT"));
    let expected = format!("XCLIENT DESTADDR=127.0.0.1 DESTPORT={local} HELO=pc.example.org PROTO=ESMTP");
    assert_eq!(seen[1], expected);

    // Dovecot's list.
    let list = "ADDR PORT PROTO HELO LOGIN SESSION TTL TIMEOUT FORWARD";
    let (_, _, seen) = heard(&SUBMISSION, &script(list));
    assert_eq!(names(&seen[1]), ["ADDR", "PORT", "SESSION", "TTL", "HELO", "PROTO"]);
}

#[test]
fn a_backend_that_announces_nothing_gets_nothing() {
    for protocol in [&POP3, &MANAGESIEVE, &SUBMISSION] {
        let (_, _, seen) = heard(protocol, &format!("{}\n{}", protocol.backend, protocol.asked));
        assert!(!seen.iter().any(|line| line.contains("XCLIENT")), "{seen:?}");
    }
    // A list of attributes that the proxy has no values for.
    let script =
        "S: 220 old ESMTP\nC: EHLO\nS: 250-old\nS: 250-XCLIENT LOGIN NAME\nS: 250 AUTH PLAIN\nC: AUTH";
    let (_, _, seen) = heard(&SUBMISSION, script);
    assert_eq!(seen[1], format!("AUTH PLAIN {ALICE}"));
}

#[test]
fn pop3_is_told_when_its_greeting_trusts_us() {
    let script = "S: +OK [XCLIENT] hello\nC: XCLIENT\nS: +OK Updated\nC: CAPA\nS: +OK list\nS: SASL PLAIN\nS: .\n\
                  C: AUTH PLAIN\nS: + \nC: BASE64";
    let (client, _, seen) = heard(&POP3, script);
    assert!(
        seen[0].starts_with(&format!("XCLIENT ADDR=127.0.0.1 PORT={client} DESTADDR=127.0.0.1 ")),
        "{seen:?}"
    );
    let expected = ["ADDR", "PORT", "DESTADDR", "DESTPORT", "SESSION", "TTL", "CLIENT-TRANSPORT"];
    assert_eq!(names(&seen[0]), expected);
    assert_eq!(seen[1..], ["CAPA".to_owned(), "AUTH PLAIN".to_owned(), ALICE.to_owned()]);
}

#[test]
fn managesieve_gets_the_attributes_that_it_lists() {
    let block = "S: \"SASL\" \"PLAIN\"\nS: \"XCLIENT\" \"ADDR PORT LOGIN\"\nS: OK";
    let script = format!("{block}\nC: XCLIENT\n{block}\nC: AUTHENTICATE");
    let (client, _, seen) = heard(&MANAGESIEVE, &script);
    assert_eq!(seen[0], format!("XCLIENT ADDR=127.0.0.1 PORT={client}"));
    assert_eq!(seen[1..], [format!("AUTHENTICATE \"PLAIN\" \"{ALICE}\"")]);
}

#[test]
fn a_refusal_ends_the_connection() {
    for (protocol, script) in [
        (&POP3, "S: +OK [XCLIENT] hello\nC: XCLIENT\nS: -ERR no\nWAIT"),
        (&MANAGESIEVE, "S: \"SASL\" \"PLAIN\"\nS: \"XCLIENT\" \"ADDR\"\nS: OK\nC: XCLIENT\nS: NO\nWAIT"),
        (
            &SUBMISSION,
            "S: 220 old\nC: EHLO\nS: 250-old\nS: 250-XCLIENT ADDR\nS: 250 AUTH PLAIN\nC: XCLIENT\nS: 501 no\nWAIT",
        ),
    ] {
        let backend = protocol.playing(script);
        let options = Options { destination: "forwarding = \"xclient\"", ..protocol.options() };
        let proxy = Proxy::start(backend.address, backend.address, &options);
        let login = protocol.login(ALICE);
        proxy.client().plays(&format!("{}\nC: {login}\nS: {} …", protocol.hello, protocol.unavailable));
        proxy.logged("fault=\"forwarding\"");
        let seen = backend.saw_all();
        assert!(seen.last().is_some_and(|line| line.starts_with("XCLIENT")), "no credential: {seen:?}");
    }
}
