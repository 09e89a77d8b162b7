//! Limits, time-outs, reload, drain, and a failed start.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::support::{Backend, Client, FRIENDLY, Options, Proxy};

fn proxy(options: &Options<'_>) -> (Proxy, Backend) {
    let new = Backend::playing(FRIENDLY);
    (Proxy::start(Backend::nowhere(), new.address, options), new)
}

#[test]
fn dripping_bytes_do_not_extend_the_time_to_log_in() {
    let (proxy, _new) = proxy(&Options { listener: "preauth_timeout = \"1s\"", ..Options::default() });
    let mut client = proxy.client();
    client.plays("S: * OK …");
    let began = std::time::Instant::now();
    let mut dripped = 0;
    while began.elapsed() < std::time::Duration::from_millis(900) {
        client.plays("C: a NOOP\nS: a OK Nothing done");
        dripped += 1;
    }
    assert!(dripped > 10);
    client.plays("S: * BYE Login took too long\nEND");
}

#[test]
fn a_client_over_the_connection_limit_gets_a_reason() {
    let (proxy, _new) = proxy(&Options { listener: "max_connections = 2", ..Options::default() });
    let mut first = proxy.client();
    let mut second = proxy.client();
    first.plays("S: * OK …");
    second.plays("S: * OK …");
    proxy.client().plays("S: * BYE [UNAVAILABLE] Too many connections, try again later\nEND");
    first.plays("C: a LOGOUT\nS: * BYE …\nS: a OK …\nEND");
    drop(first);
    proxy.logged("client left without a login");
    // The permit is free once the session has ended, which may be a moment after the line.
    let greeting = (0..1000).map(|_| proxy.client().line()).find(|line| line.starts_with("* OK"));
    assert!(greeting.is_some(), "a place is free again");
}

#[test]
fn one_address_cannot_take_all_connections() {
    let (proxy, _new) = proxy(&Options { listener: "max_connections_per_ip = 1", ..Options::default() });
    let mut first = proxy.client();
    first.plays("S: * OK …");
    proxy.client().plays("S: * BYE …\nEND");
    let other = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("socket");
    let from: std::net::SocketAddr = "127.0.0.9:0".parse().expect("address");
    other.bind(&from.into()).expect("bind");
    other.connect(&proxy.address.into()).expect("connect");
    Client::over(other.into()).plays("S: * OK …");
}

#[test]
fn a_drain_says_goodbye_and_exits_with_0() {
    let (mut proxy, _new) = proxy(&Options { server: "shutdown_grace = \"5s\"", ..Options::default() });
    let mut waiting = proxy.client();
    waiting.plays("S: * OK …");
    let mut bridged = proxy.client();
    bridged.plays("S: * OK …\nC: a LOGIN bob@example.org pw\nS: a OK …");
    proxy.signal("TERM");
    waiting.plays("S: * BYE [UNAVAILABLE] The server is shutting down, connect again\nEND");
    bridged.plays("S: * BYE [UNAVAILABLE] The server is shutting down, connect again\nEND");
    assert_eq!(proxy.exit_code(), Some(0));
}

#[test]
fn a_reload_applies_all_or_nothing() {
    let (proxy, new) = proxy(&Options::default());
    let good = std::fs::read_to_string(proxy.configuration()).expect("configuration");
    std::fs::write(proxy.configuration(), good.replace("default_destination", "default_destinatoin"))
        .expect("write");
    proxy.signal("HUP");
    proxy.logged("reload refused");
    std::fs::write(
        proxy.configuration(),
        format!("{good}\n").replace("[capabilities.imap]", "[capabilities.imap]\nbanner = \"reloaded\""),
    )
    .expect("write");
    proxy.signal("HUP");
    proxy.logged("configuration reloaded");
    let mut client = proxy.client();
    let greeting = client.line();
    assert!(greeting.ends_with("] reloaded"), "{greeting}");
    client.plays("C: a LOGIN bob@example.org pw\nS: a OK …");
    assert!(new.saw().starts_with("P1 AUTHENTICATE"));
}

#[test]
fn an_address_that_is_taken_stops_the_start() {
    let (first, _new) = proxy(&Options::default());
    let text = std::fs::read_to_string(first.configuration()).expect("configuration");
    let path = first.configuration().with_file_name("second.toml");
    std::fs::write(&path, text.replace("127.0.0.1:0", &first.address.to_string())).expect("write");
    let output = Command::new(env!("CARGO_BIN_EXE_pointsman")).arg("run").arg(&path).output().expect("run");
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("listener.imap.bind") && said.contains(&first.address.to_string()), "{said}");
}

#[test]
fn too_many_concurrent_logins_of_an_account_wait_for_their_turn() {
    let old = Backend::playing("S: * OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] slow\nC: \nWAIT");
    let new = Backend::playing(FRIENDLY);
    // Starts the next section: `server` is the last key of the one before.
    let options = Options {
        server: "backend_auth_timeout = \"1s\"\n[limits]\nlogins_in_flight_per_account = 1",
        ..Options::default()
    };
    let proxy = Proxy::start(old.address, new.address, &options);
    let began = Instant::now();
    let mut first = proxy.client();
    first.plays("S: * OK …\nC: a LOGIN alice@example.org pw");
    assert!(old.saw().starts_with("P1 AUTHENTICATE"));
    let mut second = proxy.client();
    second.plays("S: * OK …\nC: a LOGIN alice@example.org pw");
    first.plays("S: a NO [UNAVAILABLE] …");
    second.plays("S: a NO [UNAVAILABLE] …");
    let elapsed = began.elapsed();
    assert!(
        elapsed >= Duration::from_secs(2),
        "the second login began after the first one's end: {elapsed:?}"
    );
}
