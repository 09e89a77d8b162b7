//! No secret of a configuration appears in anything that is shown.

use crate::support::{BASE, Folder};

/// Every place for a secret in a file that is rich in mistakes, so that its lines are quoted.
const WITH_MISTAKES: &str = r##"
admin = { bind = 1, bearer_token = "hunter2-token", tls = "plain" }
[mapping.redis]
url = "redis:/hunter2-redis"
[mapping.sql]
url = "oracle://u:hunter2-sql@h/d" # url = "hunter2-comment"
quary = "q"
[oauth.resolve]
client_secret = ["hunter2-list"]
clientsecret = "hunter2-misspelt"
url = "ldap://hunter2-resolve"
[moves.compare.nowhere]
password = 0x1123581321345589
passwort = "hunter2-german"
[admn]
"bearer_token" = """
hunter2-multi-line"""
"##;

/// Everything that a report can show.
fn shown(report: &config::Report) -> String {
    format!("{report} {report:?} {} {}", report.render(true), report.to_json())
}

#[test]
fn reports_quote_lines_without_their_secrets() {
    let folder = Folder::new();
    let report = config::parse(&folder.path("c.toml"), WITH_MISTAKES.to_owned()).expect_err("mistakes");
    let shown = shown(&report);
    assert!(!shown.contains("hunter2"), "{report}");
    assert!(!shown.contains("1123581321345589"), "{report}");
    // The lines themselves are there.
    assert!(shown.contains("bearer_token = \"*************\", tls = \"plain\""), "{report}");
    assert!(shown.contains("clientsecret = \"****************\""), "{report}");
}

/// A file that cannot be parsed quotes lines, too.
#[test]
fn syntax_errors_quote_lines_without_their_secrets() {
    let folder = Folder::new();
    for text in [
        "[admin]\nbearer_token = \"hunter2\n",
        "[admin]\nbearer_token = hunter2\n",
        "[admin]\nbearer_token = 'hunter2\n",
        "[admin]\nbearer_token = \"\"\"hunter2\n",
        "[admin]\nbearer_token = \"\\hunter2\"\n",
        "admin = { bearer_token = \"hunter2\", = }\n",
        "[moves]\ncompare = { old = { password = \"hunter2\" }\n",
        "[admin]\nbearer_token == \"hunter2\"\n",
        "[admin]\nbearer_token = \"hunter2\" \"hunter2\"\n",
    ] {
        let report = config::parse(&folder.path("c.toml"), text.to_owned()).expect_err("no TOML");
        assert!(!shown(&report).contains("hunter2"), "{text}\n{report}");
    }
}

/// What `file:` and `env:` lead to is in the plan, and in nothing that is shown.
#[test]
fn secrets_from_elsewhere_are_never_shown() {
    let folder = Folder::new();
    std::fs::write(folder.path("secret"), "hunter2-of-the-file-that-is-long-enough\n").expect("write");
    let admin = "[admin]\nbind = \"127.0.0.1:1\"\nbearer_token = \"file:secret\"";
    let moves =
        "[moves.compare.old]\npassword = \"file:secret\"\n[moves.compare.new]\npassword = \"env:PATH\"";
    let good = BASE.replace("#admin", admin).replace("#moves", moves);
    let loaded =
        config::parse(&folder.path("c.toml"), good.clone()).unwrap_or_else(|report| panic!("{report}"));
    let plan = loaded.plan;
    let token = plan.admin.as_ref().map(|admin| admin.token.expose().to_vec());
    assert_eq!(token.as_deref(), Some(&b"hunter2-of-the-file-that-is-long-enough"[..]));
    let password = plan.moves.compare.get("new").map(|login| login.password.expose().to_vec());
    assert_eq!(password, std::env::var_os("PATH").map(std::ffi::OsString::into_encoded_bytes));
    let debug = format!("{plan:?} {:?} {}", loaded.warnings, loaded.warnings);
    assert!(!debug.contains("hunter2"), "the debug form of a plan");
    // Too short a token: its length is told, where it comes from is shown, what it is is not.
    std::fs::write(folder.path("secret"), "hunter2").expect("write");
    let report = config::parse(&folder.path("c.toml"), good).expect_err("a short token");
    let shown = shown(&report);
    assert!(!shown.contains("hunter2"), "{report}");
    assert!(
        shown.contains("a token of 7 bytes") && shown.contains("bearer_token = \"file:secret\""),
        "{report}"
    );
}

#[test]
fn a_secret_that_is_written_here_is_not_in_the_debug_form_of_a_plan() {
    let folder = Folder::new();
    let admin = "[admin]\nbind = \"127.0.0.1:1\"\nbearer_token = \"hunter2hunter2hunter2hunter2hunter2\"";
    let loaded = config::parse(&folder.path("c.toml"), BASE.replace("#admin", admin)).expect("valid");
    assert!(!format!("{loaded:?}").contains("hunter2"));
}

/// Token, key and password files that every user of the host can read are warned about, each at its key.
#[test]
fn files_that_every_user_can_read_are_warned_about() {
    use std::fs::{Permissions, set_permissions};
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new();
    let text = BASE
        .replacen("#tls", "[tls.certificate.a]\ncert = \"cert.pem\"\nkey = \"key.pem\"", 1)
        .replacen("#new", "\ntls_client_cert = \"other-cert.pem\"\ntls_client_key = \"other-key.pem\"", 1)
        .replacen("#admin", "[admin]\nbind = [\"127.0.0.1:9443\"]\nbearer_token_file = \"token\"", 1);
    let exposed = || {
        let loaded = config::parse(&folder.path("c.toml"), text.clone()).unwrap_or_else(|it| panic!("{it}"));
        let warnings = loaded.warnings.diagnostics.iter();
        let exposed =
            warnings.filter(|warning| warning.message.starts_with("every user of this host can read "));
        exposed.map(|warning| warning.key.clone()).collect::<Vec<_>>()
    };
    set_permissions(folder.path(""), Permissions::from_mode(0o700)).expect("a mode");
    assert!(exposed().is_empty(), "only the owner can use the folder");
    set_permissions(folder.path(""), Permissions::from_mode(0o755)).expect("a mode");
    let mut found = exposed();
    found.sort();
    assert_eq!(found, ["admin.bearer_token_file", "destination.new.tls_client_key", "tls.certificate.a.key"]);
    for file in ["token", "key.pem", "other-key.pem"] {
        set_permissions(folder.path(file), Permissions::from_mode(0o640)).expect("a mode");
    }
    assert!(exposed().is_empty(), "a group may read them");
}
