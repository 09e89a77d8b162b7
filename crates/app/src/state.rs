//! The folder for state that outlives the process.
//!
//! Other users of the host must not read it: the audit log names accounts.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use plan::Plan;
use rustix::fs::{Access, access};

/// The mode of a folder that only its owner can use.
const PRIVATE: u32 = 0o700;

/// Returns the first of the plan's folders that can be written, with a warning if it is not the first. A folder that the
/// configuration names is created for its owner alone.
///
/// # Errors
/// The system's error about the first folder.
pub(crate) fn folder(plan: &Plan) -> io::Result<PathBuf> {
    if plan.server.state_dir_is_set {
        create(&plan.server.state_dir)?;
    }
    let mut folders = plan.state_folders().into_iter();
    let usual = folders.next().unwrap_or(&plan.server.state_dir);
    let Err(error) = may_write(usual) else {
        warn_if_shared(usual);
        return Ok(usual.to_owned());
    };
    let Some(instead) = folders.find(|folder| may_write(folder).is_ok()) else {
        return Err(error.into());
    };
    tracing::warn!(
        usual = %usual.display(),
        %error,
        instead = %instead.display(),
        "the state folder cannot be written, so the configuration's is used: create it, or set server.state_dir"
    );
    Ok(instead.to_owned())
}

/// Returns the first of the plan's folders that can be written, without creating one.
pub(crate) fn existing(plan: &Plan) -> Option<PathBuf> {
    plan.state_folders().into_iter().find(|folder| may_write(folder).is_ok()).map(Path::to_owned)
}

fn may_write(folder: &Path) -> rustix::io::Result<()> {
    access(folder, Access::WRITE_OK | Access::EXEC_OK)
}

fn create(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(PRIVATE).create(folder)
}

fn warn_if_shared(folder: &Path) {
    if is_shared(folder) {
        tracing::warn!(
            folder = %folder.display(),
            "every user of this host can use the state folder: run `chmod 0700` on it"
        );
    }
}

/// Returns whether other users than the owner and the group can use `folder`.
fn is_shared(folder: &Path) -> bool {
    fs::metadata(folder).is_ok_and(|metadata| metadata.permissions().mode() & 0o007 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_is_created_for_its_owner_alone() {
        let parent = tempfile::tempdir().expect("a folder");
        let folder = parent.path().join("lib").join("pointsman");
        create(&folder).expect("created");
        let mode = fs::metadata(&folder).expect("a folder").permissions().mode() & 0o777;
        assert_eq!(mode, PRIVATE);
        assert!(!is_shared(&folder));
        create(&folder).expect("an existing folder is no error");
        for (mode, expected) in [(0o755, true), (0o701, true), (0o750, false)] {
            fs::set_permissions(&folder, fs::Permissions::from_mode(mode)).expect("a mode");
            assert_eq!(is_shared(&folder), expected, "{mode:o}");
        }
    }
}
