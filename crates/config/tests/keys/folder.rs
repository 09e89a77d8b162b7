//! A folder with what a configuration names: a certificate, its key, a token.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

pub(crate) struct Folder(tempfile::TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("folder");
        // As an operator keeps keys: without a warning.
        std::fs::set_permissions(folder.path(), Permissions::from_mode(0o700)).expect("mode");
        let made = rcgen::generate_simple_self_signed(["mail.example.org".to_owned()]).expect("certificate");
        let write = |file: &str, text: &str| std::fs::write(folder.path().join(file), text).expect("write");
        write("cert.pem", &made.cert.pem());
        write("key.pem", &made.signing_key.serialize_pem());
        write("token", "0123456789abcdef0123456789abcdef\n");
        Self(folder)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}
