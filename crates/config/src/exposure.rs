//! Finds files with secrets that every user of this host can read.
//!
//! A file that its group can read is not reported: certificate tools share keys through a group.

use std::fs;
use std::ops::Range;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::read::Table;

/// "Read" among the permissions of all other users.
const OTHERS_READ: u32 = 0o004;
/// "Search" among the permissions of all other users, for a folder.
const OTHERS_SEARCH: u32 = 0o001;

/// Warns when every user of this host can read the file at `path`, which the key `key` at `span` names.
pub(crate) fn warn(table: &Table<'_>, path: &Path, key: &str, span: Range<usize>) {
    if others_can_read(path) {
        let message = format!("every user of this host can read {}", path.display());
        let help = format!("run `chmod o= {}`", path.display());
        table.problems.warning(key, span, message, help);
    }
}

/// Returns whether other users than the owner and the group can read the file: its mode allows it, and so do the folders
/// above it, symbolic links resolved.
fn others_can_read(path: &Path) -> bool {
    let Ok(path) = path.canonicalize() else { return false };
    let allows = |path: &Path, bit: u32| {
        fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & bit != 0)
    };
    allows(&path, OTHERS_READ) && path.ancestors().skip(1).all(|folder| allows(folder, OTHERS_SEARCH))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mode_of_the_file_and_of_the_folders_above_it_decide() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("key.pem");
        let link = folder.path().join("link.pem");
        fs::write(&file, "secret").expect("a file");
        std::os::unix::fs::symlink(&file, &link).expect("a link");
        for (folder_mode, file_mode, expected) in [
            (0o755, 0o644, true),
            (0o711, 0o604, true),
            (0o755, 0o640, false),
            (0o755, 0o600, false),
            (0o700, 0o644, false),
            (0o750, 0o644, false),
        ] {
            fs::set_permissions(&file, fs::Permissions::from_mode(file_mode)).expect("a mode");
            fs::set_permissions(folder.path(), fs::Permissions::from_mode(folder_mode)).expect("a mode");
            for path in [&file, &link] {
                assert_eq!(others_can_read(path), expected, "{folder_mode:o} {file_mode:o}");
            }
        }
        assert!(!others_can_read(&folder.path().join("missing")));
    }
}
