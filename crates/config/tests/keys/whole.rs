//! A file in which every key of the table is written, each with a value that makes sense.

use std::collections::BTreeMap;

use config::keys::{KEYS, Key, Kind};

use crate::folder::Folder;

/// Values for those keys that not every text or word of their kind fits.
const FITTING: &[(&str, &str)] = &[
    ("server.log_level", "\"warn,pointsman=info\""),
    ("tls.certificate.*.cert", "\"cert.pem\""),
    ("tls.certificate.*.subjects", "[\"mail.example.org\"]"),
    ("tls.certificate.*.key", "\"key.pem\""),
    ("tls.protocols.disable_cipher_suites", "[\"TLS_AES_128_GCM_SHA256\"]"),
    ("listener.*.bind", "[\"127.0.0.1:10993\", \"[::1]:10993\"]"),
    ("listener.*.proxy_protocol", "\"optional\""),
    ("listener.*.proxy_trusted", "[\"192.0.2.0/24\", \"2001:db8::1\"]"),
    ("listener.*.trusted_fronts", "[\"192.0.2.7\"]"),
    (
        "destination.*.tls_pinned_cert_sha256",
        "\"00:11:22:33:44:55:66:77:88:99:aa:bb:cc:dd:ee:ff:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF\"",
    ),
    ("server.hostname", "\"mail.example.org\""),
    ("destination.*.tls_allow_invalid_certs", "false"),
    ("destination.*.tls_ca", "\"cert.pem\""),
    ("destination.*.tls_client_cert", "\"cert.pem\""),
    ("destination.*.tls_client_key", "\"key.pem\""),
    ("destination.*.login_domain_separator", "\"+\""),
    ("destination.*.source_ips", "[\"192.0.2.5\", \"2001:db8::5\"]"),
    ("destination.*.health_interval", "\"30s\""),
    ("routing.default_destination", "\"old\""),
    ("routing.smtp_passthrough_destination", "\"new\""),
    ("mapping.default_domain", "\"example.org\""),
    ("mapping.redis.url", "\"rediss://127.0.0.1/\""),
    ("mapping.sql.url", "\"postgres://127.0.0.1/mail\""),
    ("capabilities.*.sasl", "[\"SCRAM-SHA-256\", \"PLAIN\"]"),
    ("oauth.resolve.with", "[\"jmap\", \"introspection\", \"userinfo\"]"),
    ("oauth.resolve.destination", "\"new\""),
    ("oauth.resolve.url", "\"https://id.example.org/introspect\""),
    ("admin.bind", "[\"127.0.0.1:8443\"]"),
    ("admin.bearer_token_file", "\"token\""),
    ("admin.bearer_token", "\"file:token\""),
    ("admin.min_token_len", "32"),
    ("admin.certificate", "\"mail\""),
    ("moves.compare.*.password", "\"file:token\""),
];

/// One route for each way to show the account: a route cannot have all keys at once.
const ROUTES: &str = r#"
[[http.route]]
match = "/authorize/**"
destination = "old"
[[http.route]]
match = "/auth/token"
extract = { from = "body", regex = "client_id=([^&]+)" }
fallback = "old"
[[http.route]]
match = "/a"
extract = { from = "query", param = "user" }
[[http.route]]
match = "/b"
extract = { from = "header", header = "X-Account" }
[[http.route]]
match = "/c"
extract = { from = "authorization" }
authenticates = true
"#;

fn value(key: &Key) -> String {
    if let Some((_, value)) = FITTING.iter().find(|(path, _)| *path == key.path) {
        return (*value).to_owned();
    }
    match key.kind {
        Kind::Text | Kind::Secret => "\"some.name\"".to_owned(),
        Kind::Texts | Kind::TextOrTexts => "[\"some.name\"]".to_owned(),
        Kind::Boolean => "true".to_owned(),
        Kind::Integer(_, most) => most.min(8192).to_string(),
        Kind::Duration => "\"90s\"".to_owned(),
        Kind::Size => "\"128KiB\"".to_owned(),
        Kind::Word(words) => format!("\"{}\"", words[0]),
    }
}

