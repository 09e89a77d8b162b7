//! Every mistake in a configuration is named, with its place, in one run.

mod support;

use pointsman_config as config;

use support::{BASE, Folder, found};

/// A file with ten different mistakes names all ten.
#[test]
fn ten_mistakes_in_one_run() {
    let folder = Folder::new();
    let text = include_str!("ten.toml");
    let report = config::parse(&folder.path("ten.toml"), text.to_owned()).expect_err("ten mistakes");
    let places: Vec<String> = report
        .diagnostics
        .iter()
        .map(|diagnostic| {
            let (line, column) = report.position(diagnostic);
            format!("{line}:{column} {}", diagnostic.key)
        })
        .collect();
    assert_eq!(
        places,
        [
            "2:1 server.hostnam",
            "3:18 server.shutdown_grace",
            "6:12 listener.imap.protocol",
            "7:9 listener.imap.bind",
            "8:7 listener.imap.tls",
            "14:18 listener.sieve.proxy_protocol",
            "18:26 destination.old.tls_pinned_cert_sha256",
            "19:22 destination.old.protocol.imap.port",
            "22:23 routing.default_destination",
            "25:10 mapping.source",
        ]
    );
    let rendered = report.render(false).replace(&*folder.path("ten.toml").to_string_lossy(), "ten.toml");
    assert_eq!(rendered.trim_end(), include_str!("ten.txt").trim_end(), "the golden file");
    assert_eq!(report.to_json().as_array().map(Vec::len), Some(10));
}

/// Each rule that must stop the start: what is changed about a good file, and what is said of it.
#[test]
fn each_rule_stops_the_start() {
    for (change, with, key, message) in RULES {
        let text = BASE.replace(change, with);
        assert_ne!(text, BASE, "{change:?} is in the base");
        let errors = found(&text);
        assert!(
            errors.iter().any(|(k, m)| k == key && m.contains(message)),
            "{change:?} → {with:?}: expected {key}: {message}, got {errors:#?}"
        );
    }
}

type Rule = (&'static str, &'static str, &'static str, &'static str);

