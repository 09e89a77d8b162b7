//! Why a move was not accepted, or did not succeed.

use std::sync::Arc;
use std::time::Duration;

use compare::CompareError;
use control::OrderError;
use plan::Name;
use thiserror::Error;

use crate::check::Problem;
use crate::command::CommandError;
use crate::journal::JournalError;
use crate::move_id::MoveId;
use crate::record::{MoveOutcome, Step};

/// Why a request was not accepted. Nothing was started.
#[derive(Debug, Error)]
pub enum MoveError {
    /// The request has mistakes; all of them are listed.
    #[error("nothing was started: {}", list(.0))]
    Problems(Vec<Problem>),
    /// There is no such move.
    #[error("there is no move {0}")]
    Unknown(MoveId),
    /// There is no such batch.
    #[error("there is no batch {0:?}")]
    UnknownBatch(Arc<str>),
    /// A batch of that name exists.
    #[error("there is a batch {0:?} already: resume it, or choose another name")]
    BatchExists(Arc<str>),
    /// The move can no longer be cancelled.
    #[error("move {id} changes the mapping, or has changed it already: wait for its end, then roll it back")]
    TooLate {
        /// The move.
        id: MoveId,
    },
    /// The move was interrupted, and it is not known yet where its accounts are.
    #[error("move {id} was interrupted, and waits for the mapping store to say where its accounts are")]
    Unsettled {
        /// The move.
        id: MoveId,
    },
    /// The move is not one that can be taken back.
    #[error("move {id} cannot be rolled back: {reason}")]
    NotReversible {
        /// The move.
        id: MoveId,
        /// Why.
        reason: &'static str,
    },
    /// The move has ended.
    #[error("move {id} has ended: {}", outcome.label())]
    Ended {
        /// The move.
        id: MoveId,
        /// How.
        outcome: MoveOutcome,
    },
    /// The proxy is about to end.
    #[error("the proxy is shutting down: start the move again after the restart")]
    ShuttingDown,
    /// The journal could not be read or written.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// Why a move did not succeed.
#[derive(Debug, Error)]
pub enum MoveFailure {
    /// The accounts cannot be moved.
    #[error("{}", list(.0))]
    Problems(Vec<Problem>),
    /// The accounts could not be held.
    #[error(transparent)]
    Hold(OrderError),
    /// Another proxy did not confirm that it holds the accounts.
    #[error("these proxies did not confirm that they hold the accounts: {}", .0.join(", "))]
    NotHeldBy(Vec<Arc<str>>),
    /// Sessions did not end.
    #[error("{}", sessions_left_text(*.here, .elsewhere))]
    SessionsLeft {
        /// Sessions of this proxy.
        here: usize,
        /// The other proxies that did not confirm that theirs have ended.
        elsewhere: Vec<Arc<str>>,
    },
    /// The hold was over before the mapping could be changed.
    #[error("the hold of {} s was over in the step {}: choose a longer hold, or copy more before the move", hold.as_secs_f32(), step.label())]
    HoldOver {
        /// How long the accounts could be held.
        hold: Duration,
        /// The step that took too long.
        step: Step,
    },
    /// The sync command failed.
    #[error("sync: the command {0}")]
    Sync(CommandError),
    /// Mailboxes are to be compared, and the proxy cannot log in there.
    #[error("compare: {0} has no IMAP leg, or no login: set moves.compare.{0}")]
    CannotCompare(Name),
    /// A mailbox could not be read.
    #[error("compare: {0}")]
    Compare(CompareError),
    /// The source has changed after each copy.
    #[error(
        "compare: {folder} has changed at the source after the copy, {rounds} times in a row: stop what writes to it \
         without the proxy (deliveries, Sieve, a webmail on the server), or hold that, too"
    )]
    NotQuiet {
        /// The folder.
        folder: String,
        /// How often the sync command ran.
        rounds: u32,
    },
    /// The mailboxes differ by more than is tolerated.
    #[error(
        "compare: messages missing at the target: {missing}, differences in total: {total}; {first}; \
         `pointsman move show` lists them"
    )]
    Different {
        /// Messages that are missing.
        missing: usize,
        /// Differences of every kind.
        total: usize,
        /// The first of those that stop the move.
        first: String,
    },
    /// The mapping was changed by hand during the move.
    #[error("{account} was mapped to {found} during the move: the move was given up, and that mapping stays")]
    ChangedMeanwhile {
        /// The account.
        account: Arc<str>,
        /// Its destination now.
        found: Name,
    },
    /// The store did not take the change.
    #[error("the mapping was not changed: {0}")]
    Store(OrderError),
    /// The check at the target failed, and the move was taken back.
    #[error("verify: the command {0}")]
    Verify(CommandError),
    /// The check at the target failed, and the move could not be taken back: the accounts are at the target.
    #[error("verify: the command {error}; the move could not be taken back: {failure}")]
    NotReverted {
        /// The check's error.
        error: CommandError,
        /// Why the move could not be taken back.
        failure: Box<Self>,
    },
    /// The operator cancelled the move.
    #[error("cancelled")]
    Cancelled,
    /// The journal could not be written.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

// === impl MoveFailure ===

impl MoveFailure {
    /// Returns how a move that ends with this failure has ended.
    pub(crate) const fn outcome(&self) -> MoveOutcome {
        match self {
            Self::Cancelled | Self::Sync(CommandError::Cancelled) => MoveOutcome::Cancelled,
            Self::Verify(_) => MoveOutcome::Reverted,
            Self::NotReverted { .. } => MoveOutcome::Unverified,
            Self::Problems(_)
            | Self::Hold(_)
            | Self::NotHeldBy(_)
            | Self::SessionsLeft { .. }
            | Self::HoldOver { .. }
            | Self::Sync(_)
            | Self::CannotCompare(_)
            | Self::Compare(_)
            | Self::NotQuiet { .. }
            | Self::Different { .. }
            | Self::ChangedMeanwhile { .. }
            | Self::Store(_)
            | Self::Journal(_) => MoveOutcome::Failed,
        }
    }
}

fn sessions_left_text(here: usize, elsewhere: &[Arc<str>]) -> String {
    let mut left = Vec::new();
    match here {
        0 => {}
        1 => left.push("1 session".to_owned()),
        count => left.push(format!("{count} sessions")),
    }
    if !elsewhere.is_empty() {
        left.push(format!("the sessions at {}", elsewhere.join(", ")));
    }
    if left.is_empty() {
        // They ended just after the wait.
        left.push("the sessions".to_owned());
    }
    format!("{} did not end within the grace period and a kick", left.join(" and "))
}

/// The first problems, as one sentence.
fn list(problems: &[Problem]) -> String {
    const SHOWN: usize = 10;
    let mut text: Vec<String> = problems.iter().take(SHOWN).map(ToString::to_string).collect();
    if problems.len() > SHOWN {
        text.push(format!("and {} more", problems.len() - SHOWN));
    }
    text.join("; ")
}
