//! Backends that fail: the client gets "unavailable" in time, and can log in again on the same connection.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::support::{Backend, FRIENDLY, Options, Proxy};

const UNAVAILABLE: &str = "
    S: * OK [CAPABILITY …
    C: a LOGIN alice@example.org secret
    S: a NO [UNAVAILABLE] …
    C: b NOOP
    S: b OK Nothing done
    C: c LOGIN bob@example.org secret
    S: c OK [CAPABILITY IMAP4rev1] in";

/// The old server fails; the same client then logs in to the new one.
fn old_fails(old: std::net::SocketAddr, options: &Options<'_>) -> Proxy {
    let new = Backend::playing(FRIENDLY);
    let proxy = Proxy::start(old, new.address, options);
    let began = Instant::now();
    proxy.client().plays(UNAVAILABLE);
    assert!(began.elapsed() < Duration::from_secs(8), "within backend_timeout, and a margin");
    proxy
}

fn quick() -> Options<'static> {
    Options { server: "backend_timeout = \"1s\"", ..Options::default() }
}

#[test]
fn refused() {
    old_fails(Backend::nowhere(), &quick());
}

#[test]
fn blackholed() {
    // A full backlog answers no SYN: the connection hangs, as with a firewall that drops packets.
    let listener = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("socket");
    let any: std::net::SocketAddr = "127.0.0.1:0".parse().expect("address");
    listener.bind(&any.into()).expect("bind");
    listener.listen(0).expect("listen");
    let address = listener.local_addr().expect("address").as_socket().expect("IP");
    let filler = |_| {
        let socket =
            socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("socket");
        let _ = socket.connect_timeout(&address.into(), Duration::from_millis(300));
        socket
    };
    let _fillers: Vec<_> = (0..4).map(filler).collect();
    let proxy = old_fails(address, &quick());
    proxy.logged("fault=\"connect_timeout\"");
}

#[test]
fn silent() {
    old_fails(Backend::playing("WAIT").address, &quick()).logged("fault=\"timed_out\"");
}

#[test]
fn slow_greeting() {
    let backend = Backend::serving(|mut stream: TcpStream, _| {
        // One byte at a time, for longer than the proxy waits.
        for byte in b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] slow".iter().cycle() {
            let (client_info, wait) = std::sync::mpsc::channel::<()>();
            let _ = wait.recv_timeout(Duration::from_millis(50));
            drop(client_info);
            if stream.write_all(&[*byte]).is_err() {
                return;
            }
        }
    });
    old_fails(backend.address, &quick()).logged("fault=\"timed_out\"");
}

#[test]
fn garbage_and_greetings_of_others() {
    for (script, fault) in [
        ("S: 220 mail.example.org ESMTP\nWAIT", "greeting"),
        ("S: +OK POP3\nWAIT", "greeting"),
        ("S: \u{1}\u{2}\u{3}\nWAIT", "greeting"),
        ("S: * BYE too busy\nWAIT", "greeting"),
        ("S: * PREAUTH welcome\nWAIT", "preauth"),
        ("S: * OK [CAPABILITY IMAP4rev1 LOGINDISABLED] x\nWAIT", "no_mechanism"),
    ] {
        old_fails(Backend::playing(script).address, &quick()).logged(&format!("fault=\"{fault}\""));
    }
}

#[test]
fn closes_in_the_middle() {
    for script in ["", "S: * OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] x\nC: ", "S: * OK x\nC: "] {
        old_fails(Backend::playing(script).address, &quick()).logged("fault=\"closed\"");
    }
}

#[test]
fn endless_lines() {
    let backend =
        Backend::serving(|mut stream: TcpStream, _| while stream.write_all(&[b'x'; 4096]).is_ok() {});
    old_fails(backend.address, &quick()).logged("fault=\"protocol\"");
    let backend = Backend::serving(|mut stream: TcpStream, _| {
        let _ = stream.write_all(b"* OK x\r\n");
        while stream.write_all(&b"* 1 EXISTS\r\n".repeat(100)).is_ok() {}
    });
    old_fails(backend.address, &quick()).logged("fault=\"protocol\"");
}

#[test]
fn starttls_stripped_or_injected() {
    let starttls = |script: &'static str, fault: &str| {
        let old = Backend::playing(script);
        let new = Backend::playing(script);
        let options = Options {
            backend_tls: Some("starttls"),
            destination: "tls_allow_invalid_certs = true",
            ..quick()
        };
        let proxy = Proxy::start(old.address, new.address, &options);
        proxy.client().plays(
            "S: * OK [CAPABILITY …
             C: a LOGIN alice@example.org secret
             S: a NO [UNAVAILABLE] …
             C: b NOOP
             S: b OK Nothing done",
        );
        proxy.logged(&format!("fault=\"{fault}\""));
        old
    };
    starttls("S: * OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] stripped\nWAIT", "no_starttls");
    let refused = starttls("S: * OK [CAPABILITY STARTTLS AUTH=PLAIN] x\nC: \nS: P1 NO\nWAIT", "no_starttls");
    assert_eq!(refused.saw(), "P1 STARTTLS");
    let injected = starttls(
        "S: * OK [CAPABILITY STARTTLS AUTH=PLAIN] x\nC: \nS| P1 OK go\\r\\n* CAPABILITY AUTH=PLAIN\\r\\n\nWAIT",
        "starttls_injected",
    );
    assert_eq!(injected.saw(), "P1 STARTTLS");
    assert_eq!(injected.saw(), "gone", "nothing more was said to it");
}

