//! Whether an edit under way is finished: a file that is half written is never judged.
//!
//! Many editors and scripts empty a file and then write to it. In between it looks like a valid file, of fewer
//! accounts or of none, and everybody who is missing would be sent back to where they have moved from. Two
//! signs tell: the file changes while we look (its [`Stamp`]), or the watch has heard of writing and not yet of
//! the closing that follows it.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::read::{Snapshot, Stamp};
use super::{Inner, State};
use crate::store::LoadError;

/// A file is taken for finished when it has not changed for this long.
pub(super) const QUIET: Duration = Duration::from_millis(200);

/// A hand that has written and has the file still open is believed to go on for this long. It may also have
/// been a closing that we were never told of.
pub(super) const MAX_OPEN: Duration = Duration::from_secs(60);

/// When a hand has written last, while it has the file open.
#[derive(Clone, Debug, Default)]
pub(super) struct WriterActivity {
    written: Arc<Mutex<Option<Instant>>>,
}

// === impl WriterActivity ===

impl WriterActivity {
    pub(super) fn writes(&self) {
        *self.written.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Closed, or another file is in its place.
    pub(super) fn is_lifted(&self) {
        *self.written.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    pub(super) fn is_down(&self) -> bool {
        let written = *self.written.lock().unwrap_or_else(PoisonError::into_inner);
        written.is_some_and(|written| written.elapsed() < MAX_OPEN)
    }
}

// === impl Inner ===

impl Inner {
    /// Waits, at most for `limit`, until the file is the one that was taken over last, or one that nobody
    /// writes to any more. Also when there is none, and not only for a moment.
    pub(super) async fn rest(&self, limit: Duration) -> bool {
        let until = Instant::now() + limit;
        let mut seen = stamp_at(&self.path).await;
        loop {
            if seen == Some(self.state.load().stamp) && !self.pen.is_down() {
                return true;
            }
            if Instant::now() >= until {
                return false;
            }
            sleep(QUIET).await;
            let now = stamp_at(&self.path).await;
            if now == seen && !self.pen.is_down() {
                return true;
            }
            seen = now;
        }
    }

    /// The snapshot, unless the file has lost everything at once: a save that was cut short (by a full disk,
    /// say) looks like that, and nobody is sent back for it.
    pub(super) fn not_emptied(&self, snapshot: Snapshot, state: &State) -> Result<Snapshot, LoadError> {
        let entries = state.loaded.entries;
        if snapshot.text.is_empty() && entries > 0 {
            return Err(LoadError::Emptied { path: self.path.clone(), entries });
        }
        Ok(snapshot)
    }
}

/// The stamp of what is at `path` now; `None` when there is nothing that could be looked at.
pub(super) async fn stamp_at(path: &Path) -> Option<Stamp> {
    let path = path.to_owned();
    tokio::task::spawn_blocking(move || Stamp::at(&path)).await.ok()?.ok()
}
