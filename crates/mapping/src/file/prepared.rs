//! The same file by other rules: read and judged beforehand, taken over in an instant, cleared up behind it.

use std::sync::Arc;

use tokio::sync::OwnedMutexGuard;

use super::file_state::{FileEdit, FileState, SharedFile};
use crate::store::Loaded;

/// The file as it is by other rules, and the turn in which it was read.
#[derive(Debug)]
#[must_use = "nothing is taken over yet"]
pub struct Prepared {
    pub(super) inner: Arc<SharedFile>,
    pub(super) state: FileState,
    pub(super) guard: OwnedMutexGuard<()>,
}

/// A file that was taken over, with the table that it replaced.
#[derive(Debug)]
#[must_use = "to be settled where nobody waits"]
pub struct Taken {
    inner: Arc<SharedFile>,
    edit: FileEdit,
    loaded: Loaded,
    guard: OwnedMutexGuard<()>,
}

// === impl Prepared ===

impl Prepared {
    /// From now on lookups are answered by it. Takes no longer than an edit's listener.
    pub fn take_over(self) -> Taken {
        let Self { inner, state, guard } = self;
        let loaded = state.loaded;
        let edit = inner.take_over(state, true);
        Taken { inner, edit, loaded, guard }
    }
}

// === impl Taken ===

impl Taken {
    /// Logs it, and gives the old table back, which takes milliseconds where it was large. Blocks.
    pub fn settle(self) -> Loaded {
        let Self { inner, edit, loaded, guard } = self;
        inner.log_loaded(loaded);
        drop((edit, guard));
        loaded
    }
}
