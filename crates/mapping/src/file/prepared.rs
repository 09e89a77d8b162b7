//! A reload of the mapping file under new rules, in three parts: read and validate, take effect in an instant, clean up.
//!
//! The split exists so that the slow parts do not run while a new plan takes effect.

use std::sync::Arc;

use tokio::sync::OwnedMutexGuard;

use super::file_state::{FileEdit, FileState, SharedFile};
use crate::store::Loaded;

/// The file as read under new rules. It holds the file's lock, so nothing else reads or writes the file meanwhile.
#[derive(Debug)]
#[must_use = "nothing has taken effect yet"]
pub struct Prepared {
    pub(super) inner: Arc<SharedFile>,
    pub(super) state: FileState,
    pub(super) guard: OwnedMutexGuard<()>,
}

/// A file that has taken effect, with the table that it replaced.
#[derive(Debug)]
#[must_use = "call `settle` on a thread that may block"]
pub struct Taken {
    inner: Arc<SharedFile>,
    edit: FileEdit,
    loaded: Loaded,
    guard: OwnedMutexGuard<()>,
}

// === impl Prepared ===

impl Prepared {
    /// Answers lookups from the new table from now on. Takes no longer than the edit listener does.
    pub fn take_over(self) -> Taken {
        let Self { inner, state, guard } = self;
        let loaded = state.loaded;
        let edit = inner.take_over(state, true);
        Taken { inner, edit, loaded, guard }
    }
}

// === impl Taken ===

impl Taken {
    /// Logs the reload and frees the old table, which takes milliseconds for a large one. Blocks.
    pub fn settle(self) -> Loaded {
        let Self { inner, edit, loaded, guard } = self;
        inner.log_loaded(loaded);
        drop(edit);
        drop(guard);
        loaded
    }
}
