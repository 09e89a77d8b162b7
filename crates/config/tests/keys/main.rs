//! The table of keys, the loader, the schema and the reference page agree.

mod folder;
mod schema;
mod whole;

use config::keys::{KEYS, Kind};
use folder::Folder;

/// A file that has every table whose keys have defaults, and no more in them than must be there.
const TABLES: &str = r#"
[server]
[tls.certificate.mail]
cert = "cert.pem"
key = "key.pem"
[tls.protocols]
[listener.imap]
protocol = "imap"
bind = ["127.0.0.1:10993"]
tls = "implicit"
[destination.old]
host = "old.example.org"
protocol.imap = { port = 993, tls = "implicit" }
[destination.old.protocol.http]
port = 443
tls = "implicit"
[routing]
default_destination = "old"
[mapping]
source = "file"
[mapping.file]
path = "mapping"
[capabilities.imap]
[capabilities.managesieve]
[oauth]
[oauth.resolve]
[http]
[[http.route]]
match = "/x"
extract = { from = "authorization" }
[admin]
bind = ["127.0.0.1:8443"]
bearer_token_file = "token"
[limits]
[moves]
[cluster]
"#;

/// The header of the table that a key of that path stands in.
fn header(path: &str) -> String {
    let table = path.rsplit_once('.').expect("a table").0;
    let star = match table.split('.').next() {
        Some("tls") => "mail",
        Some("destination") => "old",
        _ => "imap",
    };
    match table.strip_suffix("[]") {
        Some(list) => format!("[[{list}]]\n"),
        None => format!("[{}]\n", table.replace('*', star)),
    }
}

/// Each default that the table names is what the plan has: written out, the file means the same.
#[test]
fn defaults_in_the_table_are_the_loaders() {
    let folder = Folder::new();
    let plan = |text: String| {
        let loaded = config::parse(&folder.path("c.toml"), text.clone());
        let plan = loaded.unwrap_or_else(|report| panic!("{text}\n{report}")).plan;
        // Whether something was written is all that may differ.
        format!("{plan:?}").replace("_is_set: true", "_is_set: false")
    };
    let without = plan(TABLES.to_owned());
    for key in KEYS.iter().filter(|key| !key.default.is_empty()) {
        let store =
            key.path.strip_prefix("mapping.").and_then(|rest| rest.split_once('.')).map(|(store, _)| store);
        if store.is_some_and(|store| store != "file") {
            // A plan has one store; theirs are compared where they are read.
            continue;
        }
        let value = match key.kind {
            Kind::Boolean | Kind::Integer(..) | Kind::Texts => key.default.to_owned(),
            _ => format!("\"{}\"", key.default),
        };
        let header = header(key.path);
        let name = key.path.rsplit('.').next().expect("a name");
        assert!(TABLES.contains(&header), "{header} is in the file");
        let with = plan(TABLES.replacen(&header, &format!("{header}{name} = {value}\n"), 1));
        assert_eq!(with, without, "{} = {value}", key.path);
    }
}

#[test]
fn the_reference_page_is_up_to_date() {
    let page = include_str!("../../../../docs/configuration.md");
    assert!(
        page == config::reference(),
        "write it anew: cargo run -- schema --reference > docs/configuration.md"
    );
}
