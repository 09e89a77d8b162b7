//! Several writes → one new file.
//!
//! Whoever gets the turn writes everything that waits; the others find their answer when they wake. The file
//! is read first, whatever we believe of it: a hand's edit is merged, and a bad one is not overwritten.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};

use super::file_state::{FileState, SharedFile, WriteRequest};
use super::read::{self, Snapshot};
use super::replace::{ReadVersion, ReplaceOutcome, replace};
use crate::edit::TextEdits;
use crate::parse::MAX_FILE_BYTES;
use crate::rules::Rules;
use crate::store::{Applied, Change, LoadError, StoreError};
use crate::table::Table;

/// The folder, locked against other processes; `None` where it cannot be locked (some network file systems).
type FolderLock = Result<Option<File>, StoreError>;

/// A request whose changes are in the new file, and what it is told if that gets there.
type Waiting = (oneshot::Sender<Result<Applied, StoreError>>, Applied);

/// How long another process may have the folder.
const MAX_LOCK_WAIT: Duration = Duration::from_secs(5);

/// How often we look whether it still has.
const LOCK_POLL: Duration = Duration::from_millis(20);

/// How often a hand may overtake us between reading and renaming.
const MAX_ROUNDS: usize = 3;

/// How long a write waits for an edit under way to be finished.
const MAX_QUIET_WAIT: Duration = Duration::from_secs(5);

/// Locks the file's folder: during an upgrade, or beside another proxy, two processes may write.
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

/// `None` while another process has it.
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
    /// Writes everything that waits, and answers. Called in one's turn only.
    pub(super) async fn commit(self: Arc<Self>) {
        let claim = lock_folder(&self.path).await;
        let mut batch = std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        if let Err(error) = &claim {
            return answer_all(batch.into_iter().map(|request| request.reply), error);
        }
        for _ in 0..MAX_ROUNDS {
            let is_quiet = self.wait_until_quiet(MAX_QUIET_WAIT).await;
            // Who no longer waits has been promised nothing, and would not expect the change later.
            batch.retain(|request| !request.reply.is_closed());
            if !is_quiet {
                break;
            }
            let inner = Arc::clone(&self);
            // Only a panic ends it early: then nobody is left to be answered.
            batch = spawn_blocking(move || inner.commit_once(batch)).await.unwrap_or_default();
            if batch.is_empty() {
                return;
            }
        }
        let error = StoreError::Busy("the mapping file is being edited at this moment");
        answer_all(batch.into_iter().map(|request| request.reply), &error);
    }

    /// One round; gives the batch back when the file was changed meanwhile.
    fn commit_once(&self, batch: Vec<WriteRequest>) -> Vec<WriteRequest> {
        if batch.is_empty() {
            return batch;
        }
        let state = self.state.load_full();
        let read = read::read(&self.path, &state.rules).and_then(|it| self.not_emptied(it, &state));
        let mut snapshot = match read {
            Ok(snapshot) => snapshot,
            Err(error) => {
                let error = error.into();
                answer_all(batch.into_iter().map(|request| request.reply), &error);
                return Vec::new();
            }
        };
        let is_external = snapshot.stamp != state.stamp;
        let kept: Vec<Vec<Change>> = batch.iter().map(|request| request.changes.clone()).collect();
        let (waiting, edits) = merge(batch, &mut snapshot.table, &state.rules);
        let Some(edits) = edits else {
            self.finish(snapshot, &state.rules, is_external);
            answer_applied(waiting);
            return Vec::new();
        };
        let text = edits.apply(&snapshot.text, &state.rules);
        match self.put(&text, ReadVersion { stamp: snapshot.stamp, text: &snapshot.text }) {
            Ok(ReplaceOutcome::Overtaken) => {
                let requests = waiting.into_iter().zip(kept);
                return requests.map(|((reply, _), changes)| WriteRequest { changes, reply }).collect();
            }
            Ok(ReplaceOutcome::Durable(stamp)) => {
                self.finish(Snapshot { text, stamp, ..snapshot }, &state.rules, is_external);
                answer_applied(waiting);
            }
            Ok(ReplaceOutcome::Visible(stamp, error)) => {
                self.finish(Snapshot { text, stamp, ..snapshot }, &state.rules, is_external);
                let error = StoreError::NotDurable { path: self.path.clone(), error: Arc::new(error) };
                answer_all(waiting.into_iter().map(|(reply, _)| reply), &error);
            }
            Err(error) => answer_all(waiting.into_iter().map(|(reply, _)| reply), &error),
        }
        Vec::new()
    }

    /// Takes over what is in the file now.
    fn finish(&self, snapshot: Snapshot, rules: &Arc<Rules>, is_external: bool) {
        if is_external {
            tracing::info!(file = %self.path.display(), "an edit of the mapping file was merged");
        }
        drop(self.take_over(FileState::of(snapshot, Arc::clone(rules)), is_external));
    }

    /// The new text in the place of the old file, or of the one that a link at our path leads to.
    fn put(&self, text: &[u8], read: ReadVersion<'_>) -> Result<ReplaceOutcome, StoreError> {
        if text.len() as u64 > MAX_FILE_BYTES {
            return Err(LoadError::TooLarge { path: self.path.clone(), max: MAX_FILE_BYTES }.into());
        }
        let put = self.path.canonicalize().and_then(|real| replace(&real, read, text, &*self.before));
        match put {
            // Taken away since it was read: what the next reading says of that is the answer.
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
                    "a new file cannot be put in the place of {} ({error}): its folder must be writable, and it \
                     must not be a mount of its own",
                    path.display()
                )
                .into(),
            ),
            _ => StoreError::Io { path, error: Arc::new(error) },
        }
    }
}

/// Makes the changes of each request that is sound in the table; the others are answered. `None` instead of
/// edits when there is nothing to write.
fn merge(batch: Vec<WriteRequest>, table: &mut Table, rules: &Rules) -> (Vec<Waiting>, Option<TextEdits>) {
    let mut waiting = Vec::with_capacity(batch.len());
    let mut edits = TextEdits::default();
    let mut total = 0;
    for request in batch {
        match change(&request.changes, table, rules, &mut edits) {
            Ok(applied) => {
                total += applied.changed;
                waiting.push((request.reply, applied));
            }
            Err(error) => drop(request.reply.send(Err(error))),
        }
    }
    (waiting, (total > 0).then_some(edits))
}

/// One request: judged as a whole before anything of it is changed.
fn change(
    changes: &[Change],
    table: &mut Table,
    rules: &Rules,
    edits: &mut TextEdits,
) -> Result<Applied, StoreError> {
    let judged: Result<Vec<_>, _> = changes.iter().map(|change| judge(change, rules)).collect();
    let mut applied = Applied::default();
    for (key, destination) in judged? {
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

fn judge<'c>(
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

fn answer_applied(waiting: Vec<Waiting>) {
    for (reply, applied) in waiting {
        // Who no longer waits cannot be told.
        let _ = reply.send(Ok(applied));
    }
}

fn answer_all(
    replies: impl Iterator<Item = oneshot::Sender<Result<Applied, StoreError>>>,
    error: &StoreError,
) {
    for reply in replies {
        let _ = reply.send(Err(error.clone()));
    }
}
