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

/// In which way a hand saves. Whole files are made of what was there before our write began.
#[derive(Clone, Copy, Debug)]
enum Save {
    RenamedOver,
    InPlace,
    Appended,
    MadeAnew,
    /// Moved aside as a backup first, as vim does.
    BackedUp,
}

const SAVES: [Save; 5] = [Save::RenamedOver, Save::InPlace, Save::Appended, Save::MadeAnew, Save::BackedUp];

impl Save {
    /// Saves `line` behind what the hand has read.
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
            Self::MadeAnew => {
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

/// At whatever step of our write a hand saves, and however it does: both are there afterwards.
#[tokio::test]
async fn a_hand_that_saves_while_we_write_is_merged() {
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
            cases.spawn(saved_while_we_write(save, step));
        }
    }
    while let Some(case) = cases.join_next().await {
        case.unwrap();
    }
}

async fn saved_while_we_write(save: Save, step: WriteStep) {
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

/// A hand that has the old file open when ours takes its place, and writes to it a moment later.
#[tokio::test]
async fn ink_that_goes_to_the_old_file_is_not_lost() {
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
async fn a_hand_that_never_stops_has_won() {
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

/// At full speed, without a word between the two: what the hand saves is always there. (Not for a hand that
/// opens the file, waits until we have put another in its place, and appends then: that is the old file's.)
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hand_and_a_write_at_the_same_moment() {
    const ROUNDS: usize = 24;
    let (_folder, path) = folder("# people\nalice old\n");
    let store = open(&path);
    let mut saved = Vec::new();
    for round in 0..ROUNDS {
        let save = [Save::RenamedOver, Save::InPlace, Save::MadeAnew, Save::BackedUp][round % 4];
        let base = read(&path);
        let line = format!("hand{round} old\n");
        let hand = tokio::task::spawn_blocking({
            let path = path.clone();
            let line = line.clone();
            move || save.save(&path, &base, &line)
        });
        match apply(&store, &[(&format!("user{round}"), Some("new"))]).await {
            // Gone, or empty, for the moment between two steps of the hand's save.
            Ok(_) | Err(StoreError::Unreadable(_) | StoreError::Busy(_)) => {}
            Err(error) => panic!("{save:?} in round {round}: {error}"),
        }
        hand.await.unwrap().unwrap();
        saved.push(line);
        let text = read(&path);
        assert!(text.starts_with("# people\n"), "{save:?} in round {round}");
        for line in &saved {
            assert!(text.contains(line.as_str()), "{save:?} in round {round}: {line}");
        }
    }
    FileStore::check(&path, &rules()).unwrap();
}

/// A file that has lost everything at once is a save that was cut short, until somebody says otherwise.
#[tokio::test]
async fn an_emptied_file_sends_nobody_back() {
    let (_folder, path) = folder("alice new\n");
    let store = open(&path);
    let mut told = ReportedState::default();
    let log = Log::default();
    fs::write(&path, "").unwrap();
    let _guard = tracing::subscriber::set_default(log.clone());
    for _ in 0..3 {
        store.check_file(&mut told).await;
    }
    assert_eq!(log.take(), ["ERROR"], "told once");
    let error = apply(&store, &[("bob", Some("new"))]).await.unwrap_err();
    assert!(matches!(error, StoreError::Unreadable(LoadError::Emptied { entries: 1, .. })), "{error}");
    assert_eq!((read(&path).as_str(), at(&store, "alice")), ("", Some("new".into())));
    store.reload().await.unwrap();
    assert_eq!(at(&store, "alice"), None);
    assert_eq!(apply(&store, &[("bob", Some("new"))]).await.unwrap(), 1, "it is meant");
}

#[tokio::test]
async fn what_is_wrong_is_told_once_and_mended_by_the_next_edit() {
    let (_folder, path) = folder("alice old\n");
    let store = open(&path);
    let mut told = ReportedState::default();
    let log = Log::default();
    let _guard = tracing::subscriber::set_default(log.clone());
    let mut look = async |text: Option<&str>| {
        match text {
            Some(text) => fs::write(&path, text).unwrap(),
            None => fs::remove_file(&path).unwrap(),
        }
        for _ in 0..3 {
            store.check_file(&mut told).await;
        }
        (log.take().join(" "), at(&store, "alice").unwrap_or_default())
    };
    let quiet = |log: &str, alice: &str| (log.to_owned(), alice.to_owned());
    assert_eq!(look(Some("alice nwe\n")).await, quiet("ERROR", "old"));
    assert_eq!(look(Some("alice\n")).await, quiet("ERROR", "old"), "another mistake");
    assert_eq!(look(Some("alice new\n")).await, quiet("", "new"), "mended");
    assert_eq!(look(None).await, quiet("ERROR", "new"), "gone");
    assert_eq!(look(Some("alice old\n")).await, quiet("", "old"), "made anew");
}

/// As a slow script does: empties the file, writes a part, thinks, writes the rest.
#[tokio::test]
async fn a_half_written_file_is_waited_for() {
    let (_folder, path) = folder("alice new\nbob new\n");
    let store = open(&path);
    let _watch = store.watch();
    let mut hand = fs::File::create(&path).unwrap();
    io::Write::write_all(&mut hand, b"alice new\n").unwrap();
    let heard = async {
        while !store.inner.writer.is_writing() {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, heard).await.expect("the watch hears of the writing");
    assert!(!store.inner.wait_until_quiet(Duration::from_millis(500)).await, "however long it is quiet");
    assert_eq!(at(&store, "bob"), Some("new".into()));
    // A write waits as well: it would put the half beside its own line.
    let write = set(&store, "carol".into());
    while store.inner.file_lock.try_lock().is_ok() {
        tokio::task::yield_now().await;
    }
    io::Write::write_all(&mut hand, b"bob old\n").unwrap();
    drop(hand);
    assert_eq!(timeout(PATIENCE, write).await.unwrap().unwrap().unwrap(), 1);
    assert_eq!(read(&path), "alice new\nbob old\ncarol\tnew\n");
    assert_eq!(at(&store, "bob"), Some("old".into()));
}

/// Somebody who never closes the file holds a write up for five seconds, and is no longer waited for when
/// nothing was written for a minute.
#[tokio::test(start_paused = true)]
async fn a_hand_that_never_closes_the_file_is_not_waited_for_without_an_end() {
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
async fn an_edit_tells_whom_it_concerns() {
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
    assert!(concerned.lock().unwrap().is_empty(), "who writes through us knows");
    fs::write(&path, "alice new\ncarol new\n@a.example new\n").unwrap();
    apply(&store, &[("alice", Some("old"))]).await.unwrap();
    assert_eq!(*concerned.lock().unwrap(), ["alice", "bob", "carol", "dora@a.example"]);
}

/// The levels of what is logged on this thread; files are read on others.
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
    let mut told = ReportedState::default();
    store.check_file(&mut told).await;
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

/// A link above the file's folder is turned, twice: the second time, edits in the new folder are heard too.
#[tokio::test]
async fn a_turned_folder_is_followed() {
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
async fn our_own_writes_are_no_edits() {
    let (_folder, path) = folder(TEXT);
    let store = open(&path);
    apply(&store, &[("alice", Some("new"))]).await.unwrap();
    store.check_file(&mut ReportedState::default()).await;
    assert_eq!(store.epoch(), 0);
}
