//! An attacker on the network injects bytes: after STARTTLS, and before or after a reply.

use super::{ALICE, ALL, MANAGESIEVE, POP3, Protocol, SUBMISSION};
use crate::support::{Options, Proxy};

#[test]
fn commands_pipelined_after_starttls_end_the_connection() {
    for protocol in ALL {
        let old = protocol.friendly();
        let new = protocol.friendly();
        let proxy = Proxy::start_with_starttls(old.address, new.address, &protocol.options());
        for behind in [&*protocol.login(ALICE), "NOOP", "X"] {
            proxy
                .client()
                .plays(&format!("{}\nC| {}\\r\\n{behind}\\r\\n\nEND", protocol.hello, protocol.starttls));
            proxy.logged("the client sent bytes after STARTTLS");
        }
        assert!(old.seen.try_recv().is_err() && new.seen.try_recv().is_err(), "{}", protocol.name);
    }
}

/// Plays `script` to a leg that uses STARTTLS: no credential is sent, and the fault is logged.
fn broken_starttls(protocol: &Protocol, script: &str, fault: &str) -> Vec<String> {
    let backend = protocol.playing(script);
    let options = Options {
        backend_tls: Some("starttls"),
        destination: "tls_allow_invalid_certs = true",
        ..protocol.options()
    };
    let proxy = Proxy::start(backend.address, backend.address, &options);
    unavailable(protocol, &proxy);
    proxy.logged(&format!("fault=\"{fault}\""));
    backend.saw_all()
}

/// Expects "unavailable", after which the client can log in again.
fn unavailable(protocol: &Protocol, proxy: &Proxy) {
    proxy.client().plays(&format!(
        "{}\nC: {}\nS: {} …\n{}",
        protocol.hello,
        protocol.login(ALICE),
        protocol.unavailable,
        protocol.noop
    ));
}

#[test]
fn a_backends_starttls_that_is_stripped_refused_or_injected() {
    let sieve = |list: &str| format!("S: \"SASL\" \"PLAIN\"{list}\nS: OK");
    let smtp = |list: &str| format!("S: 220 old\nC: EHLO\nS: 250-old{list}\nS: 250 AUTH PLAIN");
    let sieve_tls = sieve("\nS: \"STARTTLS\"");
    let smtp_tls = smtp("\nS: 250-STARTTLS");
    for (protocol, script, fault, last) in [
        (&POP3, "S: +OK hello\nC: STLS\nS: -ERR no\nWAIT".to_owned(), "no_starttls", Some("STLS")),
        (
            &POP3,
            "S: +OK hello\nC: STLS\nS| +OK go\\r\\n+OK list\\r\\nUSER\\r\\n.\\r\\n\nWAIT".to_owned(),
            "starttls_injected",
            Some("STLS"),
        ),
        (&MANAGESIEVE, format!("{}\nWAIT", sieve("")), "no_starttls", None),
        (&MANAGESIEVE, format!("{sieve_tls}\nC: STARTTLS\nS: NO\nWAIT"), "no_starttls", Some("STARTTLS")),
        (
            &MANAGESIEVE,
            format!("{sieve_tls}\nC: STARTTLS\nS| OK\\r\\n\"SASL\" \"PLAIN\"\\r\\nOK\\r\\n\nWAIT"),
            "starttls_injected",
            Some("STARTTLS"),
        ),
        (&SUBMISSION, format!("{}\nWAIT", smtp("")), "no_starttls", Some("EHLO")),
        (&SUBMISSION, format!("{smtp_tls}\nC: STARTTLS\nS: 454 no\nWAIT"), "no_starttls", Some("STARTTLS")),
        (
            &SUBMISSION,
            format!("{smtp_tls}\nC: STARTTLS\nS| 220 go\\r\\n250 AUTH PLAIN\\r\\n\nWAIT"),
            "starttls_injected",
            Some("STARTTLS"),
        ),
    ] {
        let seen = broken_starttls(protocol, &script, fault);
        match (seen.last(), last) {
            (None, None) => {}
            (Some(line), Some(last)) => assert!(line.starts_with(last), "{}: {seen:?}", protocol.name),
            _ => panic!("{}: {seen:?}", protocol.name),
        }
    }
}

