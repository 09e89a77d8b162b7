//! Limits and time-outs, with each protocol's own replies.

use super::{ALICE, ALL, MANAGESIEVE, POP3, SUBMISSION};
use crate::support::{Backend, Options, Proxy};

#[test]
fn the_login_timeout_ends_with_a_goodbye() {
    for (protocol, goodbye) in [
        (&POP3, "-ERR Login took too long"),
        (&MANAGESIEVE, "BYE \"Login took too long\""),
        (&SUBMISSION, "421 4.4.2 Login took too long"),
    ] {
        let options = Options { listener: "preauth_timeout = \"2s\"", ..protocol.options() };
        let (proxy, _old, _new) = protocol.proxy(&options);
        // Silent, and in the middle of a command.
        let mut silent = proxy.client();
        let mut slow = proxy.client();
        for client in [&mut silent, &mut slow] {
            client.plays(protocol.hello);
        }
        slow.send(b"NO");
        for mut client in [silent, slow] {
            client.plays(&format!("S: {goodbye}\nEND"));
        }
    }
}

#[test]
fn a_client_over_the_connection_limit_gets_a_reason() {
    for (protocol, busy) in [
        (&POP3, "-ERR [SYS/TEMP] Too many connections, try again later"),
        (&MANAGESIEVE, "BYE (TRYLATER) \"Too many connections, try again later\""),
        (&SUBMISSION, "421 4.3.2 Too many connections, try again later"),
    ] {
        for limit in ["max_connections = 1", "max_connections_per_ip = 1"] {
            let (proxy, _old, _new) = protocol.proxy(&Options { listener: limit, ..protocol.options() });
            let mut first = proxy.client();
            first.plays(protocol.hello);
            proxy.client().plays(&format!("S: {busy}\nEND"));
            first.plays(protocol.noop);
        }
    }
}

#[test]
fn three_failures_close_the_connection() {
    for (protocol, goodbye) in [
        (&POP3, "-ERR Too many failed logins"),
        (&MANAGESIEVE, "BYE \"Too many failed logins\""),
        (&SUBMISSION, "421 4.7.0 Too many failed logins"),
    ] {
        let old = protocol.refusing();
        // No verdict is delayed: this test is not about the login throttle.
        let options = Options { server: "[limits]\nauth_delay_max = \"0s\"", ..protocol.options() };
        let proxy = Proxy::start(old.address, Backend::nowhere(), &options);
        let failure = format!("C: {}\nS: {}\n", protocol.login(ALICE), protocol.no).repeat(3);
        // A cancelled login is not a failed one, however often it happens.
        let cancelled = match protocol.name {
            "managesieve" => "C: AUTHENTICATE \"PLAIN\"\nS: \"\"\nC: \"*\"\nS: NO …\n",
            "pop3" => "C: AUTH PLAIN\nS: + \nC: *\nS: -ERR …\n",
            _ => "C: AUTH PLAIN\nS: 334 \nC: *\nS: 501 5.7.0 …\n",
        };
        let cancelled = cancelled.repeat(4);
        proxy.client().plays(&format!("{}\n{cancelled}{failure}S: {goodbye}\nEND", protocol.hello));
        let line = proxy.logged("login failed");
        let words = format!("protocol={} client=127.0.0.1 account=\"alice@example.org\"", protocol.name);
        assert!(line.contains(&words), "{line}");
    }
}

#[test]
fn an_unreachable_backend_is_not_a_failed_login() {
    for protocol in ALL {
        let options = Options { listener: "max_auth_attempts = 1", ..protocol.options() };
        let proxy = Proxy::start(Backend::nowhere(), Backend::nowhere(), &options);
        let login = format!("C: {}\nS: {} …\n", protocol.login(ALICE), protocol.unavailable).repeat(2);
        proxy.client().plays(&format!("{}\n{login}{}", protocol.hello, protocol.noop));
        proxy.logged_before("fault=\"refused\"", Some("login failed"));
    }
}

#[test]
fn a_drain_says_goodbye() {
    for (protocol, goodbye) in [
        (&POP3, "-ERR [SYS/TEMP] The server is shutting down, connect again"),
        (&MANAGESIEVE, "BYE (TRYLATER) \"The server is shutting down, connect again\""),
        (&SUBMISSION, "421 4.3.2 The server is shutting down, connect again"),
    ] {
        let (mut proxy, _old, _new) = protocol.proxy(&protocol.options());
        let mut waiting = proxy.client();
        waiting.plays(protocol.hello);
        proxy.signal("TERM");
        waiting.plays(&format!("S: {goodbye}\nEND"));
        assert_eq!(proxy.exit_code(), Some(0));
    }
}
