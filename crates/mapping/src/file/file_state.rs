//! The state that clones of a file store share: the file as last read, and the changes that wait to be written.
//!
//! What must never happen: the epoch is raised before the new table can be seen, or the lock on the queue is held during
//! I/O.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use arc_swap::ArcSwap;
use tokio::sync::{Mutex as AsyncMutex, Notify, oneshot};

use super::read::{self, Snapshot, Stamp, Text, TextDigest};
use super::replace::WriteStep;
use super::writer_activity::WriterActivity;
use crate::rules::{Rules, domain_key};
use crate::store::{Applied, Change, LoadError, Loaded, StoreError};
use crate::table::Table;

/// The most changes that wait for the next rewrite. A larger import is accepted only into an empty queue.
pub const MAX_WAITING: usize = 10_000;

/// Changes that are applied together or not at all.
#[derive(Debug)]
pub(super) struct WriteRequest {
    pub(super) changes: Vec<Change>,
    pub(super) reply: oneshot::Sender<Result<Applied, StoreError>>,
}

/// The state that clones of a store share.
pub(super) struct SharedFile {
    pub(super) path: PathBuf,
    pub(super) state: ArcSwap<FileState>,
    pub(super) epoch: AtomicU64,
    /// Notified after each new epoch.
    pub(super) epoch_changed: Notify,
    /// Called with each edit, after its epoch.
    pub(super) listener: OnceLock<Listener>,
    /// Writes that wait for the next rewrite. The lock is held only to push or to take.
    pub(super) waiting: Mutex<Vec<WriteRequest>>,
    /// Held while the file is read or rewritten.
    pub(super) file_lock: Arc<AsyncMutex<()>>,
    /// Whether the watch has seen another program write to the file.
    pub(super) writer: WriterActivity,
    /// Called before each step on the disk, so that tests can fail or stop one.
    pub(super) step_hook: Box<dyn Fn(WriteStep) -> io::Result<()> + Send + Sync>,
}

/// An edit that took effect: the file before and after.
#[derive(Debug)]
pub struct FileEdit {
    pub(super) before: Arc<FileState>,
    pub(super) after: Arc<FileState>,
}

pub(super) type Listener = Box<dyn Fn(&FileEdit) + Send + Sync>;

/// The file as read, with the rules in effect.
#[derive(Debug)]
pub(super) struct FileState {
    pub(super) table: Table,
    pub(super) rules: Arc<Rules>,
    pub(super) stamp: Stamp,
    /// Of the text that `table` was made from.
    pub(super) digest: TextDigest,
    pub(super) loaded: Loaded,
}

// === impl SharedFile ===

impl SharedFile {
    /// Reads the file and takes it over. The caller holds the file's lock.
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

    /// Reads the file before it is rewritten. The text that the table was made from is not parsed again, because that
    /// takes longer than the rewrite.
    pub(super) fn read_to_rewrite(&self, state: &FileState) -> Result<Snapshot, LoadError> {
        let text = read::read_text(&self.path)?;
        if state.table.is_sparse() || !state.digest.matches(&text.bytes) {
            return read::parse(&self.path, text, &state.rules);
        }
        let Text { bytes, stamp } = text;
        Ok(Snapshot { text: bytes, table: state.table.copy_to_change(), stamp })
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

    /// Answers lookups from `state` from now on. With `is_external` it holds changes that this store did not write, so
    /// the epoch is raised and cached answers become stale. The returned edit holds the old table, and dropping that
    /// takes longer than everything else here.
    pub(super) fn take_over(&self, state: FileState, is_external: bool) -> FileEdit {
        let after = Arc::new(state);
        let edit = FileEdit { before: self.state.swap(Arc::clone(&after)), after };
        if is_external {
            // After the swap, so that a reader of the new epoch finds the new table.
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

    /// Returns the snapshot, or an error if the file has become empty. An interrupted save (on a full disk, for example)
    /// looks like that, and must not send every account back to its old server.
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
                "the mapping file has entries for whole domains, which have no effect: set `domains = true` in [mapping]");
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
    /// Returns whether the account's own entry, or the entry of its domain, has changed.
    #[must_use]
    pub fn concerns(&self, account: &str) -> bool {
        self.has_changed(account) || domain_key(account).is_some_and(|domain| self.has_changed(domain))
    }

    fn has_changed(&self, key: &str) -> bool {
        self.before.table.get(key) != self.after.table.get(key)
    }
}

// === impl FileState ===

impl FileState {
    pub(super) fn of(snapshot: Snapshot, rules: Arc<Rules>) -> Self {
        let loaded = snapshot.loaded();
        let digest = TextDigest::of(&snapshot.text);
        Self { table: snapshot.table, rules, stamp: snapshot.stamp, digest, loaded }
    }
}
