//! Edits of the file are picked up by themselves.
//!
//! The folder is watched, not the file: a file that is renamed into place, or a link that is turned to another
//! folder (as Kubernetes does), would be lost from sight. Where nothing is told (network file systems, no
//! watch left), a look every half minute finds the change. A bad file is told once and not taken over.

use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, interval, sleep_until, timeout_at};

use super::FileStore;
use super::read::Stamp;
use crate::store::LoadError;

/// Follows the file until it is dropped.
#[derive(Debug)]
#[must_use = "dropping the watch ends it"]
pub struct Watch {
    task: JoinHandle<()>,
}

/// A file is taken for finished when nothing has happened to its folder for this long.
const QUIET: Duration = Duration::from_millis(200);

/// A folder in which something happens all the time is looked at this often all the same.
const MAX_UNQUIET: Duration = Duration::from_secs(2);

/// Between two looks without being told anything.
const LOOK_EVERY: Duration = Duration::from_secs(30);

// === impl FileStore ===

impl FileStore {
    /// Picks up edits from now on: a valid file is taken over, a bad one is told in the log.
    pub fn watch(&self) -> Watch {
        let (told, news) = mpsc::channel(1);
        let watcher = watcher(self.path(), told).inspect_err(|error| {
            tracing::warn!(file = %self.path().display(), %error,
                "the mapping file's folder cannot be watched: edits are found within half a minute");
        });
        Watch { task: tokio::spawn(follow(self.clone(), watcher.ok(), news)) }
    }

    /// Takes the file over if it is another one than the one that was taken over, or refused, last.
    pub(super) async fn look(&self, refused: &mut Option<Stamp>) {
        // In our turn, so that a write under way is not taken for somebody else's.
        let turn = self.turn().await;
        let path = self.path().to_owned();
        let Ok(Ok(stamp)) = tokio::task::spawn_blocking(move || Stamp::at(&path)).await else {
            // Gone for a moment, perhaps between two steps of a replacement: there is nothing to take over.
            return;
        };
        if stamp == self.inner.state.load().stamp || Some(stamp) == *refused {
            return;
        }
        match self.load_by(self.rules(), turn).await {
            Ok(_) => *refused = None,
            Err(error) => {
                tell_refused(&error);
                *refused = Some(stamp);
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

/// Watches the folder of `path`, and of what a link there leads to. Every event is one token, of which one
/// at most waits.
fn watcher(path: &Path, told: mpsc::Sender<()>) -> notify::Result<RecommendedWatcher> {
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // Our own reading makes events too, and they are none that matter.
        if !event.is_ok_and(|event| event.kind.is_access()) {
            let _ = told.try_send(());
        }
    })?;
    for folder in folders(path) {
        watcher.watch(&folder, RecursiveMode::NonRecursive)?;
    }
    Ok(watcher)
}

fn folders(path: &Path) -> Vec<PathBuf> {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let real = path.canonicalize().unwrap_or_else(|_| absolute.clone());
    let mut folders: Vec<_> =
        [absolute, real].iter().filter_map(|path| path.parent().map(Path::to_owned)).collect();
    folders.dedup();
    folders
}

async fn follow(store: FileStore, watcher: Option<RecommendedWatcher>, mut news: mpsc::Receiver<()>) {
    let mut refused = None;
    let mut looks = interval(LOOK_EVERY);
    // Without a watcher the channel is closed, and only the looks are left.
    let mut is_told = watcher.is_some();
    loop {
        tokio::select! {
            told = news.recv(), if is_told => match told {
                Some(()) => quiet(&mut news).await,
                None => is_told = false,
            },
            _ = looks.tick() => {}
        }
        store.look(&mut refused).await;
    }
}

/// Waits until the folder is quiet, so that a half-written file is not judged.
async fn quiet(news: &mut mpsc::Receiver<()>) {
    let end = Instant::now() + MAX_UNQUIET;
    loop {
        let until = (Instant::now() + QUIET).min(end);
        match timeout_at(until, news.recv()).await {
            Ok(Some(())) if Instant::now() < end => {}
            Ok(None) => return sleep_until(until).await,
            Ok(Some(())) | Err(_) => return,
        }
    }
}

fn tell_refused(error: &LoadError) {
    tracing::error!(%error, "the mapping file was changed and is not valid: the mapping stays as it was");
}
