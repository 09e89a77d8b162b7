//! Manual edits: during a write, during a check, and with every way in which editors save.

use super::*;

/// Waits until an edit maps `key` to `destination`.
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
    timeout(PATIENCE, there).await.expect("the watch picks the edit up");
}

#[tokio::test]
async fn an_edit_by_hand_is_merged_and_a_bad_one_is_not_overwritten() {
    let (_folder, path) = folder(TEXT);
    let store = open(&path);
    fs::write(&path, "alice new\n# by hand\ndora old\n").unwrap();
    assert_eq!(apply(&store, &[("carol", Some("new"))]).await.unwrap(), 1);
    assert_eq!(read(&path), "alice new\n# by hand\ndora old\ncarol\tnew\n");
    assert_eq!((at(&store, "alice"), at(&store, "dora")), (Some("new".into()), Some("old".into())));
    assert_eq!(store.epoch(), 1, "an external edit raises the epoch");

    fs::write(&path, "alice nwe\n").unwrap();
    let error = apply(&store, &[("carol", Some("old"))]).await.unwrap_err();
    assert!(matches!(error, StoreError::Unreadable(LoadError::Lines { .. })), "{error}");
    assert!(error.to_string().contains("line 1 names the destination \"nwe\""), "{error}");
    assert_eq!((read(&path).as_str(), at(&store, "carol")), ("alice nwe\n", Some("new".into())));

    fs::remove_file(&path).unwrap();
    let error = apply(&store, &[("carol", Some("old"))]).await.unwrap_err();
    assert!(matches!(error, StoreError::Unreadable(LoadError::Io { .. })), "{error}");
    assert!(!path.exists(), "a missing file is not created with a single line");
}

/// How an editor saves. A whole file is based on the text from before our write.
#[derive(Clone, Copy, Debug)]
enum Save {
    RenamedOver,
    InPlace,
    Appended,
    Recreated,
    /// The old file is first renamed to a backup, as vim does.
    BackedUp,
}

const SAVES: [Save; 5] = [Save::RenamedOver, Save::InPlace, Save::Appended, Save::Recreated, Save::BackedUp];

impl Save {
    /// Appends `line` to the text that the editor has read, and saves.
    fn save(self, path: &Path, base: &str, line: &str) -> io::Result<()> {
        let whole = format!("{base}{line}");
        let beside = |name| path.with_file_name(name);
        match self {
            Self::RenamedOver => {
                fs::write(beside("saved"), whole)?;
                fs::rename(beside("saved"), path)
            }
            Self::InPlace => fs::write(path, whole),
            Self::Appended => {
                let mut file = fs::OpenOptions::new().append(true).open(path)?;
                io::Write::write_all(&mut file, line.as_bytes())
            }
            Self::Recreated => {
                fs::remove_file(path)?;
                fs::write(path, whole)
            }
            Self::BackedUp => {
                fs::rename(path, beside("mapping~"))?;
                fs::write(path, whole)
            }
        }
    }
}

/// An editor saves at any step of our write, in any way: both changes are in the file afterwards.
#[tokio::test]
async fn a_save_during_a_write_is_merged() {
    let mut cases = tokio::task::JoinSet::new();
    for save in SAVES {
        for step in [
            WriteStep::Create,
            WriteStep::Write,
            WriteStep::Sync,
            WriteStep::Look,
            WriteStep::Rename,
            WriteStep::SyncFolder,
        ] {
            cases.spawn(saved_during_a_write(save, step));
        }
    }
    while let Some(case) = cases.join_next().await {
        case.unwrap();
    }
}

async fn saved_during_a_write(save: Save, step: WriteStep) {
    const BASE: &str = "# people\nalice old\n";
    let (_folder, path) = folder(BASE);
    let is_saved = AtomicBool::new(false);
    let store = probed(&path, {
        let path = path.clone();
        move |now| match now == step && !is_saved.swap(true, Ordering::SeqCst) {
            true => save.save(&path, BASE, "dora old\n"),
            false => Ok(()),
        }
    });
    let written = apply(&store, &[("alice", Some("new")), ("carol", Some("new"))]).await;
    assert!(written.is_ok(), "{save:?} at {step:?}: {written:?}");
    let lines: BTreeSet<_> = read(&path).lines().map(|line| line.replace('\t', " ")).collect();
    let expected = ["# people", "alice new", "carol new", "dora old"].map(str::to_owned);
    assert_eq!(lines, BTreeSet::from(expected), "{save:?} at {step:?}");
    assert_eq!(at(&store, "dora"), Some("old".into()), "{save:?} at {step:?}");
    assert!(!path.with_file_name(".mapping.pointsman-new").exists(), "{save:?} at {step:?}");
}

