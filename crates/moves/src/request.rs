//! What can be asked for.

use std::sync::Arc;
use std::time::Duration;

use compare::Tolerance;
use plan::{Moves as MoveSettings, Name};

use crate::move_id::MoveId;

/// A group of accounts that is to be moved in one step: usually one account with all of its names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MoveRequest {
    /// The accounts, in any spelling. All of them must be at the same destination now.
    pub accounts: Vec<Arc<str>>,
    /// Where they go.
    pub target: Name,
    /// How.
    pub options: MoveOptions,
    /// The move that this one takes back.
    pub rollback_of: Option<MoveId>,
}

/// How a move is carried out. Kept in the journal, so that a queued move does not change with a reload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MoveOptions {
    /// The command that copies what is left once no client writes any more. `None`: nothing is copied.
    pub sync: Option<String>,
    /// The command that checks the accounts at the target; its failure takes the move back.
    pub verify: Option<String>,
    /// How long logins may be held, from the hold to the flip.
    pub hold: Duration,
    /// How long a transfer in progress may take to finish before its session is ended.
    pub grace: Duration,
    /// Runs `sync` even onto a target that the accounts have been using.
    pub force: bool,
    /// Takes accounts back without the data that they have received at the target.
    pub leave_behind: bool,
    /// Compares the mailboxes before the flip. `None`: no.
    pub compare: Option<CompareOptions>,
}

/// How mailboxes are compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CompareOptions {
    /// Which differences stop the move.
    pub tolerance: Tolerance,
    /// Whether to find out who shares folders with the account.
    pub with_shared: bool,
}

// === impl MoveRequest ===

impl MoveRequest {
    /// The most requests in one batch.
    pub const MAX_BATCH: usize = 100_000;
}

// === impl MoveOptions ===

impl MoveOptions {
    /// The most bytes of a command. The journal keeps the commands of each move of a batch.
    pub const MAX_COMMAND: usize = 4 * 1_024;

    /// Returns the options that `[moves]` sets.
    #[must_use]
    pub fn of(settings: &MoveSettings) -> Self {
        Self {
            sync: settings.sync.clone(),
            verify: settings.verify.clone(),
            hold: settings.hold,
            grace: settings.grace,
            force: false,
            leave_behind: false,
            compare: None,
        }
    }
}
