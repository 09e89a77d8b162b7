use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::mpsc;
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::timeout;

use super::watch::ReportedState;
use super::*;
use crate::line::BadLines;
use crate::store::BadIdentifier;

mod disk;
mod killed;
mod manual_edits;

/// Longer than any step of a test takes.
const PATIENCE: Duration = Duration::from_secs(30);

const TEXT: &str = "# people\n\nalice\told\nbob old\n# end";

fn rules() -> Rules {
    Rules::new(["new", "old"].map(Name::from), true, true)
}

fn folder(text: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mapping");
    fs::write(&path, text).unwrap();
    (folder, path)
}

fn open(path: &Path) -> FileStore {
    FileStore::open(path, rules()).unwrap()
}

/// Opens a store that calls `step_hook` before each step on the disk.
fn probed(path: &Path, step_hook: impl Fn(WriteStep) -> io::Result<()> + Send + Sync + 'static) -> FileStore {
    FileStore::open_with(path.to_owned(), rules(), Box::new(step_hook)).unwrap()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

fn names(folder: &TempDir) -> BTreeSet<String> {
    let entries = fs::read_dir(folder.path()).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn at(store: &FileStore, key: &str) -> Option<String> {
    store.get(key).map(|name| name.to_string())
}

async fn apply(store: &FileStore, changes: &[(&str, Option<&str>)]) -> Result<usize, StoreError> {
    let changes = changes.iter().map(|(identifier, destination)| Change {
        identifier: (*identifier).into(),
        destination: destination.map(Name::from),
    });
    store.apply(changes.collect()).await.map(|applied| applied.changed)
}

#[test]
fn an_empty_file_is_valid_and_a_missing_one_is_not() {
    let (folder, path) = folder("");
    assert_eq!(open(&path).loaded(), Loaded::default());
    let missing = folder.path().join("nothing");
    let error = FileStore::open(&missing, rules()).unwrap_err().to_string();
    assert!(
        error.starts_with("cannot read the mapping file /") && error.contains("nothing: No such file"),
        "{error}"
    );
    let error = FileStore::open(folder.path(), rules()).unwrap_err();
    assert!(matches!(error, LoadError::NotAFile(_)), "{error}");
}

#[test]
fn an_invalid_file_is_refused_with_its_lines() {
    let (_folder, path) = folder("alice new\nbob nwe\n");
    let error = FileStore::open(&path, rules()).unwrap_err();
    let LoadError::Lines { lines, .. } = &error else { panic!("{error}") };
    assert_eq!(lines.errors.iter().map(|error| error.line).collect::<Vec<_>>(), [2]);
    assert_eq!(FileStore::check(&path, &rules()).unwrap_err().to_string(), error.to_string());
    assert!(error.to_string().contains("is not valid: line 2 names the destination \"nwe\""), "{error}");
}

#[tokio::test]
async fn a_write_changes_only_its_own_lines() {
    let (folder, path) = folder(TEXT);
    let store = open(&path);
    assert_eq!(
        apply(&store, &[("Alice", Some("new")), ("carol", Some("new")), ("bob", None)]).await.unwrap(),
        3
    );
    assert_eq!(read(&path), "# people\n\nalice\tnew\n# end\ncarol\tnew\n");
    assert_eq!((at(&store, "alice"), at(&store, "bob")), (Some("new".into()), None));
    assert_eq!(store.loaded(), Loaded { entries: 2, domains: 0, bytes: read(&path).len() });
    assert_eq!(store.epoch(), 0, "our own writes do not raise the epoch");
    assert_eq!(names(&folder), BTreeSet::from(["mapping".to_owned()]));
    assert_eq!(open(&path).loaded(), store.loaded());
}

#[tokio::test]
async fn a_change_without_effect_writes_nothing() {
    let (_folder, path) = folder(TEXT);
    let store = probed(&path, |step| panic!("{step:?}"));
    assert_eq!(apply(&store, &[]).await.unwrap(), 0);
    assert_eq!(apply(&store, &[("alice", Some("old")), ("nobody", None)]).await.unwrap(), 0);
}

#[tokio::test]
async fn a_request_is_applied_completely_or_not_at_all() {
    let (_folder, path) = folder(TEXT);
    let store = open(&path);
    let bad = apply(&store, &[("alice", Some("new")), ("a b ", Some("new"))]).await.unwrap_err();
    assert!(matches!(&bad, StoreError::BadIdentifier { identifier, .. } if &**identifier == "a b "), "{bad}");
    let bad = apply(&store, &[("alice", Some("new")), ("\u{feff}bob", None)]).await.unwrap_err();
    assert!(matches!(bad, StoreError::BadIdentifier { reason: BadIdentifier::Mark, .. }), "{bad}");
    let bad = apply(&store, &[("alice", Some("new")), ("bob", Some("nwe"))]).await.unwrap_err();
    assert_eq!(bad.to_string(), r#""nwe" is not a declared destination; declared are: new, old"#);
    assert_eq!((read(&path).as_str(), at(&store, "alice")), (TEXT, Some("old".into())));
}

/// A failure at any step leaves the old file and the old table, and no temporary file.
#[tokio::test]
async fn a_step_that_fails_changes_nothing() {
    for failing in [WriteStep::Create, WriteStep::Write, WriteStep::Sync, WriteStep::Rename] {
        let (folder, path) = folder(TEXT);
        let store = probed(&path, move |step| match step {
            step if step == failing => Err(io::Error::from_raw_os_error(28)),
            _ => Ok(()),
        });
        let error = apply(&store, &[("alice", Some("new"))]).await.unwrap_err();
        assert!(matches!(error, StoreError::NoSpace(_)), "{failing:?}: {error}");
        assert_eq!((read(&path).as_str(), at(&store, "alice")), (TEXT, Some("old".into())), "{failing:?}");
        assert_eq!(names(&folder), BTreeSet::from(["mapping".to_owned()]), "{failing:?}");
    }
}

#[tokio::test]
async fn a_folder_that_cannot_be_synced_is_an_error_and_the_table_follows_the_file() {
    let (_folder, path) = folder(TEXT);
    let store = probed(&path, |step| match step {
        WriteStep::SyncFolder => Err(io::Error::from_raw_os_error(5)),
        _ => Ok(()),
    });
    let error = apply(&store, &[("alice", Some("new"))]).await.unwrap_err();
    assert!(matches!(error, StoreError::NotDurable { .. }), "{error}");
    assert_eq!(
        (read(&path), at(&store, "alice")),
        (TEXT.replace("alice\told", "alice\tnew"), Some("new".into()))
    );
}

#[tokio::test]
async fn system_errors_are_classified() {
    for (code, kind) in
        [(28, "NoSpace"), (122, "NoSpace"), (30, "ReadOnly"), (13, "ReadOnly"), (16, "ReadOnly"), (5, "Io")]
    {
        let (_folder, path) = folder(TEXT);
        let store = probed(&path, move |_| Err(io::Error::from_raw_os_error(code)));
        let error = apply(&store, &[("alice", Some("new"))]).await.unwrap_err();
        assert!(format!("{error:?}").starts_with(kind), "{code}: {error:?}");
    }
}

#[tokio::test]
async fn mode_and_links_are_kept() {
    let (folder, path) = folder(TEXT);
    let elsewhere = tempfile::tempdir().unwrap();
    let target = elsewhere.path().join("real");
    fs::rename(&path, &target).unwrap();
    symlink(&target, &path).unwrap();
    fs::set_permissions(&target, fs::Permissions::from_mode(0o640)).unwrap();
    let store = open(&path);
    apply(&store, &[("alice", Some("new"))]).await.unwrap();
    assert!(fs::symlink_metadata(&path).unwrap().is_symlink());
    assert_eq!(read(&target), TEXT.replace("alice\told", "alice\tnew"));
    assert_eq!(fs::metadata(&target).unwrap().mode() & 0o7777, 0o640);
    assert_eq!((names(&folder).len(), names(&elsewhere).len()), (1, 1));
}

#[tokio::test]
async fn the_owner_is_kept_if_permitted() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let (_folder, path) = folder(TEXT);
    std::os::unix::fs::chown(&path, Some(12_345), Some(23_456)).unwrap();
    apply(&open(&path), &[("alice", Some("new"))]).await.unwrap();
    let metadata = fs::metadata(&path).unwrap();
    assert_eq!((metadata.uid(), metadata.gid()), (12_345, 23_456));
}

#[tokio::test]
async fn a_leftover_temporary_file_or_link_is_replaced() {
    let (folder, path) = folder(TEXT);
    let victim = folder.path().join("victim");
    fs::write(&victim, "untouched").unwrap();
    symlink(&victim, folder.path().join(".mapping.pointsman-new")).unwrap();
    apply(&open(&path), &[("alice", Some("new"))]).await.unwrap();
    assert_eq!(read(&victim), "untouched");
    assert_eq!(names(&folder), BTreeSet::from(["mapping".to_owned(), "victim".to_owned()]));
}

/// Opens a store whose first rewrite waits before its first step until the returned sender is used or dropped.
fn stopped(
    path: &Path,
    renames: &Arc<AtomicUsize>,
) -> (FileStore, mpsc::Sender<()>, tokio::sync::mpsc::UnboundedReceiver<()>) {
    let (go, gate) = mpsc::channel();
    let (arrived, arrivals) = tokio::sync::mpsc::unbounded_channel();
    let gate = Mutex::new(Some(gate));
    let renames = Arc::clone(renames);
    let store = probed(path, move |step| {
        if step == WriteStep::Rename {
            renames.fetch_add(1, Ordering::SeqCst);
        }
        if step == WriteStep::Create
            && let Some(gate) = gate.lock().unwrap().take()
        {
            arrived.send(()).unwrap();
            let _ = gate.recv();
        }
        Ok(())
    });
    (store, go, arrivals)
}

fn set(store: &FileStore, identifier: String) -> tokio::task::JoinHandle<Result<usize, StoreError>> {
    let store = store.clone();
    tokio::spawn(async move { apply(&store, &[(&identifier, Some("new"))]).await })
}

async fn until_waiting(store: &FileStore, count: usize) {
    while store.inner.waiting.lock().unwrap().len() < count {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_hundred_writes_at_once_cost_two_rewrites() {
    let (_folder, path) = folder("");
    let renames = Arc::default();
    let (store, go, mut arrivals) = stopped(&path, &renames);
    let mut writes = vec![set(&store, "user0".into())];
    arrivals.recv().await.unwrap();
    writes.extend((1..100).map(|number| set(&store, format!("user{number}"))));
    until_waiting(&store, 99).await;
    drop(go);
    for write in writes {
        assert_eq!(write.await.unwrap().unwrap(), 1);
    }
    assert_eq!(renames.load(Ordering::SeqCst), 2);
    assert_eq!(open(&path).loaded().entries, 100);
    assert_eq!(store.loaded().entries, 100);
}

#[tokio::test]
async fn an_invalid_request_does_not_affect_the_others_of_its_rewrite() {
    let (_folder, path) = folder("");
    let (store, go, mut arrivals) = stopped(&path, &Arc::default());
    let first = set(&store, "user0".into());
    arrivals.recv().await.unwrap();
    let bad = set(&store, "a b ".into());
    let good = set(&store, "carol".into());
    until_waiting(&store, 2).await;
    drop(go);
    assert_eq!((first.await.unwrap().unwrap(), good.await.unwrap().unwrap()), (1, 1));
    assert!(matches!(bad.await.unwrap(), Err(StoreError::BadIdentifier { .. })));
}

#[tokio::test]
async fn a_cancelled_request_changes_nothing_and_a_cancelled_rewrite_continues() {
    let (_folder, path) = folder("");
    let (store, go, mut arrivals) = stopped(&path, &Arc::default());
    let leader = set(&store, "leader".into());
    arrivals.recv().await.unwrap();
    let leaves = set(&store, "leaves".into());
    let stays = set(&store, "stays".into());
    until_waiting(&store, 2).await;
    leader.abort();
    leaves.abort();
    assert!(leader.await.is_err() && leaves.await.is_err());
    drop(go);
    assert_eq!(stays.await.unwrap().unwrap(), 1);
    assert_eq!(read(&path), "leader\tnew\nstays\tnew\n");
}

#[tokio::test]
async fn waiting_writes_are_bounded() {
    let (_folder, path) = folder("");
    let (store, go, mut arrivals) = stopped(&path, &Arc::default());
    let first = set(&store, "user0".into());
    arrivals.recv().await.unwrap();
    let large: Vec<_> = (0..MAX_WAITING).map(|number| Change::set(format!("many{number}"), "new")).collect();
    let many = tokio::spawn({
        let store = store.clone();
        async move { store.apply(large).await }
    });
    until_waiting(&store, 1).await;
    let refused = apply(&store, &[("one-more", Some("new"))]).await.unwrap_err();
    assert!(matches!(refused, StoreError::Busy(_)), "{refused}");
    drop(go);
    assert_eq!(first.await.unwrap().unwrap(), 1);
    assert_eq!(many.await.unwrap().unwrap(), Applied { changed: MAX_WAITING });
}

#[tokio::test(start_paused = true)]
async fn the_wait_for_another_process_is_limited() {
    let (folder, path) = folder("");
    let store = open(&path);
    let other = fs::File::open(folder.path()).unwrap();
    rustix::fs::flock(&other, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let error = apply(&store, &[("alice", Some("new"))]).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the mapping store is busy: another process is writing the mapping file; try again"
    );
    drop(other);
    assert_eq!(apply(&store, &[("alice", Some("new"))]).await.unwrap(), 1);
}

#[tokio::test]
async fn reload_uses_only_a_valid_file() {
    let (_folder, path) = folder(TEXT);
    let store = open(&path);
    fs::write(&path, "@a.example new\nalice new\n").unwrap();
    assert_eq!(store.reload().await.unwrap(), Loaded { entries: 2, domains: 1, bytes: 25 });
    assert_eq!((at(&store, "alice"), store.epoch()), (Some("new".into()), 1));
    fs::write(&path, "alice\n\nbob nwe\n").unwrap();
    let LoadError::Lines { lines, .. } = store.reload().await.unwrap_err() else { panic!() };
    assert_eq!(lines.errors.iter().map(|error| error.line).collect::<Vec<_>>(), [1, 3]);
    assert_eq!((at(&store, "alice"), store.epoch()), (Some("new".into()), 1));
}

#[tokio::test]
async fn new_rules_take_effect_only_with_a_file_that_is_valid_under_them() {
    let (_folder, path) = folder("Alice new\n");
    let store = open(&path);
    let fewer = Rules::new([Name::from("old")], true, false);
    let error = store.prepare(fewer).await.unwrap_err();
    assert!(matches!(&error, LoadError::Lines { lines, .. } if **lines != BadLines::default()), "{error}");
    assert_eq!(at(&store, "alice"), Some("new".into()));
    let prepared = store.prepare(Rules::new(["new", "third"].map(Name::from), false, false)).await.unwrap();
    let before = Arc::downgrade(&store.inner.state.load_full());
    let taken = prepared.take_over();
    assert_eq!((at(&store, "alice"), at(&store, "Alice")), (None, Some("new".into())));
    assert!(before.strong_count() > 0, "the old table is still in memory after the take-over");
    assert_eq!(taken.settle().entries, 1);
    assert_eq!(before.strong_count(), 0);
    assert_eq!(apply(&store, &[("Bob", Some("third"))]).await.unwrap(), 1);
    assert_eq!(read(&path), "Alice new\nBob\tthird\n");
}

#[tokio::test]
async fn lists_in_pages() {
    let (_folder, path) = folder(TEXT);
    let store = open(&path);
    let page = Store::list(&store, 0, 1).await.unwrap();
    assert_eq!((page.entries.len(), &*page.entries[0].identifier, page.next), (1, "alice", Some(1)));
    let page = Store::list(&store, 1, usize::MAX).await.unwrap();
    assert_eq!(
        (&*page.entries[0].identifier, &*page.entries[0].destination, page.next),
        ("bob", "old", None)
    );
}
