//! What the clones of a file store share: the file as it was last taken over, and the changes that wait to be written.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use arc_swap::ArcSwap;
use tokio::sync::{Mutex as AsyncMutex, Notify, oneshot};

use super::read::{self, Snapshot, Stamp};
use super::replace::WriteStep;
use super::writer_activity::WriterActivity;
use crate::rules::{Rules, domain_key};
use crate::store::{Applied, Change, LoadError, Loaded, StoreError};
use crate::table::Table;

/// Changes that wait for the next rewrite, at most. A larger import is one request of its own.
pub const MAX_WAITING: usize = 10_000;

/// Changes that are made together or not at all.
#[derive(Debug)]
pub(super) struct WriteRequest {
    pub(super) changes: Vec<Change>,
    pub(super) reply: oneshot::Sender<Result<Applied, StoreError>>,
}

/// What the clones of a store share.
pub(super) struct SharedFile {
    pub(super) path: PathBuf,
    pub(super) state: ArcSwap<FileState>,
    pub(super) epoch: AtomicU64,
    /// Rung after each new epoch.
    pub(super) epoch_changed: Notify,
    /// ReportedState of each edit, after its epoch.
    pub(super) listener: OnceLock<Listener>,
    /// Writes that wait for the next rewrite. The lock is for pushing and taking only.
    pub(super) waiting: Mutex<Vec<WriteRequest>>,
    /// Held by whoever reads or rewrites the file.
    pub(super) file_lock: Arc<AsyncMutex<()>>,
    /// What the watch has heard of a hand that writes to the file.
    pub(super) writer: WriterActivity,
    /// Asked before each step on the disk; tests fail or stop one.
    pub(super) before: Box<dyn Fn(WriteStep) -> io::Result<()> + Send + Sync>,
}

/// An edit that was taken over: what is answered now that was not before.
#[derive(Debug)]
pub struct FileEdit {
    pub(super) before: Arc<FileState>,
    pub(super) after: Arc<FileState>,
}

pub(super) type Listener = Box<dyn Fn(&FileEdit) + Send + Sync>;

/// The file as it was taken over.
#[derive(Debug)]
pub(super) struct FileState {
    pub(super) table: Table,
    pub(super) rules: Arc<Rules>,
    pub(super) stamp: Stamp,
    pub(super) loaded: Loaded,
}

// === impl SharedFile ===

impl SharedFile {
    /// Reads the file and takes it over. Called in one's turn only.
    pub(super) fn load(&self, rules: Arc<Rules>) -> Result<Loaded, LoadError> {
        let state = self.read(rules)?;
        let loaded = state.loaded;
        drop(self.take_over(state, true));
        self.log_loaded(loaded);
        Ok(loaded)
    }

    pub(super) fn read(&self, rules: Arc<Rules>) -> Result<FileState, LoadError> {
        let snapshot = read::read(&self.path, &rules)?;
        Ok(FileState::of(snapshot, rules))
    }

    pub(super) fn take_edit(&self) -> Result<Option<Loaded>, LoadError> {
        let state = self.state.load_full();
        let snapshot = self.not_emptied(read::read(&self.path, &state.rules)?, &state)?;
        if !Stamp::at(&self.path).is_ok_and(|stamp| stamp == snapshot.stamp) {
            return Ok(None);
        }
        let state = FileState::of(snapshot, Arc::clone(&state.rules));
        let loaded = state.loaded;
        drop(self.take_over(state, true));
        self.log_loaded(loaded);
        Ok(Some(loaded))
    }

    /// From now on lookups are answered from `state`. With `is_external` it holds more than what was written
    /// through us, so whoever has cached answers has to ask anew. What comes back holds the old table: to drop it is
    /// the longest part of it all.
    pub(super) fn take_over(&self, state: FileState, is_external: bool) -> FileEdit {
        let after = Arc::new(state);
        let edit = FileEdit { before: self.state.swap(Arc::clone(&after)), after };
        if is_external {
            // After the swap: whoever reads the new epoch finds the new table.
            self.epoch.fetch_add(1, Ordering::AcqRel);
            self.epoch_changed.notify_waiters();
            if let Some(listener) = self.listener.get() {
                listener(&edit);
            }
        }
        edit
    }

    pub(super) fn push(&self, request: WriteRequest) -> Result<(), StoreError> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let count: usize = waiting.iter().map(|request| request.changes.len()).sum();
        if count + request.changes.len() > MAX_WAITING && !waiting.is_empty() {
            return Err(StoreError::Busy("too many changes wait to be written"));
        }
        waiting.push(request);
        Ok(())
    }

    /// The snapshot, unless the file has lost everything at once: a save that was cut short (by a full disk,
    /// say) looks like that, and nobody is sent back for it.
    pub(super) fn not_emptied(&self, snapshot: Snapshot, state: &FileState) -> Result<Snapshot, LoadError> {
        let entries = state.loaded.entries;
        if snapshot.text.is_empty() && entries > 0 {
            return Err(LoadError::Emptied { path: self.path.clone(), entries });
        }
        Ok(snapshot)
    }

    pub(super) fn read_error(&self, error: io::Error) -> LoadError {
        LoadError::Io { path: self.path.clone(), error: Arc::new(error) }
    }

    pub(super) fn log_loaded(&self, loaded: Loaded) {
        let path = self.path.display();
        tracing::info!(file = %path, entries = loaded.entries, domains = loaded.domains, "mapping file read");
        if loaded.domains > 0 && !self.state.load().rules.domains {
            tracing::warn!(file = %path, domains = loaded.domains,
                "the mapping file has entries for whole domains, which do nothing: set `domains = true` in [mapping]");
        }
    }
}

impl std::fmt::Debug for SharedFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileStore").field("path", &self.path).finish_non_exhaustive()
    }
}

// === impl FileEdit ===

impl FileEdit {
    /// Whether the account's own entry, or its domain's, is another one since.
    #[must_use]
    pub fn concerns(&self, account: &str) -> bool {
        let is_other = |key: &str| self.before.table.get(key) != self.after.table.get(key);
        is_other(account) || domain_key(account).is_some_and(is_other)
    }
}

// === impl FileState ===

impl FileState {
    pub(super) fn of(snapshot: Snapshot, rules: Arc<Rules>) -> Self {
        let loaded = snapshot.loaded();
        Self { table: snapshot.table, rules, stamp: snapshot.stamp, loaded }
    }
}
