//! Replaces a file so that a crash at any instant leaves either the old file or the new one, complete.
//!
//! The steps: create a temporary file beside the old one, write it, sync it, exchange it with the old file, sync the
//! folder, remove the old file. The new file keeps the old mode and owner. The next write removes what a crash left.
//!
//! The files are exchanged instead of renamed, because another program may save between the last check and the rename,
//! or may have the old file open and write to it a moment later. After an exchange the old file can still be compared
//! with what was read, and is put back if it differs. On a file system without exchange (NFS), the last check must do.

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

/// How a replacement ended.
#[derive(Debug)]
pub(super) enum ReplaceOutcome {
    /// The new file is in place and survives a crash.
    Durable(Stamp),
    /// The new file is in place, but a crash may bring the old one back.
    Visible(Stamp, io::Error),
    /// Another program changed the file after it was read. That program's version is in place.
    Overtaken,
}

/// The version of the old file that was read.
#[derive(Clone, Copy)]
pub(super) struct ReadVersion<'a> {
    pub(super) stamp: Stamp,
    pub(super) text: &'a [u8],
}

/// Replaces `old`, last read as `read`, with `text`. The caller has resolved links. Blocks.
///
/// # Errors
/// The error of the first step that failed. The old file is unchanged.
pub(super) fn replace(
    old: &Path,
    read: ReadVersion<'_>,
    text: &[u8],
    step_hook: &dyn Fn(WriteStep) -> io::Result<()>,
) -> io::Result<ReplaceOutcome> {
    let folder = match old.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let temporary = TemporaryFile(temporary_path(folder, old));
    let metadata = std::fs::metadata(old)?;
    step_hook(WriteStep::Create)?;
    let mut file = create(&temporary.0)?;
    step_hook(WriteStep::Write)?;
    file.write_all(text)?;
    keep_owner_and_mode(&file, &metadata)?;
    step_hook(WriteStep::Sync)?;
    file.sync_all()?;
    step_hook(WriteStep::Look)?;
    if Stamp::at(old)? != read.stamp {
        return Ok(ReplaceOutcome::Overtaken);
    }
    step_hook(WriteStep::Rename)?;
    let is_exchanged = put_in_place(&temporary.0, old)?;
    if is_exchanged && !Stamp::at(&temporary.0).is_ok_and(|stamp| stamp.is_same_version(read.stamp)) {
        return put_back(&temporary.0, old, &file);
    }
    // After the exchange, because it may set the status change time.
    let stamp = Stamp::of(&file.metadata()?);
    let synced = step_hook(WriteStep::SyncFolder).and_then(|()| File::open(folder)?.sync_all());
    // Compared again, by content: a program that had the file open during the exchange has had time to write.
    if is_exchanged && !has_content(&temporary.0, read.text) {
        return put_back(&temporary.0, old, &file);
    }
    // Another program may already have saved over the new file without having read it.
    if !Stamp::at(old).is_ok_and(|now| now.is_same_version(stamp)) {
        return Ok(ReplaceOutcome::Overtaken);
    }
    Ok(match synced {
        Ok(()) => ReplaceOutcome::Durable(stamp),
        Err(error) => ReplaceOutcome::Visible(stamp, error),
    })
}

/// Moves `new` to `old`. Returns `true` if the files were exchanged, `false` if the old one is gone.
fn put_in_place(new: &Path, old: &Path) -> io::Result<bool> {
    match renameat_with(CWD, new, CWD, old, RenameFlags::EXCHANGE) {
        Ok(()) => Ok(true),
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => std::fs::rename(new, old).map(|()| false),
        Err(error) => Err(error.into()),
    }
}

/// Undoes the exchange, unless another program has saved a new file there since.
fn put_back(temporary: &Path, old: &Path, ours: &File) -> io::Result<ReplaceOutcome> {
    let ours = Stamp::of(&ours.metadata()?);
    if Stamp::at(old).is_ok_and(|stamp| stamp.is_same_file(ours)) {
        renameat_with(CWD, temporary, CWD, old, RenameFlags::EXCHANGE)?;
    }
    Ok(ReplaceOutcome::Overtaken)
}

/// Returns whether the file holds exactly `text`.
fn has_content(path: &Path, text: &[u8]) -> bool {
    let mut content = Vec::with_capacity(text.len() + 1);
    let limit = text.len() as u64 + 1;
    let read = File::open(path).and_then(|file| file.take(limit).read_to_end(&mut content));
    read.is_ok() && content == text
}

/// The temporary path: it holds the new file first, and the old one after the exchange. Removed on drop.
struct TemporaryFile(PathBuf);

// === impl TemporaryFile ===

impl Drop for TemporaryFile {
    fn drop(&mut self) {
        // Without an exchange the path is gone already. If it cannot be removed, the next write tries again.
        let _ = std::fs::remove_file(&self.0);
    }
}

fn temporary_path(folder: &Path, old: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(old.file_name().unwrap_or_default());
    name.push(".pointsman-new");
    folder.join(name)
}

/// Creates a file that only this user can read until it gets its mode. A leftover of a crash is removed, not opened, so
/// that a link planted there is not followed.
fn create(path: &Path) -> io::Result<File> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// Copies the old file's owner and mode. The owner comes first, because changing it clears set-id bits.
fn keep_owner_and_mode(file: &File, old: &Metadata) -> io::Result<()> {
    let new = file.metadata()?;
    if (new.uid(), new.gid()) != (old.uid(), old.gid()) {
        let uid = Uid::from_raw(old.uid());
        let gid = Gid::from_raw(old.gid());
        // Only root may change the owner; a member of the group may set the group.
        let kept = rustix::fs::fchown(file, Some(uid), Some(gid));
        if let Err(error) = kept.or_else(|_| rustix::fs::fchown(file, None, Some(gid))) {
            tracing::warn!(uid = old.uid(), gid = old.gid(), %error, "cannot keep the mapping file's owner");
        }
    }
    file.set_permissions(Permissions::from_mode(old.mode() & 0o7777))
}
