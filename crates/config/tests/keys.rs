//! The table of keys, the loader and the reference page agree.

use std::path::Path;

use pointsman_config as config;

use config::keys::{KEYS, Key, Kind};

/// A configuration that has everything that must be there.
const BASE: &str = r#"
[listener.imap]
protocol = "imap"
bind = ["127.0.0.1:10993"]
tls = "implicit"
[destination.old]
host = "old.example.org"
protocol.imap = { port = 993, tls = "implicit" }
protocol.http = { port = 443, tls = "implicit" }
[routing]
default_destination = "old"
[mapping]
source = "file"
file = { path = "mapping" }
"#;

/// The path with names in place of its stars.
fn named(path: &str) -> String {
    let star = match path.split('.').next() {
        Some("listener") => "imap",
        Some("capabilities") => "imap",
        _ => "old",
    };
    path.replacen("protocol.*", "protocol.imap", 1).replace('*', star)
}

/// `a.b[].c = value` as a document of its own: a table's header, then the key.
fn document(path: &str, value: &str) -> String {
    let path = named(path);
    let (table, key) = path.rsplit_once('.').expect("a table");
    match table.split_once("[]") {
        Some((list, "")) => format!("[[{list}]]\n{key} = {value}\n"),
        Some((list, rest)) => format!("[[{list}]]\n[{list}{rest}]\n{key} = {value}\n"),
        None => format!("[{table}]\n{key} = {value}\n"),
    }
}

/// Every problem of a text that is a key nobody knows.
fn unknown(text: &str) -> Vec<(String, String)> {
    let report = match config::parse(Path::new("c.toml"), text.to_owned()) {
        Ok(loaded) => loaded.warnings,
        Err(report) => report,
    };
    let is_unknown = |one: &&config::Diagnostic| one.message.starts_with("unknown key");
    report.diagnostics.iter().filter(is_unknown).map(|one| (one.key.clone(), one.help.clone())).collect()
}

/// Something of a kind that the loader accepts as a value.
fn sample(key: &Key) -> String {
    match key.kind {
        Kind::Text | Kind::Secret => "\"x\"".to_owned(),
        Kind::Texts | Kind::TextOrTexts => "[\"x\"]".to_owned(),
        Kind::Boolean => "true".to_owned(),
        Kind::Integer(least, _) => least.to_string(),
        Kind::Duration => "\"1s\"".to_owned(),
        Kind::Size => "1024".to_owned(),
        Kind::Word(words) => format!("\"{}\"", words[0]),
    }
}

#[test]
fn every_key_of_the_table_is_known_to_the_loader() {
    for key in KEYS {
        let text = document(key.path, &sample(key));
        assert_eq!(unknown(&text), [], "{text}");
    }
}

#[test]
fn every_key_misspelt_is_found_and_the_right_one_suggested() {
    for key in KEYS {
        let (table, name) = key.path.rsplit_once('.').expect("a table");
        let misspelt = format!("{name}x");
        let text = document(&format!("{table}.{misspelt}"), &sample(key));
        let found = unknown(&text);
        let [(path, help)] = &found[..] else { panic!("{text}: {found:?}") };
        assert!(path.ends_with(&misspelt), "{path}");
        assert!(help.contains("did you mean"), "{text}: {help}");
    }
}

/// Each default that the table names is what the plan has: written out, the file means the same.
#[test]
fn defaults_in_the_table_are_the_loaders() {
    let plan = |text: &str| {
        let loaded = config::parse(Path::new("c.toml"), text.to_owned());
        format!("{:?}", loaded.unwrap_or_else(|report| panic!("{text}\n{report}")).plan)
    };
    let without = plan(BASE);
    for key in KEYS.iter().filter(|key| !key.default.is_empty() && key.default != "[]") {
        let section = key.path.split('.').next().expect("a section");
        // The tables that do not exist in the base have nothing to compare with.
        let is_here = matches!(section, "server" | "limits" | "http" | "oauth" | "cluster" | "tls")
            && !key.path.contains('*')
            && !key.path.contains("[]")
            && !key.path.contains("resolve");
        if !is_here || key.path == "server.state_dir" {
            continue;
        }
        let value = match key.kind {
            Kind::Boolean | Kind::Integer(..) | Kind::Texts => key.default.to_owned(),
            _ => format!("\"{}\"", key.default),
        };
        let with = plan(&format!("{BASE}{}", document(key.path, &value)));
        assert_eq!(with, without, "{} = {value}", key.path);
    }
}

#[test]
fn the_reference_page_is_up_to_date() {
    let page = include_str!("../../../docs/configuration.md");
    assert!(
        page == config::reference(),
        "write it anew: cargo run -- schema --reference > docs/configuration.md"
    );
}
