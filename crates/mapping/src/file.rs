//! Keeps mappings in a text file: held in memory for lookups, written atomically, and followed when it is edited.
//!
//! What must never happen: the table in memory differs from the file; an acknowledged write is not on disk; a manual
//! edit is overwritten; an invalid file replaces a valid table; a lookup waits for any of this work.
//!
//! | module | subject |
//! |---|---|
//! | `read` | reading the file, and the stamp that shows a change |
//! | `prepared` | a reload under new rules |
//! | `commit` | many writes in one rewrite |
//! | `replace` | replacing the file in steps that a crash may interrupt |
//! | `file_state` | the state that clones of a store share |
//! | `quiet`, `writer_activity` | waiting for an edit to be finished |
//! | `watch`, `link_chain` | noticing edits |

use futures_core::future::BoxFuture;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use arc_swap::ArcSwap;
use plan::Name;
use tokio::sync::{Notify, OwnedMutexGuard, oneshot};
use tokio::task::spawn_blocking;

use self::file_state::{FileState, SharedFile, WriteRequest};
use self::replace::WriteStep;
use self::writer_activity::WriterActivity;
use crate::rules::Rules;
use crate::store::{Applied, Change, Listing, LoadError, Loaded, MAX_PAGE, Store, StoreError};

mod commit;
mod file_state;
mod link_chain;
mod prepared;
mod quiet;
mod read;
mod replace;
mod watch;
mod writer_activity;

pub use self::file_state::{FileEdit, MAX_WAITING};
pub use self::prepared::{Prepared, Taken};
pub use self::watch::Watch;

/// A store of mappings in a file. Clones share the same store.
#[derive(Clone, Debug)]
pub struct FileStore {
    inner: Arc<SharedFile>,
}

// === impl FileStore ===

impl FileStore {
    /// Reads the file at `path`. Blocks: call it at start-up, before anything is served.
    ///
    /// # Errors
    /// Why the file cannot be used. A missing file is an error, an empty one is not.
    pub fn open(path: impl Into<PathBuf>, rules: Rules) -> Result<Self, LoadError> {
        Self::open_with(path.into(), rules, Box::new(|_| Ok(())))
    }

    /// Validates the file at `path` without using it. Blocks.
    ///
    /// # Errors
    /// Why [`FileStore::open`] would fail.
    pub fn check(path: &Path, rules: &Rules) -> Result<Loaded, LoadError> {
        read::read(path, rules).map(|snapshot| snapshot.loaded())
    }

    fn open_with(
        path: PathBuf,
        rules: Rules,
        step_hook: Box<dyn Fn(WriteStep) -> io::Result<()> + Send + Sync>,
    ) -> Result<Self, LoadError> {
        let snapshot = read::read(&path, &rules)?;
        let inner = SharedFile {
            state: ArcSwap::from_pointee(FileState::of(snapshot, Arc::new(rules))),
            path,
            epoch: AtomicU64::new(0),
            epoch_changed: Notify::new(),
            listener: OnceLock::new(),
            waiting: Mutex::default(),
            file_lock: Arc::default(),
            writer: WriterActivity::default(),
            step_hook,
        };
        let loaded = inner.state.load().loaded;
        inner.log_loaded(loaded);
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Returns the path of the file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// Returns the size of the mapping in effect.
    #[must_use]
    pub fn loaded(&self) -> Loaded {
        self.inner.state.load().loaded
    }

    /// Returns the bytes of memory that the entries take.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        self.inner.state.load().table.heap_bytes()
    }

    /// Takes an edit over. Returns `None` if the file changed again while it was read.
    async fn take_edit(&self, guard: OwnedMutexGuard<()>) -> Result<Option<Loaded>, LoadError> {
        let inner = Arc::clone(&self.inner);
        let task = spawn_blocking(move || {
            let taken = inner.take_edit();
            drop(guard);
            taken
        });
        task.await.unwrap_or_else(|_| Err(self.inner.read_error(io::Error::other("reading was interrupted"))))
    }

