//! The store that is lines in a file: in memory for lookups, written safely, followed when it is edited.
//!
//! What must never happen: a table in memory that the file does not say; a write that is acknowledged and not
//! on the disk; a hand's edit that is overwritten; a bad file that replaces a good table; a lookup that waits
//! for any of this.
//!
//! | module | subject |
//! |---|---|
//! | `read` | the file → a table, and the stamp by which a change is noticed |
//! | `prepared` | the same file by other rules |
//! | `commit` | several writes → one new file |
//! | `replace` | a new file in the place of the old, in steps that a crash may interrupt |
//! | `file_state` | what the clones of a store share |
//! | `quiet`, `writer_activity` | whether an edit under way is finished |
//! | `watch`, `link_chain` | edits are noticed |

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

/// Mappings in a file. A clone is the same store.
#[derive(Clone, Debug)]
pub struct FileStore {
    inner: Arc<SharedFile>,
}

// === impl FileStore ===

impl FileStore {
    /// Reads the file at `path`. Blocks: for the start, before anything is served.
    ///
    /// # Errors
    /// Why there is nothing to start with: a missing file is an error, an empty one is not.
    pub fn open(path: impl Into<PathBuf>, rules: Rules) -> Result<Self, LoadError> {
        Self::open_with(path.into(), rules, Box::new(|_| Ok(())))
    }

    /// Judges the file at `path` by `rules` without taking it over. Blocks.
    ///
    /// # Errors
    /// What a store for it would stumble on.
    pub fn check(path: &Path, rules: &Rules) -> Result<Loaded, LoadError> {
        read::read(path, rules).map(|snapshot| snapshot.loaded())
    }

    fn open_with(
        path: PathBuf,
        rules: Rules,
        before: Box<dyn Fn(WriteStep) -> io::Result<()> + Send + Sync>,
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
            before,
        };
        let loaded = inner.state.load().loaded;
        inner.log_loaded(loaded);
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Where the file is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// What was taken over last.
    #[must_use]
    pub fn loaded(&self) -> Loaded {
        self.inner.state.load().loaded
    }

    /// Bytes of memory that the entries take.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        self.inner.state.load().table.heap_bytes()
    }

    /// Takes an edit over; `None` when the file was changed again while it was read.
    async fn take_edit(&self, guard: OwnedMutexGuard<()>) -> Result<Option<Loaded>, LoadError> {
        let inner = Arc::clone(&self.inner);
        let task = spawn_blocking(move || {
            let taken = inner.take_edit();
            drop(guard);
            taken
        });
        task.await.unwrap_or_else(|_| Err(self.inner.read_error(io::Error::other("reading was interrupted"))))
    }

    /// Where `key` is mapped to.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<Name> {
        self.inner.state.load().table.get(key).cloned()
    }

    /// Resolves with the epoch once it is beyond `seen`: the file was taken over anew since.
    pub async fn epoch_after(&self, seen: u64) -> u64 {
        loop {
            // Created before the look, so that no bell falls between look and wait.
            let epoch_changed = self.inner.epoch_changed.notified();
            let epoch = self.inner.epoch.load(Ordering::Acquire);
            if epoch > seen {
                return epoch;
            }
            epoch_changed.await;
        }
    }

    /// Calls `listener` after every edit that is taken over, whether by the watch, a reload or a write that
    /// finds one; not for what is written through us. For the one who is told first; later calls change nothing.
    pub fn on_edit(&self, listener: impl Fn(&FileEdit) + Send + Sync + 'static) {
        // Set already: the store has its listener.
        let _ = self.inner.listener.set(Box::new(listener));
    }

    /// Reads the file again, by the rules that are there.
    ///
    /// # Errors
    /// Why it was not taken over; the table is as it was.
    pub async fn reload(&self) -> Result<Loaded, LoadError> {
        let guard = self.lock_file().await;
        self.load_by(self.rules(), guard).await
    }

    /// Reads the file again by other rules, which count from [`Prepared::take_over`] on. Until then, or until it
    /// is dropped, the file is neither read nor written by anybody else.
    ///
    /// # Errors
    /// Why the file is not valid by them.
    pub async fn prepare(&self, rules: Rules) -> Result<Prepared, LoadError> {
        let inner = Arc::clone(&self.inner);
        let guard = self.lock_file().await;
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

    /// The rules of the moment; they stay while one has the turn.
    fn rules(&self) -> Arc<Rules> {
        Arc::clone(&self.inner.state.load().rules)
    }

    async fn lock_file(&self) -> OwnedMutexGuard<()> {
        Arc::clone(&self.inner.file_lock).lock_owned().await
    }

    /// Puts the changes into the queue and waits for the rewrite that has them: ours, or somebody else's.
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
        // Goes on when we no longer wait: others' changes are in it too.
        tokio::spawn(async move {
            inner.commit().await;
            drop(guard);
        });
        answer.await.unwrap_or_else(|_| Err(interrupted()))
    }
}

impl Store for FileStore {
    fn census(&self) -> Option<Vec<(Name, usize)>> {
        Some(self.inner.state.load().table.census())
    }

    fn lookup<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Name>, StoreError>> {
        Box::pin(async { Ok(self.get(key)) })
    }

    fn apply(&self, changes: Vec<Change>) -> BoxFuture<'_, Result<Applied, StoreError>> {
        Box::pin(self.write(changes))
    }

    fn list(&self, from: u64, limit: usize) -> BoxFuture<'_, Result<Listing, StoreError>> {
        let state = self.inner.state.load_full();
        // A walk over a million records takes longer than a worker may be kept.
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
