//! `pointsman status` and `pointsman sessions`.

use serde_json::json;

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
    let told = proxy.run(&["sessions", "kick"]);
    assert_eq!((told.code, told.out.as_str()), (2, ""), "{told:?}");
    assert!(told.err.contains("--user"), "{}", told.err);
}
