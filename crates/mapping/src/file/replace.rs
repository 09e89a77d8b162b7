//! A new file in the place of the old one, so that a crash at any instant leaves the one or the other, whole.
//!
//! New file beside the old → written → synced → exchanged with the old → folder synced → old one removed. Mode
//! and owner are the old file's. A leftover of a crash is overwritten by the next write.
//!
//! Exchanged, not renamed over: a hand may save between our last look and the rename, or have the old file open
//! and write to it a moment later. The old file is still there to be looked at, and is put back when it is
//! not what was read. Where a file system has no exchange (NFS), the last look has to do.

use std::ffi::OsString;
use std::fs::{File, Metadata, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Gid, RenameFlags, Uid, renameat_with};
use rustix::io::Errno;

use super::read::Stamp;

/// A step on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WriteStep {
    Create,
    Write,
    Sync,
    Look,
    Rename,
    SyncFolder,
}

/// How far a replacement came.
#[derive(Debug)]
pub(super) enum ReplaceOutcome {
    /// The new file is there and stays.
    Durable(Stamp),
    /// The new file is there, but a crash may bring the old one back.
    Visible(Stamp, io::Error),
    /// Somebody else changed the old file after it was read; nothing was changed.
    Overtaken,
}

/// What was read of the old file.
#[derive(Clone, Copy)]
pub(super) struct ReadVersion<'a> {
    pub(super) stamp: Stamp,
    pub(super) text: &'a [u8],
}

/// Replaces `old`, of which `read` was read, links resolved by the caller. Blocks.
///
/// # Errors
/// What the system said at the first step that failed; the old file is as it was.
pub(super) fn replace(
    old: &Path,
    read: ReadVersion<'_>,
    text: &[u8],
    before: &dyn Fn(WriteStep) -> io::Result<()>,
) -> io::Result<ReplaceOutcome> {
    let folder =
        old.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let temporary = TemporaryFile(temporary_path(folder, old));
    let metadata = std::fs::metadata(old)?;
    before(WriteStep::Create)?;
    let mut file = create(&temporary.0)?;
    before(WriteStep::Write)?;
    file.write_all(text)?;
    keep_owner_and_mode(&file, &metadata)?;
    before(WriteStep::Sync)?;
    file.sync_all()?;
    before(WriteStep::Look)?;
    if Stamp::at(old)? != read.stamp {
        return Ok(ReplaceOutcome::Overtaken);
    }
    before(WriteStep::Rename)?;
    let is_exchanged = put_in_place(&temporary.0, old)?;
    if is_exchanged && !Stamp::at(&temporary.0).is_ok_and(|stamp| stamp.is_same_version(read.stamp)) {
        return put_back(&temporary.0, old, &file);
    }
    // Afterwards, since renaming may count as a change of status.
    let stamp = Stamp::of(&file.metadata()?);
    let synced = before(WriteStep::SyncFolder).and_then(|()| File::open(folder)?.sync_all());
    // Once more, and by its content: who had it open when it was exchanged has had the time to write.
    if is_exchanged && !has_content(&temporary.0, read.text) {
        return put_back(&temporary.0, old, &file);
    }
    // A hand may have saved over the new file already, without having seen it.
    if !Stamp::at(old).is_ok_and(|now| now.is_same_version(stamp)) {
        return Ok(ReplaceOutcome::Overtaken);
    }
    Ok(match synced {
        Ok(()) => ReplaceOutcome::Durable(stamp),
        Err(error) => ReplaceOutcome::Visible(stamp, error),
    })
}

/// Puts `new` where `old` is; tells whether `old` is now where `new` was, or gone.
fn put_in_place(new: &Path, old: &Path) -> io::Result<bool> {
    match renameat_with(CWD, new, CWD, old, RenameFlags::EXCHANGE) {
        Ok(()) => Ok(true),
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => std::fs::rename(new, old).map(|()| false),
        Err(error) => Err(error.into()),
    }
}

/// Undoes an exchange, unless somebody has put a file of their own there since: that one is the newest.
fn put_back(temporary: &Path, old: &Path, ours: &File) -> io::Result<ReplaceOutcome> {
    let ours = Stamp::of(&ours.metadata()?);
    if Stamp::at(old).is_ok_and(|stamp| stamp.is_same_file(ours)) {
        renameat_with(CWD, temporary, CWD, old, RenameFlags::EXCHANGE)?;
    }
    Ok(ReplaceOutcome::Overtaken)
}

/// Whether the file holds exactly `text`.
fn has_content(path: &Path, text: &[u8]) -> bool {
    let mut content = Vec::with_capacity(text.len() + 1);
    let limit = text.len() as u64 + 1;
    let read = File::open(path).and_then(|file| file.take(limit).read_to_end(&mut content));
    read.is_ok() && content == text
}

/// What stands at the new file's first path: it, or the old one after the exchange. Dropping removes it.
struct TemporaryFile(PathBuf);

// === impl TemporaryFile ===

impl Drop for TemporaryFile {
    fn drop(&mut self) {
        // Where there is no exchange it is gone; when it cannot be removed, the next write tries again.
        let _ = std::fs::remove_file(&self.0);
    }
}

fn temporary_path(folder: &Path, old: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(old.file_name().unwrap_or_default());
    name.push(".pointsman-new");
    folder.join(name)
}

/// A file that only we can read until it has its mode. One that is there is a crash's leftover: it is removed,
/// not opened, so that a link put in its place leads nowhere.
fn create(path: &Path) -> io::Result<File> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// Gives `file` what the old one had. Owner first: changing it clears set-id bits.
fn keep_owner_and_mode(file: &File, old: &Metadata) -> io::Result<()> {
    let new = file.metadata()?;
    if (new.uid(), new.gid()) != (old.uid(), old.gid()) {
        let uid = Uid::from_raw(old.uid());
        let gid = Gid::from_raw(old.gid());
        // Only root may give a file away; the group may be kept by its members.
        let kept = rustix::fs::fchown(file, Some(uid), Some(gid));
        if let Err(error) = kept.or_else(|_| rustix::fs::fchown(file, None, Some(gid))) {
            tracing::warn!(uid = old.uid(), gid = old.gid(), %error, "cannot keep the mapping file's owner");
        }
    }
    file.set_permissions(Permissions::from_mode(old.mode() & 0o7777))
}