#[test]
fn a_dead_server_is_marked_down_and_refused_at_once() {
    let options = Options {
        server: "backend_timeout = \"1s\"\nhost_down_threshold = 3\nbackend_connect_retries = 0",
        listener: "max_auth_attempts = 100",
        ..Options::default()
    };
    let proxy = old_fails(Backend::nowhere(), &options);
    for _ in 0..2 {
        proxy.client().plays("S: * OK …\nC: a LOGIN alice@example.org x\nS: a NO [UNAVAILABLE] …");
    }
    proxy.logged("destination is marked down");
    proxy.client().plays("S: * OK …\nC: a LOGIN alice@example.org x\nS: a NO [UNAVAILABLE] …");
    proxy.logged("fault=\"marked_down\"");
}

/// Answers each login `after` it was received.
fn slow_verdict(stream: &TcpStream, after: Duration, answer: &str) {
    let mut lines = BufReader::new(stream);
    let mut stream = stream;
    let mut line = String::new();
    let _ = stream.write_all(b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] slow\r\n");
    let _ = lines.read_line(&mut line);
    let tag = line.split(' ').next().unwrap_or_default();
    // The delay is what the test is about: nothing is ever sent on this channel.
    let (_sender, nothing) = std::sync::mpsc::channel::<()>();
    let _ = nothing.recv_timeout(after);
    let _ = write!(stream, "{tag} {answer}\r\n");
    let _ = lines.read_line(&mut line);
}

#[test]
fn a_verdict_has_a_time_limit_of_its_own() {
    let after = Duration::from_secs(2);
    let old =
        Backend::serving(move |stream, _| slow_verdict(&stream, after, "NO [AUTHENTICATIONFAILED] slow no"));
    let new =
        Backend::serving(move |stream, _| slow_verdict(&stream, after, "OK [CAPABILITY IMAP4rev1] slow yes"));
    // The client's own time is over too when the second verdict comes.
    let options = Options { listener: "preauth_timeout = \"3s\"", ..quick() };
    let proxy = Proxy::start(old.address, new.address, &options);
    proxy.client().plays(
        "S: * OK [CAPABILITY …
         C: a LOGIN alice@example.org secret
         S: a NO [AUTHENTICATIONFAILED] slow no
         C: b LOGIN bob@example.org secret
         S: b OK [CAPABILITY IMAP4rev1] slow yes",
    );
}

#[test]
fn silence_after_a_credential_counts_as_an_attempt() {
    let old = Backend::playing("S: * OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] x\nC: \nWAIT");
    let options = Options {
        server: "backend_auth_timeout = \"300ms\"",
        listener: "max_auth_attempts = 2",
        ..Options::default()
    };
    let proxy = Proxy::start(old.address, Backend::nowhere(), &options);
    proxy.client().plays(
        "S: * OK [CAPABILITY …
         C: a LOGIN alice@example.org guess
         S: a NO [UNAVAILABLE] …
         C: b LOGIN bob@example.org guess
         S: b NO [UNAVAILABLE] …
         C: c LOGIN alice@example.org guess
         S: c NO [UNAVAILABLE] …
         S: * BYE Too many failed logins",
    );
    proxy.logged("fault=\"timed_out\"");
}

#[test]
fn the_backends_own_words_reach_the_client_and_count_one_failure() {
    for (answer, words) in [
        (
            "S: * NO [ALERT] Pay first\nS: P1 NO [AUTHENTICATIONFAILED] no",
            "S: * NO [ALERT] Pay first\nS: a NO [AUTHENTICATIONFAILED] no",
        ),
        ("S: * BYE [ALERT] Account locked", "S: a NO [ALERT] Account locked"),
        (
            "S: * NO [AUTHENTICATIONFAILED] Too many authentication attempts",
            "S: a NO [AUTHENTICATIONFAILED] Too many authentication attempts",
        ),
    ] {
        let script = format!("S: * OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] x\nC: \n{answer}");
        for is_hidden in [false, true] {
            let destination = if is_hidden { "hide_auth_errors = true" } else { "" };
            let words =
                if is_hidden { "S: a NO [AUTHENTICATIONFAILED] Authentication failed" } else { words };
            let options = Options { listener: "max_auth_attempts = 1", destination, ..Options::default() };
            let proxy = Proxy::start(Backend::playing(&script).address, Backend::nowhere(), &options);
            proxy.client().plays(&format!(
                "S: * OK [CAPABILITY …\nC: a LOGIN alice@example.org guess\n{words}\nS: * BYE Too many failed logins"
            ));
            proxy.logged("login failed:");
        }
    }
}
