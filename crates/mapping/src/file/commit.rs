//! Writes all waiting changes in one rewrite of the file.
//!
//! The caller that gets the file's lock writes everything that waits, and answers every other caller. The file is read
//! first each time, so that a manual edit is merged. What must never happen: an invalid edit is overwritten, or a change
//! is applied although its caller has stopped waiting before the rewrite.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};

use super::file_state::{FileState, SharedFile, WriteRequest};
use super::read::Snapshot;
use super::replace::{ReadVersion, ReplaceOutcome, replace};
use crate::edit::TextEdits;
use crate::parse::MAX_FILE_BYTES;
use crate::rules::Rules;
use crate::store::{Applied, Change, LoadError, StoreError};
use crate::table::Table;

/// The folder, locked against other processes; `None` if it cannot be locked, as on some network file systems.
type FolderLock = Result<Option<File>, StoreError>;

/// A request whose changes are in the new file, and the answer that it gets once the file is in place.
struct MergedRequest {
    request: WriteRequest,
    applied: Applied,
}

/// How long to wait for another process that has locked the folder.
const MAX_LOCK_WAIT: Duration = Duration::from_secs(5);

/// How often to try the lock again.
const LOCK_POLL: Duration = Duration::from_millis(20);

/// How often another program may change the file between our read and our rename before the write fails.
const MAX_ROUNDS: usize = 3;

/// How long a write waits for an edit in progress.
const MAX_QUIET_WAIT: Duration = Duration::from_secs(5);

/// Locks the file's folder, because two processes may write during an upgrade or beside another proxy.
async fn lock_folder(path: &Path) -> FolderLock {
    let deadline = Instant::now() + MAX_LOCK_WAIT;
    loop {
        match try_lock_folder(path) {
            Ok(Some(folder)) => return Ok(Some(folder)),
            Ok(None) if Instant::now() < deadline => sleep(LOCK_POLL).await,
            Ok(None) => return Err(StoreError::Busy("another process is writing the mapping file")),
            Err(error) => {
                tracing::debug!(file = %path.display(), %error, "the mapping file's folder cannot be locked");
                return Ok(None);
            }
        }
    }
}

/// Returns `None` while another process holds the lock.
fn try_lock_folder(path: &Path) -> io::Result<Option<File>> {
    let real = path.canonicalize()?;
    let folder = File::open(real.parent().unwrap_or_else(|| Path::new("/")))?;
    match flock(&folder, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(folder)),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

// === impl SharedFile ===

impl SharedFile {
    /// Writes everything that waits, and answers every request. The caller holds the file's lock.
    pub(super) async fn commit(self: Arc<Self>) {
        let claim = lock_folder(&self.path).await;
        let mut batch = std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        if let Err(error) = &claim {
            return answer_all(batch, error);
        }
        for _ in 0..MAX_ROUNDS {
            let is_quiet = self.wait_until_quiet(MAX_QUIET_WAIT).await;
            // A caller that stopped waiting was promised nothing and does not expect the change later.
            batch.retain(|request| !request.reply.is_closed());
            if !is_quiet {
                break;
            }
            let inner = Arc::clone(&self);
            // Only a panic ends the task early, and it drops the requests with their reply channels.
            batch = spawn_blocking(move || inner.commit_once(batch)).await.unwrap_or_default();
            if batch.is_empty() {
                return;
            }
        }
        let error = StoreError::Busy("the mapping file is being edited at this moment");
        answer_all(batch, &error);
    }

    /// Runs one round. Returns the batch if the file changed meanwhile.
    fn commit_once(&self, batch: Vec<WriteRequest>) -> Vec<WriteRequest> {
        if batch.is_empty() {
            return batch;
        }
        let state = self.state.load_full();
        let read = self.read_to_rewrite(&state).and_then(|it| self.not_emptied(it, &state));
        let mut snapshot = match read {
            Ok(snapshot) => snapshot,
            Err(error) => {
                let error = error.into();
                answer_all(batch, &error);
                return Vec::new();
            }
        };
        let is_external = snapshot.stamp != state.stamp;
        let (merged, edits) = merge(batch, &mut snapshot.table, &state.rules);
        let Some(edits) = edits else {
            self.finish(snapshot, &state.rules, is_external);
            answer_applied(merged);
            return Vec::new();
        };
        let text = edits.apply(&snapshot.text, &state.rules);
        match self.put(&text, ReadVersion { stamp: snapshot.stamp, text: &snapshot.text }) {
            Ok(ReplaceOutcome::Overtaken) => {
                return merged.into_iter().map(|merged| merged.request).collect();
            }
            Ok(ReplaceOutcome::Durable(stamp)) => {
                self.finish(Snapshot { text, stamp, ..snapshot }, &state.rules, is_external);
                answer_applied(merged);
            }
            Ok(ReplaceOutcome::Visible(stamp, error)) => {
                self.finish(Snapshot { text, stamp, ..snapshot }, &state.rules, is_external);
                let error = StoreError::NotDurable { path: self.path.clone(), error: Arc::new(error) };
                answer_all(merged.into_iter().map(|merged| merged.request), &error);
            }
            Err(error) => answer_all(merged.into_iter().map(|merged| merged.request), &error),
        }
        Vec::new()
    }

    /// Takes over the file as written.
    fn finish(&self, snapshot: Snapshot, rules: &Arc<Rules>, is_external: bool) {
        if is_external {
            tracing::info!(file = %self.path.display(), "merged a manual edit of the mapping file");
        }
        drop(self.take_over(FileState::of(snapshot, Arc::clone(rules)), is_external));
    }

    /// Replaces the file at the path, or the file that a link there leads to.
    fn put(&self, text: &[u8], read: ReadVersion<'_>) -> Result<ReplaceOutcome, StoreError> {
        if text.len() as u64 > MAX_FILE_BYTES {
            return Err(LoadError::TooLarge { path: self.path.clone(), max: MAX_FILE_BYTES }.into());
        }
        let put = self.path.canonicalize().and_then(|real| replace(&real, read, text, &*self.step_hook));
        match put {
            // Removed since it was read: the next round reads again and reports that.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(ReplaceOutcome::Overtaken),
            put => put.map_err(|error| self.write_error(error)),
        }
    }

    fn write_error(&self, error: io::Error) -> StoreError {
        let path = self.path.clone();
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StoreError::NoSpace(path),
            io::ErrorKind::ReadOnlyFilesystem
            | io::ErrorKind::PermissionDenied
            | io::ErrorKind::ResourceBusy => StoreError::ReadOnly(
                format!(
                    "{} cannot be replaced ({error}): its folder must be writable, and the file must not be a mount \
                     point itself",
                    path.display()
                )
                .into(),
            ),
            _ => StoreError::Io { path, error: Arc::new(error) },
        }
    }
}

