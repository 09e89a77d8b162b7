//! Settles the moves that a crash, or a stop, has left unfinished.
//!
//! The store decides, not the journal: when the group is at the target, the flip was made, and the move is finished;
//! when it is at the source, nothing was changed. Until the store has answered the accounts are held. What must never
//! happen here: a login of such an account that completes before it is known on which server the account is.

use std::sync::Arc;

use control::{HeldAccounts, Order};

use crate::journal::JournalError;
use crate::location::{Location, locate, settle};
use crate::move_id::MoveId;
use crate::record::{MoveOutcome, MoveRecord, Step};
use crate::shared::Shared;

/// How an unfinished move is settled.
struct Settled {
    outcome: MoveOutcome,
    message: String,
}

/// Settles every unfinished move. Called before the listeners accept; a move whose store does not answer is settled
/// in the background, with its accounts held.
pub(crate) async fn recover(shared: &Arc<Shared>) -> Result<(), JournalError> {
    for batch in shared.journal.pause_queued().await? {
        tracing::warn!(
            batch,
            "a batch of moves is paused after the restart: `pointsman move resume {batch}` goes on"
        );
    }
    for id in shared.journal.interrupted().await? {
        let Some(record) = shared.journal.get(id).await? else { continue };
        match locate(shared, &record).await {
            Location::Unknown => {
                let shared = Arc::clone(shared);
                let held = hold_unsettled(&shared, &record).await;
                shared.claim(record.id, record.names());
                tokio::spawn(async move { settle_later(&shared, record, held).await });
            }
            location => settle_as(shared, &record, location).await?,
        }
    }
    Ok(())
}

async fn settle_later(shared: &Shared, record: MoveRecord, held: Option<HeldAccounts>) {
    let location = settle(shared, &record).await;
    if let Err(error) = settle_as(shared, &record, location).await {
        tracing::error!(id = %record.id, %error, "the end of a move was not recorded");
    }
    shared.unclaim(&record);
    // Only now: the logins that waited go where the store says.
    drop(held);
}

async fn hold_unsettled(shared: &Shared, record: &MoveRecord) -> Option<HeldAccounts> {
    let accounts = record.names().map(Arc::clone).collect();
    match shared.control.execute(Order::hold(accounts, record.options.hold)).await {
        Ok(executed) => executed.held(),
        Err(error) => {
            tracing::error!(id = %record.id, %error, "the accounts of an unfinished move could not be held");
            None
        }
    }
}

async fn settle_as(shared: &Shared, record: &MoveRecord, location: Location) -> Result<(), JournalError> {
    let Settled { outcome, message } = settled(record, &location);
    let id: MoveId = record.id;
    tracing::warn!(%id, step = record.step.label(), outcome = outcome.label(), "an unfinished move was settled: {message}");
    shared.journal.finish(id, outcome, Some(&message)).await
}

fn settled(record: &MoveRecord, location: &Location) -> Settled {
    let MoveRecord { source, target, step, .. } = record;
    let interrupted = format!("interrupted in the step {}", step.label());
    match location {
        Location::At(found) if found == target => {
            let arrived = format!("{interrupted}: the accounts are at {target}");
            if record.options.verify.is_none() {
                return Settled { outcome: MoveOutcome::Done, message: arrived };
            }
            let message = format!("{arrived}; the verify command was not run to its end");
            Settled { outcome: MoveOutcome::Unverified, message }
        }
        Location::At(found) if found == source && *step == Step::Revert => Settled {
            outcome: MoveOutcome::Reverted,
            message: format!("{interrupted}: the accounts are at {source} again"),
        },
        Location::At(found) if found == source => Settled {
            outcome: MoveOutcome::Failed,
            message: format!("{interrupted}: the accounts are at {source}, nothing was changed"),
        },
        Location::At(found) => Settled {
            outcome: MoveOutcome::Failed,
            message: format!(
                "{interrupted}: the accounts are at {found}, which is neither {source} nor {target}"
            ),
        },
        Location::Split { account, found } => Settled {
            outcome: MoveOutcome::Failed,
            message: format!(
                "{interrupted}: {} is at {found}, others of its group are elsewhere: somebody has changed the mapping",
                account.escape_debug()
            ),
        },
        Location::Unknown => Settled {
            outcome: MoveOutcome::Failed,
            message: format!("{interrupted}: the mapping store does not answer"),
        },
    }
}