/// A program has the old file open when ours replaces it, and writes to it a moment later.
#[tokio::test]
async fn a_late_write_to_the_old_file_is_not_lost() {
    let (_folder, path) = folder("alice old\n");
    let writer = Mutex::new(None);
    let store = probed(&path, {
        let path = path.clone();
        move |step| {
            let mut writer = writer.lock().unwrap();
            match (step, &mut *writer) {
                (WriteStep::Look, None) => *writer = Some(fs::OpenOptions::new().append(true).open(&path)?),
                (WriteStep::SyncFolder, Some(file)) => {
                    let is_first = file.metadata()?.len() == 10;
                    io::Write::write_all(file, if is_first { b"dora old\n" } else { b"" })?;
                }
                _ => {}
            }
            Ok(())
        }
    });
    apply(&store, &[("alice", Some("new"))]).await.unwrap();
    assert_eq!(read(&path), "alice new\ndora old\n");
}

#[tokio::test]
async fn a_write_gives_up_after_three_external_changes() {
    let (_folder, path) = folder(TEXT);
    let number = AtomicUsize::new(0);
    let store = probed(&path, {
        let path = path.clone();
        move |step| match step {
            WriteStep::Rename => {
                fs::write(&path, format!("user{} old\n", number.fetch_add(1, Ordering::SeqCst)))
            }
            _ => Ok(()),
        }
    });
    let error = apply(&store, &[("carol", Some("old"))]).await.unwrap_err();
    assert!(matches!(error, StoreError::Busy(_)), "{error}");
    assert_eq!(read(&path), "user2 old\n", "after three rounds");
}

/// An editor and the program write at the same time without coordination: no save is lost. (One exception is known: a
/// program that opens the file, waits until it is replaced, and appends only then.)
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn simultaneous_saves_and_writes_lose_nothing() {
    const ROUNDS: usize = 24;
    let (_folder, path) = folder("# people\nalice old\n");
    let store = open(&path);
    let mut saved = Vec::new();
    for round in 0..ROUNDS {
        let save = [Save::RenamedOver, Save::InPlace, Save::Recreated, Save::BackedUp][round % 4];
        let base = read(&path);
        let line = format!("hand{round} old\n");
        let editor = tokio::task::spawn_blocking({
            let path = path.clone();
            let line = line.clone();
            move || save.save(&path, &base, &line)
        });
        match apply(&store, &[(&format!("user{round}"), Some("new"))]).await {
            // The file is missing or empty between two steps of the save.
            Ok(_) | Err(StoreError::Unreadable(_) | StoreError::Busy(_)) => {}
            Err(error) => panic!("{save:?} in round {round}: {error}"),
        }
        editor.await.unwrap().unwrap();
        saved.push(line);
        let text = read(&path);
        assert!(text.starts_with("# people\n"), "{save:?} in round {round}");
        for line in &saved {
            assert!(text.contains(line.as_str()), "{save:?} in round {round}: {line}");
        }
    }
    FileStore::check(&path, &rules()).unwrap();
}

/// An emptied file counts as an interrupted save until an operator reloads.
#[tokio::test]
async fn an_emptied_file_is_not_used_without_a_reload() {
    let (_folder, path) = folder("alice new\n");
    let store = open(&path);
    let mut reported = ReportedState::default();
    let log = Log::default();
    fs::write(&path, "").unwrap();
    let _guard = tracing::subscriber::set_default(log.clone());
    for _ in 0..3 {
        store.check_file(&mut reported).await;
    }
    assert_eq!(log.take(), ["ERROR"], "reported once");
    let error = apply(&store, &[("bob", Some("new"))]).await.unwrap_err();
    assert!(matches!(error, StoreError::Unreadable(LoadError::Emptied { entries: 1, .. })), "{error}");
    assert_eq!((read(&path).as_str(), at(&store, "alice")), ("", Some("new".into())));
    store.reload().await.unwrap();
    assert_eq!(at(&store, "alice"), None);
    assert_eq!(
        apply(&store, &[("bob", Some("new"))]).await.unwrap(),
        1,
        "after the reload the file is meant to be empty"
    );
}

#[tokio::test]
async fn an_invalid_edit_is_reported_once_and_the_next_valid_one_takes_effect() {
    let (_folder, path) = folder("alice old\n");
    let store = open(&path);
    let mut reported = ReportedState::default();
    let log = Log::default();
    let _guard = tracing::subscriber::set_default(log.clone());
    let mut look = async |text: Option<&str>| {
        match text {
            Some(text) => fs::write(&path, text).unwrap(),
            None => fs::remove_file(&path).unwrap(),
        }
        for _ in 0..3 {
            store.check_file(&mut reported).await;
        }
        (log.take().join(" "), at(&store, "alice").unwrap_or_default())
    };
    let quiet = |log: &str, alice: &str| (log.to_owned(), alice.to_owned());
    assert_eq!(look(Some("alice nwe\n")).await, quiet("ERROR", "old"));
    assert_eq!(look(Some("alice\n")).await, quiet("ERROR", "old"), "another error");
    assert_eq!(look(Some("alice new\n")).await, quiet("", "new"), "fixed");
    assert_eq!(look(None).await, quiet("ERROR", "new"), "missing");
    assert_eq!(look(Some("alice old\n")).await, quiet("", "old"), "created again");
}

