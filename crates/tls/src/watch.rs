//! Notices that certificate files were changed.
//!
//! Renewal renames files into place, or swaps a symbolic link above them (certbot, Kubernetes): a watch on
//! the file itself would be lost, so folders are watched. Network file systems send no events, and a link
//! further up is not seen: all files are looked at every 30 seconds as well. A burst of events must never
//! cause more than one reading, and reading must never cause events that cause reading.

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

/// Watches as long as it lives.
#[derive(Debug)]
#[must_use = "dropping it ends the watch"]
pub struct WatchHandle {
    task: JoinHandle<()>,
}

/// How often files are looked at without an event.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// How long it has to be quiet before files are read: chain and key are written one after the other.
const QUIET: Duration = Duration::from_millis(300);

/// Reading is put off no longer than this, however busy the folder is.
const AT_MOST: Duration = Duration::from_secs(3);

/// What tells one state of a file from another without reading it; `None` where there is no file.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    modified: SystemTime,
    len: u64,
    /// Where the system has them: the file's number, and when its owner or mode was changed (a file that
    /// could not be read may have become readable).
    inode: [i64; 3],
}

/// The stamps of each certificate's chain and key.
type Stamps = HashMap<Name, [Option<Stamp>; 2]>;

// === impl WatchHandle ===

impl Drop for WatchHandle {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Certificates {
    /// Picks up renewed files from now on, until the handle is dropped. Files that changed since they were
    /// first read are picked up at once. Must be called within a tokio runtime.
    pub fn watch(self: &Arc<Self>) -> WatchHandle {
        let changed = Arc::new(Notify::new());
        let watcher = watch_folders(self, &changed);
        // Something may have changed between the plan's reading and this call.
        changed.notify_one();
        WatchHandle { task: tokio::spawn(run(Arc::clone(self), changed, watcher)) }
    }
}

/// Waits for events and looks at the files after each burst. Holds the watcher, which stops when dropped.
async fn run(certificates: Arc<Certificates>, changed: Arc<Notify>, _watcher: Option<RecommendedWatcher>) {
    let mut seen = Stamps::new();
    let mut look_again = interval_at(Instant::now() + LOOK_AGAIN, LOOK_AGAIN);
    look_again.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = changed.notified() => settle(&changed).await,
            _ = look_again.tick() => {}
        }
        let certificates = Arc::clone(&certificates);
        // Reading blocks, and a network file system may block for long.
        let looked = tokio::task::spawn_blocking(move || {
            look(&certificates, &mut seen);
            seen
        });
        // A reading that panicked must not end the watch: the next one starts from nothing.
        seen = looked.await.unwrap_or_default();
    }
}

/// Returns when no event came for a while, or after [`AT_MOST`].
async fn settle(changed: &Notify) {
    let deadline = Instant::now() + AT_MOST;
    while Instant::now() < deadline && timeout(QUIET, changed.notified()).await.is_ok() {}
}

/// Reloads the certificates whose files are not as they were when last seen.
fn look(certificates: &Certificates, seen: &mut Stamps) -> Vec<ReloadOutcome> {
    certificates.reload(|certificate| {
        // Taken before the files are read: a change during the reading shows the next time.
        let now = [stamp(&certificate.cert_path), stamp(&certificate.key_path)];
        seen.insert(Arc::clone(&certificate.name), now) != Some(now)
    })
}

fn stamp(path: &Path) -> Option<Stamp> {
    let facts = fs::metadata(path).ok()?;
    Some(Stamp { modified: facts.modified().ok()?, len: facts.len(), inode: inode(&facts) })
}

#[cfg(unix)]
fn inode(facts: &fs::Metadata) -> [i64; 3] {
    use std::os::unix::fs::MetadataExt;
    [facts.ino().cast_signed(), facts.ctime(), facts.ctime_nsec()]
}

#[cfg(not(unix))]
fn inode(_: &fs::Metadata) -> [i64; 3] {
    [0; 3]
}

/// `None` when the platform gives no events: then files are looked at from time to time only.
fn watch_folders(certificates: &Certificates, changed: &Arc<Notify>) -> Option<RecommendedWatcher> {
    let changed = Arc::clone(changed);
    let handler = move |event: notify::Result<notify::Event>| {
        // An error may mean that events were lost.
        if event.map_or(true, |event| is_change(event.kind)) {
            changed.notify_one();
        }
    };
    let mut watcher =
        notify::recommended_watcher(handler).inspect_err(|error| warn_slow("all", error)).ok()?;
    for folder in folders(&certificates.table().certificates) {
        if let Err(error) = watcher.watch(&folder, RecursiveMode::NonRecursive) {
            warn_slow(&folder.display().to_string(), &error);
        }
    }
    Some(watcher)
}

/// Opening and reading is no change; we do that ourselves.
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

fn warn_slow(folder: &str, error: &notify::Error) {
    tracing::warn!(
        folder,
        %error,
        "certificate files cannot be watched: renewed ones are picked up within 30 seconds instead of at once",
    );
}

#[cfg(test)]
mod tests;
