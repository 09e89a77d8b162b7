use std::net::Ipv4Addr;

use regex::Regex;

use super::*;
use crate::account::HashKey;
use crate::escape::Escaped;
use crate::log::{Format, tests::lines};

const FILTER: &str = include_str!("../../../../contrib/fail2ban/filter.d/pointsman.conf");

fn failure(account: &[u8]) -> LoginFailure<'_> {
    LoginFailure {
        protocol: "imap",
        client: Ipv4Addr::new(203, 0, 113, 7).into(),
        account,
        reason: types::outcome::LoginResult::Rejected,
    }
}

/// The filter's expressions, with what fail2ban puts in their places.
fn expressions() -> Vec<Regex> {
    let (_, behind) = FILTER.split_once("failregex = ").unwrap();
    let (expressions, _) = behind.split_once("\n\n").unwrap();
    expressions
        .lines()
        .map(|line| {
            let line = line.trim().replace("<HOST>", r"(?P<host>[0-9a-fA-F:.]+)");
            // common.conf: what syslog or the journal puts before a message; nothing in a plain file.
            Regex::new(&line.replace("%(__prefix_line)s", r"(?:\S+ pointsman\[\d+\]: )?\s*")).unwrap()
        })
        .collect()
}

/// The address that fail2ban would count.
fn banned(line: &str) -> Option<String> {
    expressions()
        .iter()
        .find_map(|expression| expression.captures(line).map(|found| found["host"].to_owned()))
}

#[test]
fn the_line_has_its_form() {
    let hashed = Accounts::Hash(Box::new(HashKey::new(b"Jefe")));
    for (accounts, account, expected) in [
        (&Accounts::Full, &b"alice@example.com"[..], r#"account="alice@example.com" reason=rejected"#),
        (&Accounts::Full, b"a\" reason=x\r\n\xff", r#"account="a\" reason=x\r\n\xff" reason=rejected"#),
        (&hashed, b"what do ya want for nothing?", r##"account="#5bdcc146bf60" reason=rejected"##),
    ] {
        let line = Line { failure: &failure(account), accounts }.to_string();
        assert_eq!(line, format!("login failed: protocol=imap client=203.0.113.7 {expected}"));
    }
    let hashed_bytes = Line { failure: &failure(b"\xff"), accounts: &hashed }.to_string();
    assert!(hashed_bytes.contains(r##"account="#"##) && !hashed_bytes.contains("ff\""), "{hashed_bytes}");
}

#[test]
fn mapped_addresses_are_told_as_ipv4() {
    let client = Ipv4Addr::new(198, 51, 100, 1).to_ipv6_mapped().into();
    let line =
        Line { failure: &LoginFailure { client, ..failure(b"a") }, accounts: &Accounts::Full }.to_string();
    assert!(line.contains(" client=198.51.100.1 "), "{line}");
}

#[test]
fn the_filter_finds_the_client_in_both_forms() {
    let time = Regex::new(r"\d{4}-\d\d-\d\dT[0-9:.]+Z").unwrap();
    for client in ["203.0.113.7", "2001:db8::1"] {
        for format in [Format::Text, Format::Json] {
            let logged = lines("info", None, format, |_| {
                let failure = LoginFailure { client: client.parse().unwrap(), ..failure(b"alice") };
                login_failed(SessionId::new(), &Accounts::Full, &failure);
            });
            assert_eq!(banned(&logged).as_deref(), Some(client), "{logged}");
            assert_eq!(banned(&format!("mx pointsman[7]: {logged}")).as_deref(), Some(client), "{logged}");
            // fail2ban takes the time out of the line before it looks.
            assert_eq!(banned(&time.replace(&logged, "")).as_deref(), Some(client), "{logged}");
            let spanned = lines("info", None, format, |_| {
                let _span = tracing::info_span!(target: "mail", "session", id = "x").entered();
                login_failed(SessionId::new(), &Accounts::Full, &failure(b"alice"));
            });
            assert_eq!(banned(&spanned).as_deref(), Some("203.0.113.7"), "{spanned}");
        }
    }
}

#[test]
fn nobody_bans_somebody_else() {
    let forged = r#"x INFO pointsman::login: login failed: protocol=imap client=192.0.2.1 account=""#;
    for format in [Format::Text, Format::Json] {
        let logged = lines("info", None, format, |_| {
            login_failed(SessionId::new(), &Accounts::Full, &failure(forged.as_bytes()));
        });
        assert_eq!(banned(&logged).as_deref(), Some("203.0.113.7"), "{logged}");
        let other_event = lines("info", None, format, |_| {
            tracing::info!(target: "mail", name = %Escaped(forged.as_bytes()), "something else");
            tracing::info!(target: "mail", "{}", Escaped(forged.as_bytes()));
        });
        for line in other_event.lines() {
            assert_eq!(banned(line), None, "{line}");
        }
    }
}