    /// Returns the destination of `key`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<Name> {
        self.inner.state.load().table.get(key).cloned()
    }

    /// Waits until the epoch is greater than `seen`, that is, until an edit has taken effect, and returns it.
    pub async fn epoch_after(&self, seen: u64) -> u64 {
        loop {
            // Created before the epoch is read, so that a notification in between is not lost.
            let epoch_changed = self.inner.epoch_changed.notified();
            let epoch = self.inner.epoch.load(Ordering::Acquire);
            if epoch > seen {
                return epoch;
            }
            epoch_changed.await;
        }
    }

    /// Calls `listener` after every edit that takes effect, whether the watch, a reload or a write found it, but not for
    /// writes of this store. Only the first call sets the listener; later calls do nothing.
    pub fn on_edit(&self, listener: impl Fn(&FileEdit) + Send + Sync + 'static) {
        // An error means that the listener is already set.
        let _ = self.inner.listener.set(Box::new(listener));
    }

    /// Reads the file again under the current rules.
    ///
    /// # Errors
    /// Why the file is not used. The table is unchanged.
    pub async fn reload(&self) -> Result<Loaded, LoadError> {
        let guard = self.lock_file().await;
        self.load_by(self.rules(), guard).await
    }

    /// Reads the file again under new rules, which take effect with [`Prepared::take_over`]. Until the result is used or
    /// dropped, this process neither reads nor writes the file otherwise.
    ///
    /// # Errors
    /// Why the file is not valid under the new rules.
    pub async fn prepare(&self, rules: Rules) -> Result<Prepared, LoadError> {
        let guard = self.lock_file().await;
        let inner = Arc::clone(&self.inner);
        let task = spawn_blocking(move || {
            let state = inner.read(Arc::new(rules))?;
            Ok(Prepared { inner, state, guard })
        });
        task.await.unwrap_or_else(|_| Err(self.inner.read_error(io::Error::other("reading was interrupted"))))
    }

    async fn load_by(&self, rules: Arc<Rules>, guard: OwnedMutexGuard<()>) -> Result<Loaded, LoadError> {
        let inner = Arc::clone(&self.inner);
        let task = spawn_blocking(move || {
            let loaded = inner.load(rules);
            drop(guard);
            loaded
        });
        task.await.unwrap_or_else(|_| Err(self.inner.read_error(io::Error::other("reading was interrupted"))))
    }

    /// Returns the current rules. They do not change while the caller holds the file's lock.
    fn rules(&self) -> Arc<Rules> {
        Arc::clone(&self.inner.state.load().rules)
    }

    async fn lock_file(&self) -> OwnedMutexGuard<()> {
        Arc::clone(&self.inner.file_lock).lock_owned().await
    }

    /// Queues the changes and waits for the rewrite that contains them, whichever caller runs it.
    async fn write(&self, changes: Vec<Change>) -> Result<Applied, StoreError> {
        if changes.is_empty() {
            return Ok(Applied::default());
        }
        let (reply, mut answer) = oneshot::channel();
        self.inner.push(WriteRequest { changes, reply })?;
        let guard = tokio::select! {
            biased;
            answered = &mut answer => return answered.unwrap_or_else(|_| Err(interrupted())),
            guard = self.lock_file() => guard,
        };
        let inner = Arc::clone(&self.inner);
        // A task of its own, because the rewrite contains other callers' changes and must survive this caller.
        tokio::spawn(async move {
            inner.commit().await;
            drop(guard);
        });
        answer.await.unwrap_or_else(|_| Err(interrupted()))
    }
}

impl Store for FileStore {
    fn entries_by_destination(&self) -> Option<Vec<(Name, usize)>> {
        Some(self.inner.state.load().table.entries_by_destination())
    }

    fn lookup<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Name>, StoreError>> {
        Box::pin(async { Ok(self.get(key)) })
    }

    fn apply(&self, changes: Vec<Change>) -> BoxFuture<'_, Result<Applied, StoreError>> {
        Box::pin(self.write(changes))
    }

    fn list(&self, from: u64, limit: usize) -> BoxFuture<'_, Result<Listing, StoreError>> {
        let state = self.inner.state.load_full();
        // Listing a million records takes longer than a worker thread may be blocked.
        let task = spawn_blocking(move || state.table.list(from, limit.min(MAX_PAGE)));
        Box::pin(async { task.await.map_err(|_| interrupted()) })
    }

    fn reload(&self) -> BoxFuture<'_, Result<Option<Loaded>, LoadError>> {
        Box::pin(async { self.reload().await.map(Some) })
    }

    fn epoch(&self) -> u64 {
        self.inner.epoch.load(Ordering::Acquire)
    }
}

fn interrupted() -> StoreError {
    StoreError::Busy("the work on the mapping file was interrupted")
}

#[cfg(test)]
mod tests;
