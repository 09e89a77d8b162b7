//! The folder for what has to outlive the process.

use std::io;
use std::path::{Path, PathBuf};

use plan::Plan;
use rustix::fs::{Access, access};

/// The first of the plan's folders that can be written, with a warning where it is not the first; one that was
/// asked for by name is made.
///
/// # Errors
/// What the system says of the first.
pub(crate) fn folder(plan: &Plan) -> io::Result<PathBuf> {
    if plan.server.state_dir_is_set {
        std::fs::create_dir_all(&plan.server.state_dir)?;
    }
    let may_write = |folder: &Path| access(folder, Access::WRITE_OK | Access::EXEC_OK);
    let mut folders = plan.state_folders().into_iter();
    let usual = folders.next().unwrap_or(&plan.server.state_dir);
    let Err(error) = may_write(usual) else {
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
