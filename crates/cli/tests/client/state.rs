//! `pointsman status` and `pointsman sessions`.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use serde_json::json;

use crate::probe::backend;
use crate::support::Proxy;

#[test]
fn status_shows_the_proxy_and_its_destinations() {
    let proxy = Proxy::start();
    let status = proxy.run(&["status"]).ok();
    assert!(status.starts_with(concat!("pointsman ", env!("CARGO_PKG_VERSION"), ": ready, up ")), "{status}");
    assert!(status.contains("\nDESTINATION    PROTOCOL  PORT  STATE"), "{status}");
    assert!(status.contains("\nold (default)  imap      1     not used yet"), "{status}");
    let status = proxy.run(&["status", "--json"]).json();
    assert_eq!((&status["ready"], &status["stats"]["sessions"]), (&json!(true), &json!(0)));
    assert_eq!(status["destinations"].as_array().map(Vec::len), Some(2));
}

#[test]
fn without_sessions_there_is_a_header_only() {
    let proxy = Proxy::start();
    let listed = proxy.run(&["sessions", "list"]).ok();
    assert_eq!(listed, "ID  ACCOUNT  PROTOCOL  CLIENT  DESTINATION  AGE  TO BACKEND  TO CLIENT\n");
    let listed = proxy.run(&["sessions", "list", "--user", "*@example.org", "--protocol", "imap", "--json"]);
    assert_eq!(listed.json(), json!({"connections": []}));
    let kicked = proxy.run(&["sessions", "kick", "--user", "alice+x@example.org"]).ok();
    assert_eq!(kicked, "0 sessions kicked, 0 logins in progress routed again, 0 sessions still ending\n");
    // The audit log names the local user.
    let audit = std::fs::read_dir(proxy.path("state")).expect("a folder").flatten();
    let audit: String = audit.filter_map(|file| std::fs::read_to_string(file.path()).ok()).collect();
    assert!(audit.contains("\"operator\"") && audit.contains("alice+x@example.org"), "{audit}");
}

#[test]
fn a_kick_without_a_filter_is_refused() {
    let proxy = Proxy::start();
    let output = proxy.run(&["sessions", "kick"]);
    assert_eq!((output.code, output.out.as_str()), (2, ""), "{output:?}");
    assert!(output.err.contains("--user"), "{}", output.err);
}

#[test]
fn sessions_are_listed_and_kicked() {
    let (address, _seen) = backend(
        "* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] hi\r\n",
        &["TAG OK [CAPABILITY IMAP4rev1] in\r\n"],
    );
    let proxy = Proxy::start_before(address.port());
    let mut client = BufReader::new(TcpStream::connect(proxy.imap).expect("a connection"));
    client.get_mut().write_all(b"a LOGIN alice@example.org secret\r\n").expect("it is read");
    let mut line = String::new();
    while !line.starts_with("a ") {
        line.clear();
        assert!(client.read_line(&mut line).expect("an answer") > 0, "no answer to the login");
    }
    assert!(line.starts_with("a OK"), "{line}");
    let listed = proxy.run(&["sessions", "list", "--user", "alice@example.org", "--json"]).json();
    let session = &listed["connections"][0];
    assert_eq!(
        (&session["account"], &session["protocol"], &session["destination"]),
        (&json!("alice@example.org"), &json!("imap"), &json!("new"))
    );
    assert!(
        proxy.run(&["sessions", "list", "--destination", "new"]).ok().contains("alice@example.org  imap ")
    );
    assert_eq!(proxy.run(&["sessions", "list", "--destination", "old"]).ok().lines().count(), 1);
    let kicked = proxy.run(&["sessions", "kick", "--user", "*@example.org"]).ok();
    assert!(kicked.starts_with("1 session kicked, "), "{kicked}");
    let mut goodbye = String::new();
    // The connection ends, with or without a BYE.
    while client.read_line(&mut goodbye).is_ok_and(|read| read > 0) {}
    assert_eq!(proxy.run(&["sessions", "list"]).ok().lines().count(), 1);
}
