//! A move as the journal has it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use plan::Name;

use crate::move_id::MoveId;
use crate::request::MoveOptions;

/// A move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MoveRecord {
    /// Its number.
    pub id: MoveId,
    /// The batch that it belongs to.
    pub batch: Option<Arc<str>>,
    /// The move that it takes back.
    pub rollback_of: Option<MoveId>,
    /// The accounts, normalised.
    pub accounts: Vec<Arc<str>>,
    /// Where they were.
    pub source: Name,
    /// Where they go.
    pub target: Name,
    /// How.
    pub options: MoveOptions,
    /// The last step that was begun.
    pub step: Step,
    /// How it ended; `None` while it is queued or in progress.
    pub outcome: Option<MoveOutcome>,
    /// Why it failed, or what is worth knowing about its end.
    pub message: Option<String>,
    /// What it cost.
    pub figures: Figures,
    /// When it was accepted.
    pub created: SystemTime,
    /// When it ended.
    pub finished: Option<SystemTime>,
    /// The end of what its commands printed.
    pub output: String,
}

/// What a move cost its accounts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// How long logins were held.
    pub held: Duration,
    /// Sessions that were ended.
    pub sessions_ended: usize,
    /// Logins that waited for the release.
    pub logins_waited: usize,
    /// The longest wait of one of them.
    pub longest_wait: Duration,
}

/// The steps of a move, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// Waits for its turn.
    Queued,
    /// Checks that the accounts can be moved.
    Check,
    /// Holds the logins.
    Hold,
    /// Ends the sessions.
    Drain,
    /// Copies what is left.
    Sync,
    /// Compares the mailboxes, and whether the source has changed since the copy.
    Compare,
    /// Changes the mapping.
    Flip,
    /// Lets the logins go on.
    Release,
    /// Checks the accounts at the target.
    Verify,
    /// Takes the flip back, because the check at the target failed.
    Revert,
}

/// How a move ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MoveOutcome {
    /// The accounts are at the target.
    Done,
    /// The move did not change the mapping. The accounts are at the source, unless the mapping was changed by hand
    /// meanwhile: the message says so.
    Failed,
    /// The same, because the operator asked for it.
    Cancelled,
    /// The accounts were at the target and are at the source again, because the check at the target failed.
    Reverted,
    /// The accounts are at the target, though the check there failed and the move could not be taken back, or the check
    /// was interrupted.
    Unverified,
}

/// How far a batch has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BatchState {
    /// Its name.
    pub name: Arc<str>,
    /// Whether it waits to be resumed.
    pub paused: bool,
    /// Failures after which it pauses; 0 = never.
    pub max_failures: usize,
    /// Moves that wait for their turn.
    pub queued: usize,
    /// Moves in progress.
    pub running: usize,
    /// Moves that ended with their accounts at the target.
    pub done: usize,
    /// Moves that ended in any other way.
    pub not_done: usize,
}

// === impl MoveRecord ===

impl MoveRecord {
    /// Returns whether the move may still change something.
    #[must_use]
    pub const fn is_unfinished(&self) -> bool {
        self.outcome.is_none()
    }
}

// === impl Step ===

impl Step {
    /// Every step, in order.
    pub const ALL: [Self; 10] = [
        Self::Queued,
        Self::Check,
        Self::Hold,
        Self::Drain,
        Self::Sync,
        Self::Compare,
        Self::Flip,
        Self::Release,
        Self::Verify,
        Self::Revert,
    ];

    /// Returns the step's name in the journal, the API, logs and metrics.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Check => "check",
            Self::Hold => "hold",
            Self::Drain => "drain",
            Self::Sync => "sync",
            Self::Compare => "compare",
            Self::Flip => "flip",
            Self::Release => "release",
            Self::Verify => "verify",
            Self::Revert => "revert",
        }
    }

    /// Returns the step of that name.
    #[must_use]
    pub fn from_label(label: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|step| step.label() == label)
    }
}

// === impl MoveOutcome ===

impl MoveOutcome {
    /// Every outcome.
    pub const ALL: [Self; 5] = [Self::Done, Self::Failed, Self::Cancelled, Self::Reverted, Self::Unverified];

    /// Returns the outcome's name in the journal, the API, logs and metrics.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Reverted => "reverted",
            Self::Unverified => "unverified",
        }
    }

    /// Returns the outcome of that name.
    #[must_use]
    pub fn from_label(label: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.label() == label)
    }
}
