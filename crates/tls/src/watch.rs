//! Detects changes of certificate files.
//!
//! A renewal renames files into place, or replaces a symbolic link above them (certbot, Kubernetes). A watch on the
//! file itself would be lost then, so folders are watched. Network file systems send no events, and a link further up
//! sends none either, so all files are also checked every 30 seconds. A burst of events must never cause more than
//! one reload, and a reload must never cause events that cause a reload.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use notify::event::{AccessKind, AccessMode};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use plan::{Certificate, Name};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

use crate::certificates::{Certificates, ReloadOutcome};

/// Ends the watch when it is dropped.
#[derive(Debug)]
#[must_use = "dropping it ends the watch"]
pub struct WatchHandle {
    task: JoinHandle<()>,
}

/// The interval at which files are checked without an event.
const CHECK_INTERVAL: Duration = Duration::from_secs(30);

/// The time without an event after which files are read: chain and key are written one after the other.
const QUIET: Duration = Duration::from_millis(300);

/// The longest time from the first event to the reload, if events keep coming.
const MAX_DELAY: Duration = Duration::from_secs(3);

/// Metadata that changes whenever a file changes.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    modified: SystemTime,
    len: u64,
    /// On Unix the inode number and the time of the last change of owner or mode: a file that could not be read may
    /// have become readable.
    inode: [i64; 3],
}

/// The stamps of each certificate's chain and key; `None` for a file that does not exist.
type Stamps = HashMap<Name, [Option<Stamp>; 2]>;

// === impl WatchHandle ===

impl Drop for WatchHandle {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Certificates {
    /// Reloads certificates whose files change, until the handle is dropped. Files that have changed since they were
    /// first read are reloaded at once. Must be called within a tokio runtime.
    pub fn watch(self: &Arc<Self>) -> WatchHandle {
        let changed = Arc::new(Notify::new());
        let watcher = watch_folders(self, &changed);
        // A file may have changed since the plan read it.
        changed.notify_one();
        WatchHandle { task: tokio::spawn(run(Arc::clone(self), changed, watcher)) }
    }
}

/// Waits for events and checks the files after each burst. Holds the watcher, which stops when dropped.
async fn run(certificates: Arc<Certificates>, changed: Arc<Notify>, _watcher: Option<RecommendedWatcher>) {
    let mut seen = Stamps::new();
    let mut ticks = interval_at(Instant::now() + CHECK_INTERVAL, CHECK_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = changed.notified() => settle(&changed).await,
            _ = ticks.tick() => {}
        }
        let certificates = Arc::clone(&certificates);
        // Reading files blocks; a network file system may block for a long time.
        let check = tokio::task::spawn_blocking(move || {
            reload_changed(&certificates, &mut seen);
            seen
        });
        // A panic must not end the watch: the next check reads all files.
        seen = check.await.unwrap_or_default();
    }
}

/// Returns when no event came for [`QUIET`], and after [`MAX_DELAY`] at the latest.
async fn settle(changed: &Notify) {
    let deadline = Instant::now() + MAX_DELAY;
    while Instant::now() < deadline && timeout(QUIET, changed.notified()).await.is_ok() {}
}

/// Reloads the certificates whose files have changed since the last check.
fn reload_changed(certificates: &Certificates, seen: &mut Stamps) -> Vec<ReloadOutcome> {
    certificates.reload(|certificate| {
        // Taken before the files are read, so that a change in the meantime is detected by the next check.
        let now = [stamp(&certificate.cert_path), stamp(&certificate.key_path)];
        seen.insert(Arc::clone(&certificate.name), now) != Some(now)
    })
}

fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = fs::metadata(path).ok()?;
    Some(Stamp { modified: metadata.modified().ok()?, len: metadata.len(), inode: inode(&metadata) })
}

#[cfg(unix)]
fn inode(metadata: &fs::Metadata) -> [i64; 3] {
    use std::os::unix::fs::MetadataExt;
    [metadata.ino().cast_signed(), metadata.ctime(), metadata.ctime_nsec()]
}

#[cfg(not(unix))]
fn inode(_: &fs::Metadata) -> [i64; 3] {
    [0; 3]
}

/// Watches the folders of all files. Returns `None` when the platform provides no events: files are then only checked
/// at intervals.
fn watch_folders(certificates: &Certificates, changed: &Arc<Notify>) -> Option<RecommendedWatcher> {
    let changed = Arc::clone(changed);
    let handler = move |event: notify::Result<notify::Event>| {
        // After an error, events may have been lost.
        if event.map_or(true, |event| is_change(event.kind)) {
            changed.notify_one();
        }
    };
    let mut watcher =
        notify::recommended_watcher(handler).inspect_err(|error| warn_unwatched("all", error)).ok()?;
    for folder in folders(&certificates.table().certificates) {
        if let Err(error) = watcher.watch(&folder, RecursiveMode::NonRecursive) {
            warn_unwatched(&folder.display().to_string(), &error);
        }
    }
    Some(watcher)
}

/// Opening and reading are not changes: this program does both.
fn is_change(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => true,
        EventKind::Access(_) => false,
        EventKind::Any
        | EventKind::Create(_)
        | EventKind::Modify(_)
        | EventKind::Remove(_)
        | EventKind::Other => true,
    }
}

fn folders(certificates: &[Arc<Certificate>]) -> BTreeSet<PathBuf> {
    certificates.iter().flat_map(|one| [&one.cert_path, &one.key_path]).map(|path| folder(path)).collect()
}

fn folder(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

fn warn_unwatched(folder: &str, error: &notify::Error) {
    tracing::warn!(
        folder,
        %error,
        "certificate files cannot be watched: renewed ones are loaded within 30 seconds instead of at once",
    );
}

#[cfg(test)]
mod tests;
