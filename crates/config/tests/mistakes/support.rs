//! A good configuration, with places to put something bad.

use std::path::{Path, PathBuf};

/// Valid as it stands: the comments are places for what a test adds.
pub(crate) const BASE: &str = r#"
[server]
hostname = "mail.example.org"
#server
[listener.imap]
protocol = "imap"
bind = ["127.0.0.1:10993"]
tls = "implicit"
#imap
[destination.old]
host = "old.example.org"
protocol.imap = { port = 993, tls = "implicit" } #old
[destination.new]
host = "new.example.org"
protocol.imap = { port = 993, tls = "implicit" } #new
[routing]
default_destination = "old"
#passthrough
[mapping]
source = "file"
#mapping
[mapping.file]
path = "mapping"
#listener
#tls
#oauth
#route
#capabilities
#limits
#moves
#admin
"#;

/// A folder with two pairs of certificate and key, and two tokens.
pub(crate) struct Folder(tempfile::TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("folder");
        for name in ["", "other-"] {
            let made =
                rcgen::generate_simple_self_signed(["mail.example.org".to_owned()]).expect("certificate");
            let write =
                |file: &str, text: String| std::fs::write(folder.path().join(file), text).expect("write");
            write(&format!("{name}cert.pem"), made.cert.pem());
            write(&format!("{name}key.pem"), made.signing_key.serialize_pem());
        }
        std::fs::write(folder.path().join("token"), "0123456789abcdef0123456789abcdef\n").expect("write");
        std::fs::write(folder.path().join("short-token"), "far-too-shy\n").expect("write");
        Self(folder)
    }

    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.0.path().join(name)
    }
}

/// The errors, or the warnings, of a text: place, key and message.
pub(crate) fn found(text: &str, severity: config::Severity) -> Vec<(String, String, String)> {
    let folder = Folder::new();
    let report = match config::parse(&folder.path("c.toml"), text.to_owned()) {
        Ok(loaded) => loaded.warnings,
        Err(report) => report,
    };
    let all = report.diagnostics.iter().filter(|one| one.severity == severity);
    let place = |one| {
        let (line, column) = report.position(one);
        format!("{line}:{column}")
    };
    all.map(|one| (place(one), one.key.clone(), one.message.clone())).collect()
}
