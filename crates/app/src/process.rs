//! What the process asks of the system at its start.

use observe::metrics::facts::Process;
use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit};

/// Descriptors that a session can need: two sockets, and two pipes while bytes are spliced.
const PER_SESSION: u64 = 6;

/// Raises the soft limit of descriptors to the hard one, and logs what that is good for.
pub(crate) fn raise_descriptors() {
    let before = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: before.maximum, maximum: before.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "the limit of open files could not be raised");
    }
    match getrlimit(Resource::Nofile).current {
        Some(limit) => tracing::info!(limit, sessions = limit / PER_SESSION, "open files"),
        None => tracing::info!("open files: no limit"),
    }
}

/// Keeps credentials out of core dumps and away from debuggers of other processes.
pub(crate) fn forbid_dumps() {
    if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        tracing::warn!(%error, "core dumps could not be switched off: one would hold credentials");
    }
}

/// What the process uses; `None` where the system does not tell.
pub(crate) fn usage() -> Option<Process> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let kibibytes = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next());
    Some(Process {
        resident_bytes: kibibytes?.parse::<u64>().ok()?.saturating_mul(1024),
        descriptors: descriptors()?,
        max_descriptors: getrlimit(Resource::Nofile).current,
    })
}

/// Newer kernels (6.2) tell the number as the folder's size; else the folder is read.
fn descriptors() -> Option<u64> {
    const OPEN: &str = "/proc/self/fd";
    let size = std::fs::metadata(OPEN).ok()?.len();
    if size > 0 {
        return Some(size);
    }
    u64::try_from(std::fs::read_dir(OPEN).ok()?.count()).ok()
}
