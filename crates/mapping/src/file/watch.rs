//! Picks up edits of the mapping file without a reload.
//!
//! Folders are watched, not the file: a watch on the file would be lost when a new file is renamed into its place or a
//! link is pointed at another folder, as Kubernetes does. Where the system reports no events (network file systems, no
//! watches left), a check every 30 seconds finds the edit. An invalid file is reported once and never used.

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

/// The problems of the file that are already in the log, so that each is reported once.
#[derive(Debug, Default)]
pub(super) struct ReportedState {
    /// The version of the file that was refused.
    pub(super) refused: Option<Stamp>,
    /// The file is missing.
    pub(super) is_gone: bool,
    /// The file never stops changing.
    pub(super) is_changing: bool,
}

/// Watches every folder on the path to the file. Events are merged: at most one wake-up is pending.
struct FolderWatcher {
    wake: mpsc::Sender<()>,
    writer: WriterActivity,
    folders: Vec<WatchedFolder>,
    /// `None` when the folders cannot be watched.
    watcher: Option<RecommendedWatcher>,
}

/// How often the file is checked without an event.
const CHECK_EVERY: Duration = Duration::from_secs(30);

// === impl FileStore ===

impl FileStore {
    /// Picks up edits from now on. A valid file takes effect; an invalid one is reported in the log.
    pub fn watch(&self) -> Watch {
        let (wake, wakeups) = mpsc::channel(1);
        let writer = self.inner.writer.clone();
        let mut watcher = FolderWatcher { wake, writer, folders: Vec::new(), watcher: None };
        watcher.refresh(self.path());
        Watch { task: tokio::spawn(follow(self.clone(), watcher, wakeups)) }
    }

    /// Takes the file over unless this version of it is in effect or was already refused.
    pub(super) async fn check_file(&self, reported: &mut ReportedState) {
        if !self.inner.wait_until_quiet(MAX_OPEN).await {
            if !std::mem::replace(&mut reported.is_changing, true) {
                tracing::warn!(file = %self.path().display(),
                    "the mapping file does not stop changing: the previous mapping stays in effect");
            }
            return;
        }
        reported.is_changing = false;
        // Under the lock, so that a write of this process is not mistaken for an edit.
        let guard = self.lock_file().await;
        let Some(stamp) = stamp_at(self.path()).await else {
            if !std::mem::replace(&mut reported.is_gone, true) {
                tracing::error!(file = %self.path().display(),
                    "the mapping file is missing: the previous mapping stays in effect, but a restart would fail");
            }
            return;
        };
        reported.is_gone = false;
        if stamp == self.inner.state.load().stamp || Some(stamp) == reported.refused {
            return;
        }
        match self.take_edit(guard).await {
            Ok(Some(_)) => reported.refused = None,
            // The file changed while it was read: the next check reads it again.
            Ok(None) => {}
            Err(error) => {
                tracing::error!(%error, "the edited mapping file is not used: the previous mapping stays in effect");
                reported.refused = Some(stamp);
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
    /// Follows the path to the file again, and watches its folders anew if they have changed. Blocks only for a few
    /// reads of folder metadata.
    fn refresh(&mut self, path: &Path) {
        let chain = link_chain(path);
        if chain.folders == self.folders && self.watcher.is_some() {
            return;
        }
        match self.watch_folders(&chain.folders, chain.name) {
            Ok(watcher) => self.watcher = Some(watcher),
            Err(error) => {
                // Reported at the start and after a change, not on every attempt.
                if chain.folders != self.folders {
                    tracing::warn!(file = %path.display(), %error,
                        "the mapping file's folder cannot be watched: edits are found within 30 seconds");
                }
                self.watcher = None;
            }
        }
        self.folders = chain.folders;
    }

    fn watch_folders(&self, folders: &[WatchedFolder], name: OsString) -> notify::Result<RecommendedWatcher> {
        let wake = self.wake.clone();
        let writer = self.writer.clone();
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // After an error events may be missing, so it counts as a possible edit.
            if event.is_ok_and(|event| !is_possible_edit(&event, &name, &writer)) {
                return;
            }
            // A full channel holds a wake-up already.
            let _ = wake.try_send(());
        })?;
        for watched in folders {
            watcher.watch(&watched.folder, RecursiveMode::NonRecursive)?;
        }
        Ok(watcher)
    }
}

/// Returns whether an event may be an edit, and records what it says about a program that writes to the file. Our own
/// reads produce access events, which are ignored.
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

async fn follow(store: FileStore, mut watcher: FolderWatcher, mut wakeups: mpsc::Receiver<()>) {
    let mut reported = ReportedState::default();
    let mut checks = interval(CHECK_EVERY);
    checks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            // Never closed: `watcher` holds a sender.
            _ = wakeups.recv() => {}
            _ = checks.tick() => {}
        }
        watcher.refresh(store.path());
        store.check_file(&mut reported).await;
    }
}
