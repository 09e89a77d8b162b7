//! Whether an edit under way is finished: a file that is half written is never judged.
//!
//! Many editors and scripts empty a file and then write to it. In between it looks like a valid file with fewer
//! accounts or none, and every account that is missing would be routed back to the server that it has left. Two signs
//! show an edit under way: the file changes while we look (its [`Stamp`]), or the watch has noticed a write and not
//! yet the close that follows it.

use std::path::Path;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::file_state::SharedFile;
use super::read::Stamp;

/// A file is taken for finished when it has not changed for this long.
pub(super) const QUIET: Duration = Duration::from_millis(200);

// === impl SharedFile ===

impl SharedFile {
    /// Waits, at most for `limit`, until the file is the one that was taken over last, or one that nobody
    /// writes to any more. Also when there is none, and not only for a moment.
    pub(super) async fn wait_until_quiet(&self, limit: Duration) -> bool {
        let until = Instant::now() + limit;
        let mut seen = stamp_at(&self.path).await;
        loop {
            if seen == Some(self.state.load().stamp) && !self.writer.is_writing() {
                return true;
            }
            if Instant::now() >= until {
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

/// The stamp of what is at `path` now; `None` when there is nothing that could be looked at.
pub(super) async fn stamp_at(path: &Path) -> Option<Stamp> {
    let path = path.to_owned();
    tokio::task::spawn_blocking(move || Stamp::at(&path)).await.ok()?.ok()
}
