//! The store that is lines in a file: in memory for lookups, written safely, followed when it is edited.
//!
//! What must never happen: a table in memory that the file does not say; a write that is acknowledged and not
//! on the disk; a hand's edit that is overwritten; a bad file that replaces a good table; a lookup that waits
//! for any of this.
//!
//! | module | subject |
//! |---|---|
//! | `read` | the file → [`Table`], and the stamp by which a change is noticed |
//! | `prepared` | the same file by other rules |
//! | `commit` | several writes → one new file |
//! | `replace` | a new file in the place of the old, in steps that a crash may interrupt |
//! | `rest` | whether an edit under way is finished |
//! | `watch`, `trail` | edits are picked up by themselves |

use futures_core::future::BoxFuture;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use arc_swap::ArcSwap;
use plan::Name;
use tokio::sync::{Mutex as AsyncMutex, Notify, OwnedMutexGuard, oneshot};
use tokio::task::spawn_blocking;

use self::commit::Request;
use self::read::{Snapshot, Stamp};
use self::replace::Step;
use self::writer_activity::WriterActivity;
use crate::rules::{Rules, domain_key};
use crate::store::{Applied, Change, Listing, LoadError, Loaded, MAX_PAGE, Store, StoreError};
use crate::table::Table;

mod commit;
mod link_chain;
mod prepared;
mod read;
mod replace;
mod watch;
mod writer_activity;

pub use self::prepared::{Prepared, Taken};
pub use self::watch::Watch;

/// Mappings in a file. A clone is the same store.
#[derive(Clone, Debug)]
pub struct FileStore {
    inner: Arc<Inner>,
}

/// Changes that wait for the next rewrite, at most. A larger import is one request of its own.
pub const MAX_WAITING: usize = 10_000;

/// What the clones of a store share.
struct Inner {
    path: PathBuf,
    state: ArcSwap<State>,
    epoch: AtomicU64,
    /// Rung after each new epoch.
    renewed: Notify,
    /// Told of each edit, after its epoch.
    listener: OnceLock<Listener>,
    /// Writes that wait for the next rewrite. The lock is for pushing and taking only.
    waiting: Mutex<Vec<Request>>,
    /// Held by whoever reads or rewrites the file.
    turn: Arc<AsyncMutex<()>>,
    /// What the watch has heard of a hand that writes to the file.
    pen: WriterActivity,
    /// Asked before each step on the disk; tests fail or stop one.
    before: Box<dyn Fn(Step) -> io::Result<()> + Send + Sync>,
}

/// An edit that was taken over: what is answered now that was not before.
#[derive(Debug)]
pub struct Edit {
    before: Arc<State>,
    after: Arc<State>,
}

type Listener = Box<dyn Fn(&Edit) + Send + Sync>;

