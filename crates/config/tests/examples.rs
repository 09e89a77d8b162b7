//! The examples are what the guide describes, and load: what is not implemented yet is all that may be said.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

fn check(text: &str) {
    let folder = tempfile::tempdir().expect("folder");
    // As an operator keeps keys: without a warning.
    std::fs::set_permissions(folder.path(), Permissions::from_mode(0o700)).expect("mode");
    let made = rcgen::generate_simple_self_signed(["mail.example.org".to_owned()]).expect("certificate");
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("write");
    write("mail.example.org.pem", &made.cert.pem());
    write("mail.example.org.key", &made.signing_key.serialize_pem());
    write("admin.token", "0123456789abcdef0123456789abcdef\n");
    let diagnostics = match config::parse(&folder.path().join("example.toml"), text.to_owned()) {
        Ok(loaded) => loaded.warnings.diagnostics,
        Err(report) => report.diagnostics,
    };
    let others: Vec<_> =
        diagnostics.iter().filter(|one| !one.message.contains("not implemented yet")).collect();
    assert!(others.is_empty(), "{others:#?}");
}

#[test]
fn upgrading_stalwart() {
    check(include_str!("../../../examples/upgrading-stalwart.toml"));
}

#[test]
fn migrating_from_dovecot() {
    check(include_str!("../../../examples/migrating-from-dovecot.toml"));
}
