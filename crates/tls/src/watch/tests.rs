//! Which events are changes, when files are read, and which files.

use notify::event::{CreateKind, DataChange, ModifyKind, RemoveKind, RenameMode};

use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
use rustls::crypto::aws_lc_rs;

use super::*;
use crate::certificates::Reloaded;

#[test]
fn reading_a_file_is_not_a_change() {
    for (kind, expected) in [
        (EventKind::Access(AccessKind::Open(AccessMode::Any)), false),
        (EventKind::Access(AccessKind::Read), false),
        (EventKind::Access(AccessKind::Close(AccessMode::Read)), false),
        (EventKind::Access(AccessKind::Close(AccessMode::Write)), true),
        (EventKind::Create(CreateKind::File), true),
        (EventKind::Modify(ModifyKind::Data(DataChange::Any)), true),
        (EventKind::Modify(ModifyKind::Name(RenameMode::To)), true),
        (EventKind::Remove(RemoveKind::File), true),
        (EventKind::Any, true),
    ] {
        assert_eq!(is_change(kind), expected, "{kind:?}");
    }
}

#[test]
fn a_relative_path_is_in_the_current_folder() {
    for (path, expected) in [("/etc/tls/mail.pem", "/etc/tls"), ("tls/mail.pem", "tls"), ("mail.pem", ".")] {
        assert_eq!(folder(Path::new(path)), Path::new(expected));
    }
}

#[tokio::test(start_paused = true)]
async fn a_reload_waits_for_the_end_of_a_burst_up_to_a_limit() {
    let changed = Notify::new();
    let start = Instant::now();
    settle(&changed).await;
    assert_eq!(start.elapsed(), QUIET);

    let start = Instant::now();
    let busy = async {
        loop {
            tokio::time::sleep(QUIET / 3).await;
            changed.notify_one();
        }
    };
    tokio::select! {
        () = settle(&changed) => {}
        () = busy => {}
    }
    assert_eq!(start.elapsed(), MAX_DELAY);
}

/// Writes a new pair, and returns it.
fn write_pair(folder: &Path) -> CertifiedKey<KeyPair> {
    let made = generate_simple_self_signed(["mail.test".to_owned()]).unwrap();
    fs::write(folder.join("cert.pem"), made.cert.pem()).unwrap();
    fs::write(folder.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    made
}

/// A table of one certificate, read from `folder`.
fn table(folder: &Path) -> Arc<Certificates> {
    let made = write_pair(folder);
    let der = made.signing_key.serialize_der().try_into().unwrap();
    let chain = vec![made.cert.der().clone()];
    let certificate = Certificate {
        name: Arc::from("mail"),
        cert_path: folder.join("cert.pem"),
        key_path: folder.join("key.pem"),
        subjects: vec!["mail.test".to_owned()],
        subjects_are_set: true,
        is_default: true,
        key: Arc::new(
            rustls::sign::CertifiedKey::from_der(chain, der, &aws_lc_rs::default_provider()).unwrap(),
        ),
        sha256: [0; 32],
        not_after: 0,
    };
    let tls = plan::Tls {
        certificates: vec![Arc::new(certificate)],
        only_tls13: false,
        ignore_client_order: false,
        cipher_suites: aws_lc_rs::ALL_CIPHER_SUITES.to_vec(),
    };
    Certificates::new(&tls, &[]).unwrap()
}

#[test]
fn files_are_read_once_for_each_change() {
    let folder = tempfile::tempdir().unwrap();
    let certificates = table(folder.path());
    let mut seen = Stamps::new();
    let mut check = || {
        let outcomes = reload_changed(&certificates, &mut seen);
        outcomes.into_iter().map(|outcome| outcome.reloaded).collect::<Vec<_>>()
    };
    assert_eq!(
        check(),
        [Reloaded::Unchanged],
        "the first check reads all files: they may have changed before it"
    );
    assert_eq!(check(), []);
    write_pair(folder.path());
    assert_eq!(check(), [Reloaded::Renewed]);
    assert_eq!(check(), []);
    fs::write(folder.path().join("key.pem"), "no key").unwrap();
    assert!(matches!(check()[..], [Reloaded::Rejected(_)]));
    assert_eq!(check(), [], "a broken pair is reported once");
    fs::remove_file(folder.path().join("key.pem")).unwrap();
    assert!(matches!(check()[..], [Reloaded::Rejected(_)]));
    assert_eq!(check(), []);
    write_pair(folder.path());
    assert_eq!(check(), [Reloaded::Renewed]);
}

/// A file that could not be read because of its mode is read again when the mode changes.
#[cfg(unix)]
#[test]
fn a_changed_mode_is_a_change() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let certificates = table(folder.path());
    let mut seen = Stamps::new();
    reload_changed(&certificates, &mut seen);
    // Change times have a resolution of some milliseconds: repeat until one has passed.
    for mode in [0o600, 0o640].into_iter().cycle().take(100_000) {
        fs::set_permissions(folder.path().join("key.pem"), fs::Permissions::from_mode(mode)).unwrap();
        if !reload_changed(&certificates, &mut seen).is_empty() {
            return;
        }
    }
    panic!("the changed mode was not detected");
}

#[tokio::test]
async fn dropping_the_handle_ends_the_watch() {
    let folder = tempfile::tempdir().unwrap();
    let certificates = table(folder.path());
    let handle = certificates.watch();
    let task = handle.task.abort_handle();
    drop(handle);
    while !task.is_finished() {
        tokio::task::yield_now().await;
    }
}

/// As on a network file system, which sends no events.
#[tokio::test(start_paused = true)]
async fn without_events_files_are_checked_at_intervals() {
    let folder = tempfile::tempdir().unwrap();
    let certificates = table(folder.path());
    let mut renewals = certificates.renewals();
    let task = tokio::spawn(run(Arc::clone(&certificates), Arc::new(Notify::new()), None));
    for check in [1, 2] {
        let start = Instant::now();
        write_pair(folder.path());
        timeout(2 * CHECK_INTERVAL, renewals.changed()).await.expect("no check within a minute").unwrap();
        assert_eq!(start.elapsed().as_secs(), CHECK_INTERVAL.as_secs(), "check {check}");
    }
    task.abort();
}
