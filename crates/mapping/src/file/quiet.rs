//! Waits until an edit of the mapping file is finished, so that a half-written file is never used.
//!
//! Many editors and scripts empty a file and then write to it. In between it looks like a valid file with fewer
//! accounts or none, and every missing account would be routed back to the server that it has left. Two signs show an
//! edit in progress: the file's [`Stamp`] keeps changing, or the watch has seen a write and not yet the close after it.

use std::path::Path;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::file_state::SharedFile;
use super::read::Stamp;

/// An edit counts as finished when the file has not changed for this long.
pub(super) const QUIET: Duration = Duration::from_millis(200);

// === impl SharedFile ===

impl SharedFile {
    /// Waits at most `limit` until no edit is in progress, and returns whether that is so. A file that stays missing
    /// for [`QUIET`] counts as quiet.
    pub(super) async fn wait_until_quiet(&self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        let mut seen = stamp_at(&self.path).await;
        loop {
            if seen == Some(self.state.load().stamp) && !self.writer.is_writing() {
                return true;
            }
            if Instant::now() >= deadline {
                return false;
            }
            sleep(QUIET).await;
            let now = stamp_at(&self.path).await;
            if now == seen && !self.writer.is_writing() {
                return true;
            }
            seen = now;
        }
    }
}

/// Returns the stamp of the file at `path`, or `None` if its metadata cannot be read.
pub(super) async fn stamp_at(path: &Path) -> Option<Stamp> {
    let path = path.to_owned();
    tokio::task::spawn_blocking(move || Stamp::at(&path)).await.ok()?.ok()
}
