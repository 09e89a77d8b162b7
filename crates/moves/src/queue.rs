//! Runs queued moves, a few at a time.
//!
//! What must never happen here: a move that goes on unseen when its caller is gone, or ends because of that.

use std::sync::Arc;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::crash_point::crash_point;
use crate::journal::{JournalError, Query};
use crate::record::{MoveOutcome, MoveRecord, Step};
use crate::recovery;
use crate::shared::{JOURNAL_RETRY, Shared};
use crate::steps::Running;

/// Claims the accounts of the moves that an earlier run has left unfinished.
pub(crate) async fn claim_unfinished(shared: &Shared) -> Result<(), JournalError> {
    let mut query = Query { unfinished: true, limit: Query::MAX, ..Query::default() };
    loop {
        let page = shared.journal.list(&query).await?;
        let Some(last) = page.last() else { return Ok(()) };
        query.before = Some(last.id);
        for record in &page {
            shared.claim(record.id, record.accounts.iter());
        }
    }
}

/// Starts queued moves, at most `moves.parallel` at a time.
pub(crate) async fn run(shared: Arc<Shared>) {
    let mut has_warned = false;
    loop {
        let may_start = shared.may_start.notified();
        let result = start_queued(&shared).await;
        if let Err(error) = &result
            && !has_warned
        {
            tracing::error!(%error, "queued moves cannot be started yet");
        }
        has_warned = result.is_err();
        tokio::select! {
            () = may_start => {}
            () = sleep(JOURNAL_RETRY), if result.is_err() => {}
            () = shared.shutdown.cancelled() => return,
        }
    }
}

async fn start_queued(shared: &Arc<Shared>) -> Result<(), JournalError> {
    loop {
        let _starting = shared.starting.lock().await;
        let parallel = shared.current.now().plan.moves.parallel;
        if shared.shutdown.is_cancelled() || shared.state().running.len() >= parallel {
            return Ok(());
        }
        let Some(mut record) = shared.journal.next_queued().await? else { return Ok(()) };
        record.step = Step::Check;
        shared.journal.enter(record.id, record.step).await?;
        shared.changed(&record);
        let cancel = shared.begin(record.id, record.step);
        crash_point(record.step.label());
        if shared.shutdown.is_cancelled() {
            cancel.cancel();
        }
        tokio::spawn(run_one(Arc::clone(shared), record, cancel));
    }
}

async fn run_one(shared: Arc<Shared>, record: MoveRecord, cancel: CancellationToken) {
    // In a task of its own, so that a fault of this program ends this move only.
    let steps = tokio::spawn(Running::new(Arc::clone(&shared), record.clone(), cancel).run());
    let outcome = match steps.await {
        Ok(outcome) => outcome,
        Err(error) => {
            tracing::error!(id = %record.id, %error, "a move was interrupted by a fault of this program");
            recovery::settle_interrupted(&shared, record.id).await
        }
    };
    // Before its place is free, so that a batch with too many failures starts no further move.
    if !matches!(outcome, MoveOutcome::Done | MoveOutcome::Cancelled)
        && let Some(batch) = &record.batch
    {
        pause_after_failures(&shared, batch).await;
    }
    shared.state().running.remove(&record.id);
    shared.ended(&record).await;
    shared.may_start.notify_one();
}

async fn pause_after_failures(shared: &Shared, batch: &str) {
    match shared.journal.pause_after_failures(batch).await {
        Ok(true) => tracing::warn!(batch, "a batch of moves is paused: too many of its moves failed"),
        Ok(false) => {}
        Err(error) => tracing::error!(batch, %error, "a batch of moves could not be paused"),
    }
}