/// Applies the changes of each valid request to the table, and answers the invalid ones. Returns no edits if there is
/// nothing to write.
fn merge(
    batch: Vec<WriteRequest>,
    table: &mut Table,
    rules: &Rules,
) -> (Vec<MergedRequest>, Option<TextEdits>) {
    let mut merged = Vec::with_capacity(batch.len());
    let mut edits = TextEdits::default();
    let mut total = 0;
    for request in batch {
        match change(&request.changes, table, rules, &mut edits) {
            Ok(applied) => {
                total += applied.changed;
                merged.push(MergedRequest { request, applied });
            }
            Err(error) => drop(request.reply.send(Err(error))),
        }
    }
    (merged, (total > 0).then_some(edits))
}

/// Applies one request. All of its changes are validated before any is applied.
fn change(
    changes: &[Change],
    table: &mut Table,
    rules: &Rules,
    edits: &mut TextEdits,
) -> Result<Applied, StoreError> {
    let validated: Result<Vec<_>, _> = changes.iter().map(|change| validate(change, rules)).collect();
    let mut applied = Applied::default();
    for (key, destination) in validated? {
        let is_change = match destination {
            Some(index) => table.set(&key, index).map_err(|_| StoreError::Busy("the table is full"))?,
            None => table.remove(&key),
        };
        if is_change {
            applied.changed += 1;
            edits.push(&key, destination.and_then(|index| table.name(index).cloned()));
        }
    }
    Ok(applied)
}

fn validate<'c>(
    change: &'c Change,
    rules: &Rules,
) -> Result<(std::borrow::Cow<'c, str>, Option<u16>), StoreError> {
    let key = rules
        .writable_key(&change.identifier)
        .map_err(|reason| StoreError::BadIdentifier { identifier: Arc::clone(&change.identifier), reason })?;
    let Some(name) = &change.destination else {
        return Ok((key, None));
    };
    let index = rules.index_of(name).ok_or_else(|| StoreError::UnknownDestination {
        found: Arc::clone(name),
        declared: rules.destinations().to_vec(),
    })?;
    Ok((key, Some(index)))
}

fn answer_applied(merged: Vec<MergedRequest>) {
    for MergedRequest { request, applied } in merged {
        // An error means that the caller no longer waits.
        let _ = request.reply.send(Ok(applied));
    }
}

fn answer_all(requests: impl IntoIterator<Item = WriteRequest>, error: &StoreError) {
    for request in requests {
        let _ = request.reply.send(Err(error.clone()));
    }
}
