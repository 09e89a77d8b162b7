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
use super::link_chain::{Place, trail};
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
pub(super) struct Told {
    /// This version of it was refused.
    pub(super) refused: Option<Stamp>,
    /// There is none.
    pub(super) is_gone: bool,
    /// It changes all the time.
    pub(super) is_restless: bool,
}

/// Watches every folder on the way to the file. An event is one token, of which one at most waits.
struct Eyes {
    told: mpsc::Sender<()>,
    pen: WriterActivity,
    places: Vec<Place>,
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
        let mut eyes = Eyes { told, pen: self.inner.pen.clone(), places: Vec::new(), watcher: None };
        eyes.open(self.path());
        Watch { task: tokio::spawn(follow(self.clone(), eyes, news)) }
    }

    /// Takes the file over if it is another one than the one that was taken over, or refused, last.
    pub(super) async fn look(&self, told: &mut Told) {
        let is_at_rest = self.inner.rest(MAX_OPEN).await;
        if !is_at_rest && !std::mem::replace(&mut told.is_restless, true) {
            tracing::warn!(file = %self.path().display(),
                "the mapping file is being written to without an end: the mapping stays as it was");
        }
        if !is_at_rest {
            return;
        }
        told.is_restless = false;
        // In our turn, so that a write under way is not taken for somebody else's.
        let turn = self.turn().await;
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
        match self.take_edit(turn).await {
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

// === impl Eyes ===

impl Eyes {
    /// Looks where the way to the file leads now. Called again, it begins anew only where that has changed.
    /// Blocks, but for a few looks at folders only.
    fn open(&mut self, path: &Path) {
        let trail = trail(path);
        if trail.places == self.places && self.watcher.is_some() {
            return;
        }
        let watcher = self.watcher_of(&trail.places, trail.name);
        // Told at the start and at a change; not at every try.
        if let Err(error) = &watcher
            && trail.places != self.places
        {
            tracing::warn!(file = %path.display(), %error,
                "the mapping file's folder cannot be watched: edits are found within half a minute");
        }
        self.watcher = watcher.ok();
        self.places = trail.places;
    }

    fn watcher_of(&self, places: &[Place], name: OsString) -> notify::Result<RecommendedWatcher> {
        let told = self.told.clone();
        let pen = self.pen.clone();
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if event.is_ok_and(|event| !hear(&event, &name, &pen)) {
                return;
            }
            // Full: a token waits already.
            let _ = told.try_send(());
        })?;
        for place in places {
            watcher.watch(&place.folder, RecursiveMode::NonRecursive)?;
        }
        Ok(watcher)
    }
}

/// Whether an event may be an edit. Our own reading makes events too, and they are none that matter.
fn hear(event: &notify::Event, name: &OsString, pen: &WriterActivity) -> bool {
    let is_file = event.paths.iter().any(|path| path.file_name() == Some(name));
    match event.kind {
        EventKind::Modify(ModifyKind::Data(_)) if is_file => pen.writes(),
        EventKind::Access(AccessKind::Close(AccessMode::Write))
        | EventKind::Modify(ModifyKind::Name(_))
        | EventKind::Remove(_)
            if is_file =>
        {
            pen.is_lifted();
        }
        EventKind::Access(_) => return false,
        _ => {}
    }
    true
}

async fn follow(store: FileStore, mut eyes: Eyes, mut news: mpsc::Receiver<()>) {
    let mut told = Told::default();
    let mut looks = interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            // Never closed: the eyes keep a sender.
            _ = news.recv() => {}
            _ = looks.tick() => {}
        }
        eyes.open(store.path());
        store.look(&mut told).await;
    }
}