/// What stands for the stars of a path.
fn names(path: &str) -> Vec<String> {
    let stars: &[&str] = match path.split('.').next() {
        Some("tls") => &["mail"],
        Some("listener") => &["imap"],
        Some("capabilities") => &["imap", "pop3", "submission", "managesieve"],
        // One way of judging a certificate for each: they exclude each other.
        _ if path.ends_with(".tls_ca") => &["new"],
        _ if path.ends_with(".tls_pinned_cert_sha256") => &["old"],
        _ => &["old", "new"],
    };
    let legs: &[&str] = if path.contains("protocol.*") { &["imap", "http"] } else { &[""] };
    let with =
        |star: &str, leg: &str| path.replace("protocol.*", &format!("protocol.{leg}")).replacen('*', star, 1);
    let mut all: Vec<_> = stars.iter().flat_map(|star| legs.iter().map(|leg| with(star, leg))).collect();
    all.dedup();
    all
}

pub(crate) fn text() -> String {
    let mut tables: BTreeMap<String, String> = BTreeMap::new();
    for key in KEYS.iter().filter(|key| !key.path.starts_with("http.route[]")) {
        for path in names(key.path) {
            let (table, name) = path.rsplit_once('.').expect("a table");
            *tables.entry(table.to_owned()).or_default() += &format!("{name} = {}\n", value(key));
        }
    }
    let tables: String = tables.iter().map(|(table, keys)| format!("[{table}]\n{keys}")).collect();
    tables + ROUTES
}

#[test]
fn a_file_with_every_key_is_accepted() {
    let folder = Folder::new();
    let text = text();
    let report = match config::parse(&folder.path("c.toml"), text.clone()) {
        Ok(loaded) => loaded.warnings,
        Err(report) => report,
    };
    // A token in a file and one beside it: nobody wants both but this test.
    let is_expected = |message: &str| {
        ["not implemented yet", "the token in this file is used", "accepted and not used"]
            .iter()
            .any(|expected| message.contains(expected))
    };
    let mut others = report.diagnostics.iter().filter(|one| !is_expected(&one.message));
    assert!(others.next().is_none(), "{report}");
    for key in KEYS {
        let name = key.path.rsplit('.').next().expect("a name");
        let is_there =
            |line: &str| line.starts_with(&format!("{name} = ")) || line.contains(&format!(" {name} = "));
        assert!(text.lines().any(is_there), "{} is in the file", key.path);
    }
}

/// Each alone misspelt: it and nothing else is unknown, and the right one is suggested.
#[test]
fn each_key_misspelt_is_told_with_the_right_one() {
    let folder = Folder::new();
    let whole = text();
    for key in KEYS {
        let name = key.path.rsplit('.').next().expect("a name");
        let (head, tail) = name.split_at(name.len() - 1);
        let misspelt = format!("{head}{tail}{tail}");
        let text = replace_first(&whole, key.path, name, &misspelt);
        let report = config::parse(&folder.path("c.toml"), text).expect_err("an unknown key");
        let unknown: Vec<_> =
            report.diagnostics.iter().filter(|one| one.message.contains("unknown key")).collect();
        let [one] = &unknown[..] else { panic!("{}: {report}", key.path) };
        assert_eq!(one.message, format!("unknown key `{misspelt}`"), "{}", key.path);
        assert_eq!(one.help, format!("did you mean `{name}`?"), "{}", key.path);
        assert_eq!(one.key.rsplit('.').next(), Some(&*misspelt), "{}", key.path);
    }
}

/// The text with one name changed, the first in a table of that path.
fn replace_first(whole: &str, path: &str, name: &str, by: &str) -> String {
    let table = names(path).remove(0);
    let header = match table.split_once("[]") {
        Some((list, _)) => format!("[[{list}]]\n"),
        None => format!("[{}]\n", table.rsplit_once('.').expect("a table").0),
    };
    let start = whole.find(&header).unwrap_or_else(|| panic!("{header} is in the file"));
    let key = format!("{name} = ");
    let is_key = |at: &usize| matches!(whole.as_bytes()[*at - 1], b'\n' | b' ');
    let at = whole[start..].match_indices(&key).map(|(at, _)| start + at).find(is_key).expect("the key");
    format!("{}{by}{}", &whole[..at], &whole[at + name.len()..])
}
