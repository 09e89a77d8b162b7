//! Every mistake in a configuration is named, with its place, in one run.

mod broken;
mod hostile;
mod routes;
mod rules;
mod secrets;
mod support;

use support::{Folder, found};

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

/// Whole tables that are missing do not keep the rest from being judged, and a destination that is wrong is
/// not said to be missing too.
#[test]
fn what_is_missing_hides_nothing_else() {
    let text = "[listener.imap]
protocol = \"imap\"
bind = [\"127.0.0.1:993\", \"127.0.0.1:993\"]
tls = \"implicit\"
[listener.mx]
protocol = \"smtp\"
bind = [\"127.0.0.1:25\"]
tls = \"starttls\"
[destination.old]
protocol.imap = { port = 143, tls = \"plain\" }
[[http.route]]
match = \"/x\"
destination = \"odl\"
[[http.route]]
match = \"/y\"
destination = \"old\"
";
    let errors = found(text, config::Severity::Error);
    let said: Vec<_> = errors.iter().map(|(place, key, _)| format!("{place} {key}")).collect();
    assert_eq!(
        said,
        [
            "1:1 routing",
            "1:1 mapping",
            "1:1 routing.smtp_passthrough_destination",
            "3:26 listener.imap.bind",
            "8:7 listener.mx.tls",
            "9:1 destination.old.host",
            "13:15 http.route[0].destination",
        ]
    );
}

/// What is far too much to read is cut off, and counted; an error is never among what is lost.
#[test]
fn a_report_is_bounded() {
    let unknown: String = (0..5000).map(|index| format!("k{index} = 1\n")).collect();
    let folder = Folder::new();
    let text = support::BASE.replacen("#server\n", &unknown, 1);
    let report = config::parse(&folder.path("c.toml"), text).expect_err("unknown keys");
    assert_eq!((report.diagnostics.len(), report.errors()), (501, 501));
    let last = report.diagnostics.last().map(|last| &*last.message);
    assert_eq!(last, Some("4500 more problems are not shown"));
}