/// A slow script empties the file, writes a part, pauses, and writes the rest.
#[tokio::test]
async fn a_half_written_file_is_not_used() {
    let (_folder, path) = folder("alice new\nbob new\n");
    let store = open(&path);
    let _watch = store.watch();
    let mut script = fs::File::create(&path).unwrap();
    io::Write::write_all(&mut script, b"alice new\n").unwrap();
    let noticed = async {
        while !store.inner.writer.is_writing() {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, noticed).await.expect("the watch notices the write");
    assert!(
        !store.inner.wait_until_quiet(Duration::from_millis(500)).await,
        "a pause does not make the file complete"
    );
    assert_eq!(at(&store, "bob"), Some("new".into()));
    // A write waits too: it would otherwise keep only half of the script's lines.
    let write = set(&store, "carol".into());
    while store.inner.file_lock.try_lock().is_ok() {
        tokio::task::yield_now().await;
    }
    io::Write::write_all(&mut script, b"bob old\n").unwrap();
    drop(script);
    assert_eq!(timeout(PATIENCE, write).await.unwrap().unwrap().unwrap(), 1);
    assert_eq!(read(&path), "alice new\nbob old\ncarol\tnew\n");
    assert_eq!(at(&store, "bob"), Some("old".into()));
}

/// A program that never closes the file delays a write by five seconds, and is ignored a minute after its last write.
#[tokio::test(start_paused = true)]
async fn a_file_that_is_never_closed_delays_writes_for_a_minute_at_most() {
    let (_folder, path) = folder(TEXT);
    let store = open(&path);
    store.inner.writer.note_write();
    let began = tokio::time::Instant::now();
    let error = apply(&store, &[("alice", Some("new"))]).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the mapping store is busy: the mapping file is being edited at this moment; try again"
    );
    assert!(began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
    tokio::time::advance(Duration::from_secs(60)).await;
    assert_eq!(apply(&store, &[("alice", Some("new"))]).await.unwrap(), 1);
}

#[tokio::test]
async fn an_edit_reports_which_accounts_it_concerns() {
    let (_folder, path) = folder("alice old\nbob old\n@a.example old\n");
    let store = open(&path);
    let concerned = Arc::new(Mutex::new(Vec::new()));
    store.on_edit({
        let concerned = Arc::clone(&concerned);
        move |edit| {
            let names = ["alice", "bob", "carol", "dora@a.example", "dora@b.example"];
            concerned.lock().unwrap().extend(names.into_iter().filter(|name| edit.concerns(name)));
        }
    });
    apply(&store, &[("alice", Some("new"))]).await.unwrap();
    assert!(concerned.lock().unwrap().is_empty(), "our own writes are not edits");
    fs::write(&path, "alice new\ncarol new\n@a.example new\n").unwrap();
    apply(&store, &[("alice", Some("old"))]).await.unwrap();
    assert_eq!(*concerned.lock().unwrap(), ["alice", "bob", "carol", "dora@a.example"]);
}

/// Records the level of each log line of this thread. (Files are read on other threads.)
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<&'static str>>>);

impl Log {
    fn take(&self) -> Vec<&'static str> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

impl tracing::Subscriber for Log {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target().starts_with("mapping")
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn event(&self, event: &tracing::Event<'_>) {
        self.0.lock().unwrap().push(event.metadata().level().as_str());
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

#[tokio::test]
async fn valid_edits_take_effect_and_invalid_ones_do_not() {
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
    // An invalid edit, then a valid one: only the valid one takes effect.
    let epoch = store.epoch();
    fs::write(&path, "alice nwe\n").unwrap();
    let mut reported = ReportedState::default();
    store.check_file(&mut reported).await;
    assert!(reported.refused.is_some());
    assert_eq!((at(&store, "alice"), store.epoch()), (Some("old".into()), epoch));
    fs::write(&path, "alice new\n").unwrap();
    until_at(&store, "alice", Some("new")).await;
    drop(watch);
}

/// Kubernetes updates a volume like this: the file is a link through another link, and the inner link changes.
#[tokio::test]
async fn a_changed_link_is_an_edit() {
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

/// A link above the file's folder changes, and edits in the new folder are noticed too.
#[tokio::test]
async fn a_changed_folder_link_is_followed() {
    let folder = tempfile::tempdir().unwrap();
    for version in ["v1", "v2"] {
        fs::create_dir(folder.path().join(version)).unwrap();
        fs::write(folder.path().join(version).join("mapping"), format!("{version} new\n")).unwrap();
    }
    symlink("v1", folder.path().join("current")).unwrap();
    let store = open(&folder.path().join("current/mapping"));
    let _watch = store.watch();
    symlink("v2", folder.path().join("next")).unwrap();
    fs::rename(folder.path().join("next"), folder.path().join("current")).unwrap();
    until_at(&store, "v2", Some("new")).await;
    fs::write(folder.path().join("v2/mapping"), "v2 old\n").unwrap();
    until_at(&store, "v2", Some("old")).await;
}

#[tokio::test]
async fn our_own_writes_are_not_edits() {
    let (_folder, path) = folder(TEXT);
    let store = open(&path);
    apply(&store, &[("alice", Some("new"))]).await.unwrap();
    store.check_file(&mut ReportedState::default()).await;
    assert_eq!(store.epoch(), 0);
}
