//! `pointsman status` and `pointsman sessions`.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use serde_json::json;

use crate::probe::backend;
use crate::support::Proxy;

#[test]
fn the_proxy_says_how_it_is() {
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
fn nobody_is_connected() {
    let proxy = Proxy::start();
    let listed = proxy.run(&["sessions", "list"]).ok();
    assert_eq!(listed, "ID  ACCOUNT  PROTOCOL  CLIENT  DESTINATION  FOR  SENT  RECEIVED\n");
    let listed = proxy.run(&["sessions", "list", "--user", "*@example.org", "--protocol", "imap", "--json"]);
    assert_eq!(listed.json(), json!({"connections": []}));
    let kicked = proxy.run(&["sessions", "kick", "--user", "alice+x@example.org"]).ok();
    assert_eq!(kicked, "0 sessions kicked, 0 logins under way routed afresh, 0 still ending\n");
    // The record says who sat at the keyboard.
    let audit = std::fs::read_dir(proxy.path("state")).expect("a folder").flatten();
    let audit: String = audit.filter_map(|file| std::fs::read_to_string(file.path()).ok()).collect();
    assert!(audit.contains("\"operator\"") && audit.contains("alice+x@example.org"), "{audit}");
}

#[test]
fn everybody_is_never_kicked_by_an_omission() {
    let proxy = Proxy::start();
    let output = proxy.run(&["sessions", "kick"]);
    assert_eq!((output.code, output.out.as_str()), (2, ""), "{output:?}");
    assert!(output.err.contains("--user"), "{}", output.err);
}

#[test]
fn who_is_connected_is_seen_and_sent_home() {
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
    assert!(kicked.starts_with("1 sessions kicked, "), "{kicked}");
    let mut rest = String::new();
    // It ends, with a word of goodbye or without.
    while client.read_line(&mut rest).is_ok_and(|read| read > 0) {}
    assert_eq!(proxy.run(&["sessions", "list"]).ok().lines().count(), 1);
}
