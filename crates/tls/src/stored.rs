//! A self-signed certificate in files, so that it is the same at the next start and clients pin it only once.
//!
//! The key must never be readable by others, not even for a moment. A pair of which one file is missing or does not
//! match must never be used: it is replaced.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use rustls::sign::CertifiedKey;

use crate::certificate::{Leaf, read_pair};
use crate::self_signed;
use crate::setup::SetupError;

/// Remaining validity that a stored certificate needs at start, in seconds: 30 days.
const MARGIN: i64 = 30 * 86_400;

/// Returns the pair in the files, or generates one and writes it there.
///
/// # Errors
/// When no certificate can be generated.
pub(crate) fn read_or_generate(
    cert: &Path,
    key: &Path,
    hostnames: &[String],
) -> Result<Arc<CertifiedKey>, SetupError> {
    if let Some(pair) = read(cert, key, hostnames) {
        return Ok(pair);
    }
    let new = self_signed::generate(hostnames)?;
    // The key first: a certificate whose key is missing or does not match is replaced at the next start.
    let written = write(key, new.key_pem().as_bytes(), 0o600)
        .and_then(|()| write(cert, new.certificate_pem().as_bytes(), 0o644));
    if let Err(error) = written {
        tracing::warn!(
            file = %cert.display(),
            %error,
            "the self-signed certificate cannot be stored: the next start generates another one; make the folder \
             writable",
        );
    }
    new.pair()
}

fn read(cert: &Path, key: &Path, hostnames: &[String]) -> Option<Arc<CertifiedKey>> {
    if !cert.exists() && !key.exists() {
        return None;
    }
    let reason = match read_pair(cert, key) {
        Ok((pair, leaf)) => match unusable(&leaf, hostnames) {
            None => return Some(pair),
            Some(reason) => reason,
        },
        Err(reason) => reason,
    };
    tracing::warn!(
        file = %cert.display(),
        reason,
        "the stored self-signed certificate is replaced: clients that pin it must pin the new one",
    );
    None
}

/// Returns why the certificate cannot be used any longer, if so.
fn unusable(leaf: &Leaf, hostnames: &[String]) -> Option<String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
    if leaf.not_after < i64::try_from(now).unwrap_or(i64::MAX).saturating_add(MARGIN) {
        return Some("it expires within 30 days".to_owned());
    }
    let missing = hostnames.iter().find(|name| !leaf.subjects.contains(&name.to_ascii_lowercase()));
    missing.map(|name| format!("it is not valid for {name}"))
}

/// Replaces a file atomically. The new one has `mode` before its first byte is written.
fn write(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let new = Path::new(&name);
    // An interrupted start may have left one.
    match fs::remove_file(new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(new)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all()).and_then(|()| fs::rename(new, path));
    if written.is_err() {
        let _ = fs::remove_file(new);
    }
    written
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::path::PathBuf;

    use super::*;

    struct Folder(tempfile::TempDir);

    impl Folder {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn path(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        fn start(&self, names: &[&str]) -> Vec<u8> {
            let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
            let pair = read_or_generate(&self.path("crt"), &self.path("key"), &names).unwrap();
            pair.keys_match().unwrap();
            pair.cert[0].to_vec()
        }

        fn mode(&self, name: &str) -> u32 {
            fs::metadata(self.path(name)).unwrap().permissions().mode() & 0o777
        }
    }

    #[test]
    fn is_the_same_at_the_next_start() {
        let folder = Folder::new();
        let first = folder.start(&["Mail.example.org", "127.0.0.1", "::1"]);
        assert_eq!(folder.start(&["Mail.example.org", "127.0.0.1", "::1"]), first);
        assert_eq!(folder.start(&["mail.example.org"]), first, "fewer names");
        assert_eq!(folder.mode("key"), 0o600);
        assert_eq!(fs::read_dir(folder.0.path()).unwrap().count(), 2, "no other file is left");
    }

    #[test]
    fn an_unusable_pair_is_replaced() {
        type Damage = fn(&Folder);
        let cases: [(&str, Damage); 4] = [
            ("no key", |folder| fs::remove_file(folder.path("key")).unwrap()),
            ("half a certificate", |folder| fs::write(folder.path("crt"), "-----BEGIN CERT").unwrap()),
            ("the key of another certificate", |folder| {
                let other = self_signed::generate(&[]).unwrap();
                fs::write(folder.path("key"), other.key_pem().as_bytes()).unwrap();
            }),
            ("an interrupted start", |folder| {
                fs::write(folder.path("key.new"), "half").unwrap();
                fs::remove_file(folder.path("crt")).unwrap();
            }),
        ];
        for (what, damage) in cases {
            let folder = Folder::new();
            let first = folder.start(&["localhost"]);
            damage(&folder);
            let second = folder.start(&["localhost"]);
            assert_ne!(second, first, "{what}");
            assert_eq!(folder.start(&["localhost"]), second, "{what}");
            assert_eq!(folder.mode("key"), 0o600, "{what}");
        }
        let folder = Folder::new();
        let first = folder.start(&["localhost"]);
        assert_ne!(folder.start(&["localhost", "mail.example.org"]), first, "a further name");
    }

    #[test]
    fn works_where_nothing_can_be_stored() {
        let folder = Folder::new();
        let path = folder.path("missing").join("crt");
        read_or_generate(&path, &folder.path("missing").join("key"), &[]).unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn remaining_validity_is_checked() {
        let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap();
        let leaf = |not_after| Leaf { subjects: vec!["a".to_owned()], sha256: [0; 32], not_after };
        assert_eq!(unusable(&leaf(now + MARGIN + 60), &["A".to_owned()]), None);
        assert!(unusable(&leaf(now + MARGIN - 60), &[]).unwrap().contains("expires"));
        assert!(unusable(&leaf(now - 1), &[]).is_some());
    }
}
