//! `pointsman check`: the configuration, the mapping file and the mapping store.

use std::ffi::OsStr;

use serde_json::json;

use crate::support::{Outcome, pointsman};

const CONFIGURATION: &str = r#"
[listener.imap]
protocol = "imap"
bind = ["127.0.0.1:0"]
tls = "plain"
[destination.old]
host = "127.0.0.1"
proxy_protocol = false
allow_plaintext_auth = true
protocol.imap = { port = 1, tls = "plain" }
[routing]
default_destination = "old"
"#;
const FILE: &str = "[mapping]\nsource = \"file\"\n[mapping.file]\npath = \"mapping\"\n";
const REDIS: &str =
    "[mapping]\nsource = \"redis\"\n[mapping.redis]\nurl = \"redis://who:hunter2@127.0.0.1:1/\"\n";

/// Checks a configuration with these sections on the mapping, and this mapping file.
fn check(mapping: &str, lines: Option<&str>, arguments: &[&str]) -> Outcome {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("c.toml"), format!("{CONFIGURATION}{mapping}")).expect("a file");
    if let Some(lines) = lines {
        std::fs::write(folder.path().join("mapping"), lines).expect("a file");
    }
    let arguments = ["check", "c.toml"].iter().chain(arguments).map(OsStr::new);
    pointsman(&arguments.collect::<Vec<_>>(), folder.path(), "")
}

#[test]
fn the_mapping_file_is_checked_with_the_configuration() {
    for (lines, code, problems) in [
        (Some("alice old\n"), 0, vec![]),
        (Some("alice nowhere\nbob old\ncarol\n"), 1, vec![1, 3]),
        (None, 1, vec![1]),
    ] {
        let output = check(FILE, lines, &[]);
        assert_eq!(output.code, code, "{output:?}");
        assert!(
            output.out.contains(if code == 0 { "is valid: 0 errors" } else { "is not valid: " }),
            "{output:?}"
        );
        let output = check(FILE, lines, &["--json"]);
        assert_eq!(output.code, code, "{output:?}");
        let found: serde_json::Value = serde_json::from_str(&output.out).expect("JSON");
        let found = found.as_array().expect("a list");
        assert_eq!(found.iter().map(|problem| problem["line"].clone()).collect::<Vec<_>>(), problems);
        assert!(found.iter().all(|problem| problem["file"] == "mapping" && problem["severity"] == "error"));
    }
}

#[test]
fn a_probe_queries_the_mapping_store() {
    let output = check(REDIS, None, &["--probe", "--json"]);
    assert_eq!(output.code, 1, "{output:?}");
    let found: serde_json::Value = serde_json::from_str(&output.out).expect("JSON");
    assert_eq!((&found["store"]["source"], &found["store"]["state"]), (&json!("redis"), &json!("failed")));
    assert!(!output.out.contains("hunter2"), "{}", output.out);
    let output = check(REDIS, None, &["--probe"]);
    assert!(
        output.out.contains("error: mapping (redis): ") && !output.out.contains("hunter2"),
        "{}",
        output.out
    );
    assert!(output.out.contains("is valid, but the probe failed"), "{}", output.out);
    assert_eq!(check(REDIS, None, &[]).code, 0, "nothing is probed without --probe");
    let file = check(FILE, Some("alice old\n"), &["--probe", "--json"]);
    let found: serde_json::Value = serde_json::from_str(&file.out).expect("JSON");
    assert_eq!(found["store"], json!(null));
}