const RULES: &[Rule] = &[
    // Undeclared destinations, anywhere.
    (
        "default_destination = \"old\"",
        "default_destination = \"odl\"",
        "routing.default_destination",
        "no declared destination",
    ),
    (
        "#passthrough",
        "smtp_passthrough_destination = \"nwe\"",
        "routing.smtp_passthrough_destination",
        "no declared destination",
    ),
    (
        "#route",
        "[[http.route]]\nmatch = \"/x\"\ndestination = \"nowhere\"",
        "http.route[0].destination",
        "no declared destination",
    ),
    (
        "#route",
        "[[http.route]]\nmatch = \"/x\"\nextract = { from = \"authorization\" }\nfallback = \"nowhere\"",
        "http.route[0].fallback",
        "no declared destination",
    ),
    (
        "#oauth",
        "[oauth.resolve]\nwith = [\"jmap\"]\ndestination = \"nowhere\"",
        "oauth.resolve.destination",
        "no declared destination",
    ),
    // Legs.
    (
        "protocol.imap = { port = 993, tls = \"implicit\" } #old",
        "protocol.pop3 = { port = 995, tls = \"implicit\" }",
        "listener.imap.protocol",
        "has no leg for \"imap\"",
    ),
    (
        "#listener",
        "[listener.mx]\nprotocol = \"smtp\"\nbind = [\"127.0.0.1:2525\"]\ntls = \"starttls\"",
        "listener.mx.tls",
        "expected \"plain\" or \"implicit\"",
    ),
    (
        "#listener",
        "[listener.mx]\nprotocol = \"smtp\"\nbind = [\"127.0.0.1:2525\"]\ntls = \"plain\"",
        "routing.smtp_passthrough_destination",
        "the key is missing",
    ),
    (
        "#passthrough",
        "smtp_passthrough_destination = \"new\"\n[listener.mx]\nprotocol = \"lmtp\"\nbind = [\"127.0.0.1:2424\"]\ntls = \"plain\"",
        "routing.smtp_passthrough_destination",
        "has no leg for \"lmtp\"",
    ),
    ("[routing]\n", "[routing]\n[routing]\n", "syntax", "duplicate"),
    ("tls = \"implicit\" } #old", "tls = \"plain\" }", "destination.old.protocol.imap.tls", "in the clear"),
    (
        "host = \"old.example.org\"",
        "host = \"192.0.2.1\"",
        "destination.old.tls_server_name",
        "the key is missing",
    ),
    // Listeners.
    ("#imap", "proxy_protocol = \"required\"", "listener.imap.proxy_protocol", "proxy_trusted names nobody"),
    ("#imap", "proxy_trusted = [\"10.0.0.0/33\"]", "listener.imap.proxy_trusted", "expected a network"),
    (
        "#listener",
        "[listener.two]\nprotocol = \"imap\"\nbind = [\"127.0.0.1:10993\"]\ntls = \"implicit\"",
        "listener.two.bind",
        "is taken by [listener.imap]",
    ),
    (
        "#listener",
        "[listener.two]\nprotocol = \"imap\"\nbind = [\"0.0.0.0:10993\"]\ntls = \"implicit\"",
        "listener.two.bind",
        "is taken by [listener.imap]",
    ),
    (
        "host = \"old.example.org\"",
        "host = \"127.0.0.1\"\ntls_server_name = \"x\"\nprotocol.submission = { port = 10993, tls = \"implicit\" }",
        "destination.old.protocol.submission.port",
        "a loop",
    ),
    ("bind = [\"127.0.0.1:10993\"]", "bind = []", "listener.imap.bind", "missing"),
    ("#imap", "preauth_timeout = \"30\"", "listener.imap.preauth_timeout", "expected a duration"),
    ("protocol = \"imap\"", "protocol = \"http\"", "listener.imap.protocol", "not built yet"),
    // Mapping.
    ("source = \"file\"", "source = \"redis\"", "mapping.source", "there is no [mapping.redis]"),
    ("[mapping.file]\npath = \"mapping\"", "", "mapping.source", "there is no [mapping.file]"),
    ("path = \"mapping\"", "watch = true", "mapping.file.path", "missing"),
    // Certificates and pins.
    (
        "#tls",
        "[tls.certificate.a]\ncert = \"none.pem\"\nkey = \"none.pem\"",
        "tls.certificate.a.key",
        "cannot be read",
    ),
    (
        "#tls",
        "[tls.certificate.a]\ncert = \"cert.pem\"\nkey = \"other-key.pem\"",
        "tls.certificate.a.key",
        "does not belong",
    ),
    (
        "#tls",
        "[tls.protocols]\ndisable_cipher_suites = [\"TLS_NONE\"]",
        "tls.protocols.disable_cipher_suites",
        "standard name",
    ),
    (
        "#old",
        "\ntls_pinned_cert_sha256 = \"00:11\"",
        "destination.old.tls_pinned_cert_sha256",
        "64 hexadecimal digits",
    ),
    ("#old", "\ntls_client_cert = \"cert.pem\"", "destination.old.tls_client_cert", "belong together"),
    // HTTP.
    ("#route", "[[http.route]]\nmatch = \"/[\"\ndestination = \"old\"", "http.route[0].match", "no glob"),
    (
        "#route",
        "[[http.route]]\nmatch = \"/x\"\nextract = { from = \"body\", regex = \"(\" }",
        "http.route[0].extract.regex",
        "no regular expression",
    ),
    ("#route", "[[http.route]]\nmatch = \"/x\"", "http.route[0]", "neither destination nor extract"),
    // Capabilities.
    (
        "#capabilities",
        "[capabilities.imap]\nsasl = [\"PLAIN\", \"PLAIN\"]",
        "capabilities.imap.sasl",
        "twice",
    ),
    (
        "#capabilities",
        "[capabilities.imap]\nsasl = [\"PLAN\"]",
        "capabilities.imap.sasl",
        "expected a SASL mechanism",
    ),
    // Management.
    (
        "#admin",
        "[admin]\nbind = \"127.0.0.1:1\"\nbearer_token = \"short\"",
        "admin.bearer_token",
        "expected at least 32",
    ),
    ("#admin", "[admin]\nbind = \"127.0.0.1:1\"", "admin.bearer_token_file", "there is no token"),
    (
        "#admin",
        "[admin]\nbind = \"127.0.0.1:1\"\ntls = \"plain\"\nbearer_token = \"0123456789abcdef0123456789abcdef\"",
        "admin.tls",
        "expected \"implicit\"",
    ),
    // Keys.
    ("#imap", "preauth_timout = \"30s\"", "listener.imap.preauth_timout", "unknown key"),
    ("[routing]", "[ruoting]\n[routing]", "ruoting", "unknown key"),
];

