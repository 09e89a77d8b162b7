//! A new file in the place of the old one, so that a crash at any instant leaves the one or the other, whole.
//!
//! New file beside the old → written → synced → renamed over the old → folder synced. Mode and owner are the
//! old file's. A leftover of a crash is overwritten by the next write.

use std::ffi::OsString;
use std::fs::{File, Metadata, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Gid, Uid};

use super::read::Stamp;

/// A step on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Create,
    Write,
    Sync,
    Rename,
    SyncFolder,
}

/// How far a replacement came.
#[derive(Debug)]
pub(super) enum Replaced {
    /// The new file is there and stays.
    Durable(Stamp),
    /// The new file is there, but a crash may bring the old one back.
    Visible(Stamp, io::Error),
    /// Somebody else changed the old file after it was read; nothing was changed.
    Overtaken,
}

/// Replaces `old`, which was read as `read`, links resolved by the caller. Blocks.
///
/// # Errors
/// What the system said at the first step that failed; the old file is as it was.
pub(super) fn replace(
    old: &Path,
    read: Stamp,
    text: &[u8],
    before: &dyn Fn(Step) -> io::Result<()>,
) -> io::Result<Replaced> {
    let folder =
        old.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let scrap = Scrap(scrap_path(folder, old));
    let metadata = std::fs::metadata(old)?;
    before(Step::Create)?;
    let mut file = create(&scrap.0)?;
    before(Step::Write)?;
    file.write_all(text)?;
    keep_owner_and_mode(&file, &metadata)?;
    before(Step::Sync)?;
    file.sync_all()?;
    before(Step::Rename)?;
    if Stamp::at(old)? != read {
        return Ok(Replaced::Overtaken);
    }
    std::fs::rename(&scrap.0, old)?;
    // Afterwards, since renaming may count as a change of status.
    let stamp = Stamp::of(&file.metadata()?);
    let synced = before(Step::SyncFolder).and_then(|()| File::open(folder)?.sync_all());
    Ok(match synced {
        Ok(()) => Replaced::Durable(stamp),
        Err(error) => Replaced::Visible(stamp, error),
    })
}

/// The new file until it is renamed. Dropping removes what is left of it.
struct Scrap(PathBuf);

// === impl Scrap ===

impl Drop for Scrap {
    fn drop(&mut self) {
        // After the rename there is none; when it cannot be removed, the next write tries again.
        let _ = std::fs::remove_file(&self.0);
    }
}

fn scrap_path(folder: &Path, old: &Path) -> PathBuf {
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
        let (uid, gid) = (Uid::from_raw(old.uid()), Gid::from_raw(old.gid()));
        // Only root may give a file away; the group may be kept by its members.
        let kept = rustix::fs::fchown(file, Some(uid), Some(gid));
        if let Err(error) = kept.or_else(|_| rustix::fs::fchown(file, None, Some(gid))) {
            tracing::warn!(uid = old.uid(), gid = old.gid(), %error, "cannot keep the mapping file's owner");
        }
    }
    file.set_permissions(Permissions::from_mode(old.mode() & 0o7777))
}
