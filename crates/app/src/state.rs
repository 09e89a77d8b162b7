//! The folder for what has to outlive the process.

use std::io;
use std::path::{Path, PathBuf};

use config::plan::Plan;
use rustix::fs::{Access, access};

/// The plan's folder, made if it was asked for by name. Where none was, and the usual one cannot be written, the
/// configuration's own folder takes its place, with a warning.
///
/// # Errors
/// What the system says of the folder that was asked for.
pub(crate) fn folder(plan: &Plan) -> io::Result<PathBuf> {
    let folder = &plan.server.state_dir;
    if plan.server.state_dir_is_set {
        std::fs::create_dir_all(folder)?;
    }
    match access(folder, Access::WRITE_OK | Access::EXEC_OK) {
        Ok(()) => Ok(folder.clone()),
        Err(error) if plan.server.state_dir_is_set => Err(error.into()),
        Err(error) => {
            let beside = plan.path.parent().filter(|parent| !parent.as_os_str().is_empty());
            let beside = beside.unwrap_or_else(|| Path::new(".")).to_owned();
            tracing::warn!(
                usual = %folder.display(),
                %error,
                instead = %beside.display(),
                "the state folder cannot be written, so the configuration's is used: create it, or set server.state_dir"
            );
            Ok(beside)
        }
    }
}
