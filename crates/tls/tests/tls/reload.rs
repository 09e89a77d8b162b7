//! Reload while running: by call, and by watching the files.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use plan::{Certificate, Verify};
use tls::{Acceptor, Certificates, ReloadOutcome, Reloaded, Tickets};
use tokio::time::timeout;

use crate::support::*;

/// Far more than a reload takes, and far less than the 30 seconds after which files are checked without an event.
const SOON: Duration = Duration::from_secs(15);

/// Returns `issued`, configured from files in `folder`.
fn in_files(issued: &Issued, folder: &Path) -> Certificate {
    issued.write(folder);
    Certificate {
        cert_path: folder.join("cert.pem"),
        key_path: folder.join("key.pem"),
        ..issued.configured("mail", &["mail.test"], true)
    }
}

/// Returns the table, and an acceptor that uses it.
fn serving(certificate: Certificate) -> (Arc<Certificates>, Acceptor) {
    let plan = plan(vec![certificate]);
    let certificates = Certificates::new(&plan, &[]).unwrap();
    let acceptor = Acceptor::new(&plan, &certificates, &Tickets::new().unwrap(), &[]).unwrap();
    (certificates, acceptor)
}

async fn is_used(issued: &Issued, acceptor: &Acceptor) -> bool {
    handshake(&connector(Verify::Pins(vec![issued.sha256()])), "mail.test", acceptor).await.0.is_ok()
}

fn outcome(reloaded: Reloaded) -> Vec<ReloadOutcome> {
    vec![ReloadOutcome { name: Arc::from("mail"), reloaded }]
}

#[tokio::test]
async fn only_new_connections_get_a_renewed_pair() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new("any");
    let old = authority.issue(&["mail.test"]);
    let new = authority.issue(&["mail.test"]);
    let (certificates, acceptor) = serving(in_files(&old, folder.path()));
    assert_eq!(certificates.reload_now(), outcome(Reloaded::Unchanged));
    let (mut client, mut server) = connected(&connector(Verify::Nothing), "mail.test", &acceptor).await;

    new.write(folder.path());
    assert!(is_used(&old, &acceptor).await, "nothing was said yet");
    assert_eq!(certificates.reload_now(), outcome(Reloaded::Renewed));
    assert!(is_used(&new, &acceptor).await);
    assert!(!is_used(&old, &acceptor).await);
    assert_eq!(certificates.list()[0].sha256, new.sha256());
    pass(&mut client, &mut server, b"the old connection goes on").await;
}

#[tokio::test]
async fn a_broken_pair_does_not_replace_the_old_one() {
    let authority = Authority::new("any");
    let old = authority.issue(&["mail.test"]);
    let new = authority.issue(&["mail.test"]);
    for (file, content, why) in [
        ("cert.pem", Some(new.pem.clone()), "half renewed: the key is the old one's"),
        ("key.pem", Some(new.key.serialize_pem()), "half renewed: the certificate is the old one"),
        ("cert.pem", Some(String::new()), "empty"),
        ("cert.pem", Some(old.pem[..old.pem.len() / 2].to_owned()), "half written"),
        ("key.pem", Some("no PEM".to_owned()), "not a key"),
        ("cert.pem", None, "gone"),
        ("key.pem", None, "gone"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let (certificates, acceptor) = serving(in_files(&old, folder.path()));
        match content {
            Some(content) => fs::write(folder.path().join(file), content).unwrap(),
            None => fs::remove_file(folder.path().join(file)).unwrap(),
        }
        let outcomes = certificates.reload_now();
        assert!(matches!(outcomes[0].reloaded, Reloaded::Rejected(_)), "{file} {why}: {outcomes:?}");
        assert!(is_used(&old, &acceptor).await, "{file} {why}");

        new.write(folder.path());
        assert_eq!(certificates.reload_now(), outcome(Reloaded::Renewed), "{file} {why}, then fixed");
        assert!(is_used(&new, &acceptor).await);
    }
}

#[tokio::test]
async fn names_are_taken_from_a_renewed_certificate_unless_configured() {
    let authority = Authority::new("any");
    let old = authority.issue(&["mail.test"]);
    let new = authority.issue(&["Imap.test", "mail.test"]);
    for (subjects_are_set, expected) in [(true, &["mail.test"][..]), (false, &["imap.test", "mail.test"])] {
        let folder = tempfile::tempdir().unwrap();
        let certificate = Certificate { subjects_are_set, ..in_files(&old, folder.path()) };
        let (certificates, _) = serving(certificate);
        new.write(folder.path());
        assert_eq!(certificates.reload_now(), outcome(Reloaded::Renewed));
        assert_eq!(certificates.list()[0].subjects, expected);
    }
}

/// Renews by `change` and waits until the watch has reloaded the files.
async fn renewed_by(certificate: Certificate, new: &Issued, change: impl FnOnce()) {
    let (certificates, acceptor) = serving(certificate);
    let mut renewals = certificates.renewals();
    let _watch = certificates.watch();
    change();
    timeout(SOON, renewals.changed()).await.expect("no reload").unwrap();
    assert!(is_used(new, &acceptor).await);
}

#[tokio::test]
async fn files_renamed_into_place_are_reloaded() {
    let folder = tempfile::tempdir().unwrap();
    let staging = tempfile::tempdir_in(folder.path()).unwrap();
    let authority = Authority::new("any");
    let old = authority.issue(&["mail.test"]);
    let new = authority.issue(&["mail.test"]);
    new.write(staging.path());
    renewed_by(in_files(&old, folder.path()), &new, || {
        for file in ["key.pem", "cert.pem"] {
            fs::rename(staging.path().join(file), folder.path().join(file)).unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn files_written_in_place_are_reloaded() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new("any");
    let old = authority.issue(&["mail.test"]);
    let new = authority.issue(&["mail.test"]);
    renewed_by(in_files(&old, folder.path()), &new, || new.write(folder.path())).await;
}

/// Kubernetes: `cert.pem` → `..data/cert.pem`, `..data` → a folder of one version.
#[cfg(unix)]
#[tokio::test]
async fn files_below_a_replaced_link_are_reloaded() {
    use std::os::unix::fs::symlink;
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let authority = Authority::new("any");
    let old = authority.issue(&["mail.test"]);
    let new = authority.issue(&["mail.test"]);
    for (version, issued) in [("..1", &old), ("..2", &new)] {
        fs::create_dir(at(version)).unwrap();
        issued.write(&at(version));
    }
    symlink("..1", at("..data")).unwrap();
    for file in ["cert.pem", "key.pem"] {
        symlink(Path::new("..data").join(file), at(file)).unwrap();
    }
    let certificate = Certificate {
        cert_path: at("cert.pem"),
        key_path: at("key.pem"),
        ..old.configured("mail", &["mail.test"], true)
    };
    renewed_by(certificate, &new, || {
        symlink("..2", at("..data_tmp")).unwrap();
        fs::rename(at("..data_tmp"), at("..data")).unwrap();
    })
    .await;
}

#[tokio::test]
async fn files_that_changed_before_the_watch_are_reloaded() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new("any");
    let old = authority.issue(&["mail.test"]);
    let new = authority.issue(&["mail.test"]);
    let certificate = in_files(&old, folder.path());
    new.write(folder.path());
    renewed_by(certificate, &new, || ()).await;
}
