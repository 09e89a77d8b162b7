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
        for (name, (year, month, day)) in [("expired", (2020, 1, 1)), ("soon", in_five_days())] {
            let mut parameters =
                rcgen::CertificateParams::new(["mail.example.org".to_owned()]).expect("names");
            parameters.not_before = rcgen::date_time_ymd(2019, 1, 1);
            parameters.not_after = rcgen::date_time_ymd(year, month, day);
            let key = rcgen::KeyPair::generate().expect("a key");
            let cert = parameters.self_signed(&key).expect("a certificate");
            std::fs::write(folder.path().join(format!("{name}-cert.pem")), cert.pem()).expect("write");
            std::fs::write(folder.path().join(format!("{name}-key.pem")), key.serialize_pem())
                .expect("write");
        }
        std::fs::write(folder.path().join("token"), "0123456789abcdef0123456789abcdef\n").expect("write");
        std::fs::write(folder.path().join("short-token"), "far-too-shy\n").expect("write");
        Self(folder)
    }

    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.0.path().join(name)
    }
}

/// A day that is four or five days from now, whatever the time of day is.
fn in_five_days() -> (i32, u8, u8) {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    let days = i64::try_from(now.as_secs() / 86_400).expect("days") + 5;
    civil(days)
}

/// The date of a day since 1970, by Howard Hinnant's algorithm.
fn civil(days: i64) -> (i32, u8, u8) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = u8::try_from(day_of_year - (153 * shifted + 2) / 5 + 1).expect("a day");
    let month = u8::try_from(if shifted < 10 { shifted + 3 } else { shifted - 9 }).expect("a month");
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (i32::try_from(year).expect("a year"), month, day)
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
