//! Settles the moves that a crash, a stop or a fault of this program has left unfinished.
//!
//! The store decides, not the journal: when the group is at the target, the flip was made, and the move is finished;
//! when it is at the source, nothing was changed. Until the store has answered the accounts are held. What must never
//! happen here: a login of such an account that completes before it is known on which server the account is.

use std::sync::Arc;

use control::{HeldAccounts, Order};
use tokio::time::sleep;

use crate::journal::{Ending, JournalError};
use crate::location::{Location, locate, settle};
use crate::move_id::MoveId;
use crate::record::{MoveOutcome, MoveRecord, Step};
use crate::shared::{JOURNAL_RETRY, Shared};

/// How an unfinished move is settled.
struct Settled {
    outcome: MoveOutcome,
    message: String,
}

/// Settles every unfinished move, whose accounts are claimed. Called before the listeners accept; a move whose store does
/// not answer is settled in the background, with its accounts held.
pub(crate) async fn recover(shared: &Arc<Shared>) -> Result<(), JournalError> {
    for batch in shared.journal.pause_queued().await? {
        tracing::warn!(
            batch,
            "a batch of moves is paused after the restart: `pointsman move resume {batch}` goes on"
        );
    }
    for id in shared.journal.interrupted().await? {
        let Some(record) = shared.journal.get(id).await? else { continue };
        let location = locate(shared, &record).await;
        if location == Location::Unknown {
            let held = hold_unsettled(shared, &record).await;
            let shared = Arc::clone(shared);
            tokio::spawn(async move {
                let location = settle(&shared, &record).await;
                settle_as(&shared, &record, &location).await;
                shared.ended(&record).await;
                // Only now: the logins that waited go where the store says.
                drop(held);
            });
        } else {
            settle_as(shared, &record, &location).await;
            shared.ended(&record).await;
        }
    }
    Ok(())
}

/// Settles a move whose steps were interrupted while the proxy runs. Its accounts are not held any more.
pub(crate) async fn settle_interrupted(shared: &Shared, id: MoveId) -> MoveOutcome {
    let record = loop {
        match shared.journal.get(id).await {
            Ok(Some(record)) => break record,
            Ok(None) => return MoveOutcome::Failed,
            Err(error) => tracing::error!(%id, %error, "an interrupted move cannot be read yet"),
        }
        tokio::select! {
            () = sleep(JOURNAL_RETRY) => {}
            () = shared.shutdown.cancelled() => return MoveOutcome::Failed,
        }
    };
    let location = settle(shared, &record).await;
    settle_as(shared, &record, &location).await
}

async fn hold_unsettled(shared: &Shared, record: &MoveRecord) -> Option<HeldAccounts> {
    let accounts = record.accounts.iter().map(Arc::clone).collect();
    match shared.control.execute(Order::hold(accounts, record.options.hold)).await {
        Ok(executed) => executed.held(),
        Err(error) => {
            tracing::error!(id = %record.id, %error, "the accounts of an unfinished move could not be held");
            None
        }
    }
}

async fn settle_as(shared: &Shared, record: &MoveRecord, location: &Location) -> MoveOutcome {
    let Settled { outcome, message } = settled(record, location);
    let MoveRecord { id, figures, output, .. } = record;
    tracing::warn!(%id, step = record.step.label(), outcome = outcome.label(), "an unfinished move was settled: {message}");
    let ending = Ending { outcome, message: Some(&message), figures, output };
    shared.write_end(*id, &ending).await;
    outcome
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
                "{interrupted}: {} is at {found}, others of its group are elsewhere: the mapping was changed by hand",
                account.escape_debug()
            ),
        },
        Location::Unknown => Settled {
            outcome: MoveOutcome::Failed,
            message: format!("{interrupted}: the mapping store does not answer"),
        },
    }
}