/// Worth a warning, and no more.
#[test]
fn warnings_do_not_stop_the_start() {
    for (change, with, key) in [
        (
            "#admin",
            "[admin]\nbind = \"0.0.0.0:1\"\nbearer_token = \"0123456789abcdef0123456789abcdef\"",
            "admin.bind",
        ),
        ("#old", "\ntls_allow_invalid_certs = true", "destination.old.tls_allow_invalid_certs"),
        ("#capabilities", "[capabilities.imap]\nlearn = true", "capabilities.imap.learn"),
    ] {
        let folder = Folder::new();
        let loaded =
            config::parse(&folder.path("c.toml"), BASE.replace(change, with)).expect("only warnings");
        let keys: Vec<_> = loaded.warnings.diagnostics.iter().map(|warning| &*warning.key).collect();
        assert!(keys.contains(&key), "{key} in {keys:?}");
    }
}

#[test]
fn secrets_are_never_shown() {
    let folder = Folder::new();
    std::fs::write(folder.path("token"), "a-token-that-is-far-too-short\n").expect("write");
    let text =
        BASE.replace("#admin", "[admin]\nbind = \"127.0.0.1:1\"\nbearer_token_file = \"token\"").replace(
            "source = \"file\"",
            "source = \"sql\"\nsql = { url = \"oracle://u:hunter2@h/d\", query = \"q\" }",
        );
    let report = config::parse(&folder.path("c.toml"), text).expect_err("a short token");
    let said = format!("{:?}", report.diagnostics);
    assert!(!said.contains("far-too-short") && !said.contains("hunter2"), "{said}");
    let good = BASE.replace(
        "#admin",
        "[admin]\nbind = \"127.0.0.1:1\"\nbearer_token = \"0123456789abcdef0123456789abcdef\"",
    );
    let plan = config::parse(&folder.path("c.toml"), good).expect("valid").plan;
    assert!(!format!("{plan:?}").contains("0123456789abcdef"), "the debug form of a plan");
}

#[test]
fn no_text_makes_it_panic() {
    use proptest::prelude::*;
    let folder = Folder::new();
    proptest!(ProptestConfig::with_cases(200), |(at in 0..BASE.len(), junk in "\\PC{0,12}|[\\[\\]=\"#.\n]{0,6}", cut in 0_usize..40)| {
        let at = (0..=at).rev().find(|at| BASE.is_char_boundary(*at)).unwrap_or(0);
        let end = (at + cut).min(BASE.len());
        let end = (end..=BASE.len()).find(|end| BASE.is_char_boundary(*end)).unwrap_or(BASE.len());
        let text = format!("{}{junk}{}", &BASE[..at], &BASE[end..]);
        if let Err(report) = config::parse(&folder.path("c.toml"), text) {
            prop_assert!(report.errors() > 0);
            let _ = (report.render(true), report.to_json());
        }
    });
}
