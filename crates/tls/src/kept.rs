//! A self-signed certificate that is the same at the next start, so that whoever pins it does so once.
//!
//! The key must never be readable by others, not even for a moment, and a pair that is only half there must
//! never be shown: it is made anew.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::certificate::{Leaf, read_pair};
use rustls::sign::CertifiedKey;

use crate::self_signed;
use crate::setup::SetupError;

/// What a certificate must still be good for at a start, in seconds: a month.
const MARGIN: i64 = 30 * 86_400;

/// The pair in the files, or a new one, which is written there.
pub(crate) fn read_or_make(
    cert: &Path,
    key: &Path,
    hostnames: &[String],
) -> Result<Arc<CertifiedKey>, SetupError> {
    if let Some(pair) = read(cert, key, hostnames) {
        return Ok(pair);
    }
    let fresh = self_signed::make(hostnames)?;
    // The key first: a certificate without its key is made anew, and so is one with another's.
    let written = write(key, fresh.key_pem().as_bytes(), 0o600)
        .and_then(|()| write(cert, fresh.certificate_pem().as_bytes(), 0o644));
    if let Err(error) = written {
        tracing::warn!(
            file = %cert.display(),
            %error,
            "the self-signed certificate cannot be kept, and will be another one at the next start",
        );
    }
    fresh.pair()
}

fn read(cert: &Path, key: &Path, hostnames: &[String]) -> Option<Arc<CertifiedKey>> {
    if !cert.exists() && !key.exists() {
        return None;
    }
    let why = match read_pair(cert, key) {
        Ok((pair, leaf)) => match unfit(&leaf, hostnames) {
            None => return Some(pair),
            Some(why) => why,
        },
        Err(why) => why,
    };
    tracing::warn!(file = %cert.display(), why, "the self-signed certificate is made anew: clients that pin it must pin the new one");
    None
}

/// Why it would not do until the next start.
fn unfit(leaf: &Leaf, hostnames: &[String]) -> Option<String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
    if leaf.not_after < i64::try_from(now).unwrap_or(i64::MAX).saturating_add(MARGIN) {
        return Some("it ends within a month".to_owned());
    }
    let lacks = |name: &&String| !leaf.subjects.contains(&name.to_ascii_lowercase());
    hostnames.iter().find(lacks).map(|name| format!("it is not for {name}"))
}

/// Puts a whole file in place, with `mode` from its first byte on.
fn write(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let new = Path::new(&name);
    // Left by a start that was cut short.
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
            let pair = read_or_make(&self.path("crt"), &self.path("key"), &names).unwrap();
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
        assert_eq!(fs::read_dir(folder.0.path()).unwrap().count(), 2, "nothing is left beside them");
    }

    #[test]
    fn is_made_anew_where_it_would_not_do() {
        type Spoil = fn(&Folder);
        let spoils: [(&str, Spoil); 4] = [
            ("no key", |folder| fs::remove_file(folder.path("key")).unwrap()),
            ("half a certificate", |folder| fs::write(folder.path("crt"), "-----BEGIN CERT").unwrap()),
            ("another's key", |folder| {
                let other = self_signed::make(&[]).unwrap();
                fs::write(folder.path("key"), other.key_pem().as_bytes()).unwrap();
            }),
            ("an interrupted start", |folder| {
                fs::write(folder.path("key.new"), "half").unwrap();
                fs::remove_file(folder.path("crt")).unwrap();
            }),
        ];
        for (what, spoil) in spoils {
            let folder = Folder::new();
            let first = folder.start(&["localhost"]);
            spoil(&folder);
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
    fn works_where_nothing_can_be_kept() {
        let folder = Folder::new();
        let path = folder.path("missing").join("crt");
        read_or_make(&path, &folder.path("missing").join("key"), &[]).unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn knows_when_it_ends() {
        let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap();
        let leaf = |not_after| Leaf { subjects: vec!["a".to_owned()], sha256: [0; 32], not_after };
        assert_eq!(unfit(&leaf(now + MARGIN + 60), &["A".to_owned()]), None);
        assert!(unfit(&leaf(now + MARGIN - 60), &[]).unwrap().contains("ends"));
        assert!(unfit(&leaf(now - 1), &[]).is_some());
    }
}
