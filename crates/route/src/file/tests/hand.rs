//! Edits by hand: while we write, while we look, in every way in which editors save.

use super::*;

/// Waits until the watch has brought `key` to `destination`.
async fn until_at(store: &FileStore, key: &str, destination: Option<&str>) {
    let there = async {
        loop {
            let epoch = store.epoch();
            if at(store, key).as_deref() == destination {
                return;
            }
            store.epoch_after(epoch).await;
        }
    };
    timeout(PATIENCE, there).await.expect("the watch takes the edit over");
}

#[tokio::test]
async fn an_edit_by_hand_is_merged_and_a_bad_one_is_not_overwritten() {
    let (_folder, path) = folder(TEXT);
    let store = open(&path);
    fs::write(&path, "alice new\n# by hand\ndora old\n").unwrap();
    assert_eq!(apply(&store, &[("carol", Some("new"))]).await.unwrap(), 1);
    assert_eq!(read(&path), "alice new\n# by hand\ndora old\ncarol\tnew\n");
    assert_eq!((at(&store, "alice"), at(&store, "dora")), (Some("new".into()), Some("old".into())));
    assert_eq!(store.epoch(), 1, "more has changed than was written");

    fs::write(&path, "alice nwe\n").unwrap();
    let error = apply(&store, &[("carol", Some("old"))]).await.unwrap_err();
    assert!(matches!(error, StoreError::Unreadable(LoadError::Lines { .. })), "{error}");
    assert!(error.to_string().contains("line 1 names the destination \"nwe\""), "{error}");
    assert_eq!((read(&path).as_str(), at(&store, "carol")), ("alice nwe\n", Some("new".into())));

    fs::remove_file(&path).unwrap();
    let error = apply(&store, &[("carol", Some("old"))]).await.unwrap_err();
    assert!(matches!(error, StoreError::Unreadable(LoadError::Io { .. })), "{error}");
    assert!(!path.exists(), "a file that was taken away is not made anew with one line");
}

#[tokio::test]
async fn an_edit_between_reading_and_renaming_is_merged_too() {
    let (_folder, path) = folder(TEXT);
    let edits = Arc::new(AtomicUsize::new(0));
    let store = probed(&path, {
        let (path, edits) = (path.clone(), Arc::clone(&edits));
        move |step| {
            if step == Step::Rename && edits.fetch_add(1, Ordering::SeqCst) == 0 {
                fs::write(&path, "dora old\n")?;
            }
            Ok(())
        }
    });
    assert_eq!(apply(&store, &[("carol", Some("new"))]).await.unwrap(), 1);
    assert_eq!(read(&path), "dora old\ncarol\tnew\n");
    assert_eq!((at(&store, "dora"), at(&store, "alice")), (Some("old".into()), None));

    let number = AtomicUsize::new(0);
    let store = probed(&path, {
        let path = path.clone();
        move |step| match step {
            Step::Rename => fs::write(&path, format!("user{} old\n", number.fetch_add(1, Ordering::SeqCst))),
            _ => Ok(()),
        }
    });
    let error = apply(&store, &[("carol", Some("old"))]).await.unwrap_err();
    assert!(matches!(error, StoreError::Busy(_)), "{error}");
    assert_eq!(read(&path), "user2 old\n", "three rounds, then the hand has won");
}

#[tokio::test]
async fn edits_are_picked_up_and_bad_ones_are_not() {
    let (folder, path) = folder(TEXT);
    let store = open(&path);
    let watch = store.watch();
    fs::write(&path, "alice new\n").unwrap();
    until_at(&store, "alice", Some("new")).await;
    // Renamed into place, as editors do.
    let other = folder.path().join("other");
    fs::write(&other, "alice old\n").unwrap();
    fs::rename(&other, &path).unwrap();
    until_at(&store, "alice", Some("old")).await;
    // A bad one, then a good one: the good one is the next that is seen.
    let epoch = store.epoch();
    fs::write(&path, "alice nwe\n").unwrap();
    let mut told = Told::default();
    store.look(&mut told).await;
    assert!(told.refused.is_some());
    assert_eq!((at(&store, "alice"), store.epoch()), (Some("old".into()), epoch));
    fs::write(&path, "alice new\n").unwrap();
    until_at(&store, "alice", Some("new")).await;
    drop(watch);
}

/// As Kubernetes swaps a volume: the file is a link through a link, and the inner one is turned.
#[tokio::test]
async fn a_turned_link_is_an_edit() {
    let folder = tempfile::tempdir().unwrap();
    for (version, text) in [("..1", "alice old\n"), ("..2", "alice new\n")] {
        fs::create_dir(folder.path().join(version)).unwrap();
        fs::write(folder.path().join(version).join("mapping"), text).unwrap();
    }
    let path = folder.path().join("mapping");
    symlink("..1", folder.path().join("..data")).unwrap();
    symlink("..data/mapping", &path).unwrap();
    let store = open(&path);
    let _watch = store.watch();
    symlink("..2", folder.path().join("..data_tmp")).unwrap();
    fs::rename(folder.path().join("..data_tmp"), folder.path().join("..data")).unwrap();
    until_at(&store, "alice", Some("new")).await;
}

#[tokio::test]
async fn our_own_writes_are_no_edits() {
    let (_folder, path) = folder(TEXT);
    let store = open(&path);
    apply(&store, &[("alice", Some("new"))]).await.unwrap();
    store.look(&mut Told::default()).await;
    assert_eq!(store.epoch(), 0);
}