#[test]
fn unrequested_replies_get_no_credential() {
    for (protocol, script) in [
        // Everything at once.
        (&POP3, "S| +OK hello\\r\\n+OK list\\r\\nUSER\\r\\n.\\r\\n+OK\\r\\n+OK in\\r\\n\nWAIT"),
        (&MANAGESIEVE, "S| \"SASL\" \"PLAIN\"\\r\\nOK\\r\\nOK \"in\"\\r\\n\nWAIT"),
        (&SUBMISSION, "S| 220 old\\r\\n250-old\\r\\n250 AUTH PLAIN\\r\\n235 in\\r\\n\nWAIT"),
        // Success before the login.
        (&POP3, "S: +OK hello\nC: CAPA\nS| +OK list\\r\\nSASL PLAIN\\r\\n.\\r\\n+OK in\\r\\n\nWAIT"),
        (&SUBMISSION, "S: 220 old\nC: EHLO\nS| 250-old\\r\\n250 AUTH PLAIN\\r\\n235 in\\r\\n\nWAIT"),
        // Success before the credential.
        (&POP3, "S: +OK hello\nC: CAPA\nS: +OK list\nS: SASL PLAIN\nS: .\nC: AUTH\nS: +OK in\nWAIT"),
        (&MANAGESIEVE, "S: \"SASL\" \"LOGIN\"\nS: OK\nC: AUTHENTICATE\nS: OK \"in\"\nWAIT"),
        (&SUBMISSION, "S: 220 old\nC: EHLO\nS: 250-old\nS: 250 AUTH LOGIN\nC: AUTH\nS: 235 in\nWAIT"),
    ] {
        let backend = protocol.playing(script);
        let proxy = Proxy::start(backend.address, backend.address, &protocol.options());
        unavailable(protocol, &proxy);
        proxy.logged("fault=\"protocol\"");
        let seen = backend.saw_all();
        assert!(!seen.iter().any(|line| line.contains("AGFsaW")), "{}: {seen:?}", protocol.name);
    }
}

#[test]
fn other_replies_are_not_taken_for_a_verdict() {
    for (protocol, words) in [
        (&POP3, "* OK in"),
        (&POP3, "OK"),
        (&MANAGESIEVE, "\"SASL\" \"PLAIN\""),
        (&MANAGESIEVE, "OKAY \"in\""),
        (&SUBMISSION, "250 in"),
        (&SUBMISSION, "235-in\\r\\n535 no"),
        (&SUBMISSION, "2350 in"),
    ] {
        let backend =
            protocol.playing(&format!("{}\n{}\nS| {words}\\r\\n\nWAIT", protocol.backend, protocol.asked));
        let proxy = Proxy::start(backend.address, backend.address, &protocol.options());
        unavailable(protocol, &proxy);
        proxy.logged("fault=\"protocol\"");
    }
}

#[test]
fn bytes_after_the_backends_success_reach_the_client() {
    for protocol in ALL {
        let backend = protocol.playing(&format!(
            "{}\n{}\nS| {}\\r\\nalert one\\r\\nalert two\\r\\n\nWAIT",
            protocol.backend, protocol.asked, protocol.yes
        ));
        let proxy = Proxy::start(backend.address, backend.address, &protocol.options());
        let login = protocol.login(ALICE);
        proxy.client().plays(&format!(
            "{}\nC: {login}\nS: {}\nS: alert one\nS: alert two",
            protocol.hello, protocol.yes
        ));
    }
}

/// Only the refusal itself reaches the client, which talks to the proxy again and not to the backend.
#[test]
fn bytes_after_the_backends_refusal_are_discarded() {
    for (protocol, no) in
        [(&POP3, POP3.no), (&MANAGESIEVE, MANAGESIEVE.no), (&SUBMISSION, "535-a\\r\\n535 b")]
    {
        let script = |no: &str| {
            format!(
                "{}\n{}\nS| {no}\\r\\n{} injected\\r\\n\nWAIT",
                protocol.backend, protocol.asked, protocol.accepted
            )
        };
        let backend = protocol.playing(&script(no));
        let proxy = Proxy::start(backend.address, backend.address, &protocol.options());
        let shown = no.replace("\\r\\n", "\nS: ");
        let login = protocol.login(ALICE);
        proxy.client().plays(&format!("{}\nC: {login}\nS: {shown}\n{}", protocol.hello, protocol.noop));

        // When the reply is hidden, none of its lines is shown.
        let backend = protocol.playing(&script(no));
        let options = Options { destination: "hide_auth_errors = true", ..protocol.options() };
        let proxy = Proxy::start(backend.address, backend.address, &options);
        let mut client = proxy.client();
        client.plays(&format!("{}\nC: {login}", protocol.hello));
        let said = client.line();
        assert!(said.contains("Authentication failed"), "{said}");
        client.plays(protocol.noop);
    }
}