/// The file as it was taken over.
#[derive(Debug)]
struct State {
    table: Table,
    rules: Arc<Rules>,
    stamp: Stamp,
    loaded: Loaded,
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
        before: Box<dyn Fn(Step) -> io::Result<()> + Send + Sync>,
    ) -> Result<Self, LoadError> {
        let snapshot = read::read(&path, &rules)?;
        let inner = Inner {
            state: ArcSwap::from_pointee(State::of(snapshot, Arc::new(rules))),
            path,
            epoch: AtomicU64::new(0),
            renewed: Notify::new(),
            listener: OnceLock::new(),
            waiting: Mutex::default(),
            turn: Arc::default(),
            pen: WriterActivity::default(),
            before,
        };
        let loaded = inner.state.load().loaded;
        inner.tell(loaded);
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
    async fn take_edit(&self, turn: OwnedMutexGuard<()>) -> Result<Option<Loaded>, LoadError> {
        let inner = Arc::clone(&self.inner);
        let task = spawn_blocking(move || {
            let taken = inner.take_edit();
            drop(turn);
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
            let renewed = self.inner.renewed.notified();
            let epoch = self.inner.epoch.load(Ordering::Acquire);
            if epoch > seen {
                return epoch;
            }
            renewed.await;
        }
    }

    /// Calls `listener` after every edit that is taken over, whether by the watch, a reload or a write that
    /// finds one; not for what is written through us. For the one who is told first; later calls change nothing.
    pub fn on_edit(&self, listener: impl Fn(&Edit) + Send + Sync + 'static) {
        // Set already: the store has its listener.
        let _ = self.inner.listener.set(Box::new(listener));
    }

    /// Reads the file again, by the rules that are there.
    ///
    /// # Errors
    /// Why it was not taken over; the table is as it was.
    pub async fn reload(&self) -> Result<Loaded, LoadError> {
        let turn = self.turn().await;
        self.load_by(self.rules(), turn).await
    }

    /// Reads the file again by other rules, which count from [`Prepared::take_over`] on. Until then, or until it
    /// is dropped, the file is neither read nor written by anybody else.
    ///
    /// # Errors
    /// Why the file is not valid by them.
    pub async fn prepare(&self, rules: Rules) -> Result<Prepared, LoadError> {
        let (inner, turn) = (Arc::clone(&self.inner), self.turn().await);
        let task = spawn_blocking(move || {
            let state = inner.read(Arc::new(rules))?;
            Ok(Prepared { inner, state, turn })
        });
        task.await.unwrap_or_else(|_| Err(self.inner.read_error(io::Error::other("reading was interrupted"))))
    }

    async fn load_by(&self, rules: Arc<Rules>, turn: OwnedMutexGuard<()>) -> Result<Loaded, LoadError> {
        let inner = Arc::clone(&self.inner);
        let task = spawn_blocking(move || {
            let loaded = inner.load(rules);
            drop(turn);
            loaded
        });
        task.await.unwrap_or_else(|_| Err(self.inner.read_error(io::Error::other("reading was interrupted"))))
    }

    /// The rules of the moment; they stay while one has the turn.
    fn rules(&self) -> Arc<Rules> {
        Arc::clone(&self.inner.state.load().rules)
    }

    async fn turn(&self) -> OwnedMutexGuard<()> {
        Arc::clone(&self.inner.turn).lock_owned().await
    }

    /// Puts the changes into the queue and waits for the rewrite that has them: ours, or somebody else's.
    async fn write(&self, changes: Vec<Change>) -> Result<Applied, StoreError> {
        if changes.is_empty() {
            return Ok(Applied::default());
        }
        let (reply, mut answer) = oneshot::channel();
        self.inner.push(Request { changes, reply })?;
        let turn = tokio::select! {
            biased;
            answered = &mut answer => return answered.unwrap_or_else(|_| Err(interrupted())),
            turn = self.turn() => turn,
        };
        let inner = Arc::clone(&self.inner);
        // Goes on when we no longer wait: others' changes are in it too.
        tokio::spawn(async move {
            inner.commit().await;
            drop(turn);
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

// === impl Inner ===

impl Inner {
    /// Reads the file and takes it over. Called in one's turn only.
    fn load(&self, rules: Arc<Rules>) -> Result<Loaded, LoadError> {
        let state = self.read(rules)?;
        let loaded = state.loaded;
        drop(self.take_over(state, true));
        self.tell(loaded);
        Ok(loaded)
    }

    fn read(&self, rules: Arc<Rules>) -> Result<State, LoadError> {
        let snapshot = read::read(&self.path, &rules)?;
        Ok(State::of(snapshot, rules))
    }

    fn take_edit(&self) -> Result<Option<Loaded>, LoadError> {
        let state = self.state.load_full();
        let snapshot = self.not_emptied(read::read(&self.path, &state.rules)?, &state)?;
        if !Stamp::at(&self.path).is_ok_and(|stamp| stamp == snapshot.stamp) {
            return Ok(None);
        }
        let state = State::of(snapshot, Arc::clone(&state.rules));
        let loaded = state.loaded;
        drop(self.take_over(state, true));
        self.tell(loaded);
        Ok(Some(loaded))
    }

    /// From now on lookups are answered from `state`. With `is_news` it holds more than what was written
    /// through us, so whoever has cached answers has to ask anew. What comes back holds the old table: to drop it is
    /// the longest part of it all.
    fn take_over(&self, state: State, is_news: bool) -> Edit {
        let after = Arc::new(state);
        let edit = Edit { before: self.state.swap(Arc::clone(&after)), after };
        if is_news {
            // After the swap: whoever reads the new epoch finds the new table.
            self.epoch.fetch_add(1, Ordering::AcqRel);
            self.renewed.notify_waiters();
            if let Some(listener) = self.listener.get() {
                listener(&edit);
            }
        }
        edit
    }

    fn push(&self, request: Request) -> Result<(), StoreError> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let count: usize = waiting.iter().map(|request| request.changes.len()).sum();
        if count + request.changes.len() > MAX_WAITING && !waiting.is_empty() {
            return Err(StoreError::Busy("too many changes wait to be written"));
        }
        waiting.push(request);
        Ok(())
    }

    fn read_error(&self, error: io::Error) -> LoadError {
        LoadError::Io { path: self.path.clone(), error: Arc::new(error) }
    }

    fn tell(&self, loaded: Loaded) {
        let path = self.path.display();
        tracing::info!(file = %path, entries = loaded.entries, domains = loaded.domains, "mapping file read");
        if loaded.domains > 0 && !self.state.load().rules.domains {
            tracing::warn!(file = %path, domains = loaded.domains,
                "the mapping file has entries for whole domains, which do nothing: set `domains = true` in [mapping]");
        }
    }
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileStore").field("path", &self.path).finish_non_exhaustive()
    }
}

// === impl Edit ===

impl Edit {
    /// Whether the account's own entry, or its domain's, is another one since.
    #[must_use]
    pub fn concerns(&self, account: &str) -> bool {
        let is_other = |key: &str| self.before.table.get(key) != self.after.table.get(key);
        is_other(account) || domain_key(account).is_some_and(is_other)
    }
}

// === impl State ===

impl State {
    fn of(snapshot: Snapshot, rules: Arc<Rules>) -> Self {
        let loaded = snapshot.loaded();
        Self { table: snapshot.table, rules, stamp: snapshot.stamp, loaded }
    }
}

fn interrupted() -> StoreError {
    StoreError::Busy("the work on the mapping file was interrupted")
}

#[cfg(test)]
mod tests;
