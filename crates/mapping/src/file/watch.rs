//! Edits of the file are picked up by themselves.
//!
//! Folders are watched, not the file: a file that is renamed into place, or a link that is turned to another
//! folder (as Kubernetes does), would be lost from sight. Where nothing is told (network file systems, no
//! watch left), a look every half minute finds the change. A bad file is told once and not taken over.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use notify::event::{AccessKind, AccessMode, EventKind, ModifyKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use super::FileStore;
use super::link_chain::{WatchedFolder, link_chain};
use super::quiet::stamp_at;
use super::read::Stamp;
use super::writer_activity::{MAX_OPEN, WriterActivity};

/// Follows the file until it is dropped.
#[derive(Debug)]
#[must_use = "dropping the watch ends it"]
pub struct Watch {
    task: JoinHandle<()>,
}

/// What has been told of the file as it is, so that it is told once.
#[derive(Debug, Default)]
pub(super) struct ReportedState {
    /// This version of it was refused.
    pub(super) refused: Option<Stamp>,
    /// There is none.
    pub(super) is_gone: bool,
    /// It changes all the time.
    pub(super) is_changing: bool,
}

/// Watches every folder on the way to the file. An event is one token, of which one at most waits.
struct FolderWatcher {
    told: mpsc::Sender<()>,
    writer: WriterActivity,
    folders: Vec<WatchedFolder>,
    /// `None` where nothing can be watched.
    watcher: Option<RecommendedWatcher>,
}

/// Between two looks without being told anything.
const LOOK_EVERY: Duration = Duration::from_secs(30);

// === impl FileStore ===

impl FileStore {
    /// Picks up edits from now on: a valid file is taken over, a bad one is told in the log.
    pub fn watch(&self) -> Watch {
        let (told, news) = mpsc::channel(1);
        let mut watcher =
            FolderWatcher { told, writer: self.inner.writer.clone(), folders: Vec::new(), watcher: None };
        watcher.open(self.path());
        Watch { task: tokio::spawn(follow(self.clone(), watcher, news)) }
    }

    /// Takes the file over if it is another one than the one that was taken over, or refused, last.
    pub(super) async fn check_file(&self, told: &mut ReportedState) {
        let is_quiet = self.inner.wait_until_quiet(MAX_OPEN).await;
        if !is_quiet && !std::mem::replace(&mut told.is_changing, true) {
            tracing::warn!(file = %self.path().display(),
                "the mapping file is being written to without an end: the mapping stays as it was");
        }
        if !is_quiet {
            return;
        }
        told.is_changing = false;
        // In our turn, so that a write under way is not taken for somebody else's.
        let guard = self.lock_file().await;
        let Some(stamp) = stamp_at(self.path()).await else {
            if !std::mem::replace(&mut told.is_gone, true) {
                tracing::error!(file = %self.path().display(),
                    "the mapping file is gone: the mapping stays as it was; a start would fail now");
            }
            return;
        };
        told.is_gone = false;
        if stamp == self.inner.state.load().stamp || Some(stamp) == told.refused {
            return;
        }
        match self.take_edit(guard).await {
            Ok(Some(_)) => told.refused = None,
            // It is being edited: the next look is for that.
            Ok(None) => {}
            Err(error) => {
                tracing::error!(%error,
                    "the mapping file was changed and is not valid: the mapping stays as it was");
                told.refused = Some(stamp);
            }
        }
    }
}

// === impl Watch ===

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

// === impl FolderWatcher ===

impl FolderWatcher {
    /// Looks where the way to the file leads now. Called again, it begins anew only where that has changed.
    /// Blocks, but for a few looks at folders only.
    fn open(&mut self, path: &Path) {
        let chain = link_chain(path);
        if chain.folders == self.folders && self.watcher.is_some() {
            return;
        }
        let watcher = self.watcher_of(&chain.folders, chain.name);
        // ReportedState at the start and at a change; not at every try.
        if let Err(error) = &watcher
            && chain.folders != self.folders
        {
            tracing::warn!(file = %path.display(), %error,
                "the mapping file's folder cannot be watched: edits are found within half a minute");
        }
        self.watcher = watcher.ok();
        self.folders = chain.folders;
    }

    fn watcher_of(&self, folders: &[WatchedFolder], name: OsString) -> notify::Result<RecommendedWatcher> {
        let (told, writer) = (self.told.clone(), self.writer.clone());
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if event.is_ok_and(|event| !is_possible_edit(&event, &name, &writer)) {
                return;
            }
            // Full: a token waits already.
            let _ = told.try_send(());
        })?;
        for place in folders {
            watcher.watch(&place.folder, RecursiveMode::NonRecursive)?;
        }
        Ok(watcher)
    }
}

/// Whether an event may be an edit. Our own reading makes events too, and they are none that matter.
fn is_possible_edit(event: &notify::Event, name: &OsString, writer: &WriterActivity) -> bool {
    let is_file = event.paths.iter().any(|path| path.file_name() == Some(name));
    match event.kind {
        EventKind::Modify(ModifyKind::Data(_)) if is_file => writer.note_write(),
        EventKind::Access(AccessKind::Close(AccessMode::Write))
        | EventKind::Modify(ModifyKind::Name(_))
        | EventKind::Remove(_)
            if is_file =>
        {
            writer.note_close();
        }
        EventKind::Access(_) => return false,
        _ => {}
    }
    true
}

async fn follow(store: FileStore, mut watcher: FolderWatcher, mut news: mpsc::Receiver<()>) {
    let mut told = ReportedState::default();
    let mut looks = interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            // Never closed: the watcher keep a sender.
            _ = news.recv() => {}
            _ = looks.tick() => {}
        }
        watcher.open(store.path());
        store.check_file(&mut told).await;
    }
}
