//! Runs queued moves, a few at a time.
//!
//! What must never happen here: a move that goes on unseen when its caller is gone, or ends because of that.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::journal::{JournalError, Query};
use crate::record::{MoveOutcome, MoveRecord};
use crate::shared::Shared;
use crate::steps::Running;

/// Claims the accounts of the moves that an earlier run has left in the queue.
pub(crate) async fn claim_queued(shared: &Shared) -> Result<(), JournalError> {
    let mut query = Query { unfinished: true, limit: Query::MAX, ..Query::default() };
    loop {
        let page = shared.journal.list(&query).await?;
        let Some(last) = page.last() else { return Ok(()) };
        query.before = Some(last.id);
        for record in &page {
            shared.claim(record.id, record.names());
        }
    }
}

/// Starts queued moves, at most `moves.parallel` at a time.
pub(crate) async fn run(shared: Arc<Shared>) {
    loop {
        let may_start = shared.may_start.notified();
        if let Err(error) = start_queued(&shared).await {
            tracing::error!(%error, "queued moves cannot be started");
        }
        tokio::select! {
            () = may_start => {}
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
        let Some(id) = shared.journal.take_next().await? else { return Ok(()) };
        let Some(record) = shared.journal.get(id).await? else { continue };
        let cancel = CancellationToken::new();
        shared.state().running.insert(id, cancel.clone());
        if shared.shutdown.is_cancelled() {
            cancel.cancel();
        }
        tokio::spawn(run_one(Arc::clone(shared), record, cancel));
    }
}

async fn run_one(shared: Arc<Shared>, record: MoveRecord, cancel: CancellationToken) {
    let outcome = Running::new(Arc::clone(&shared), record.clone(), cancel).run().await;
    // Before its place is free, so that a batch with too many failures starts no further move.
    if outcome != MoveOutcome::Done
        && let Some(batch) = &record.batch
    {
        pause_after_failures(&shared, batch).await;
    }
    shared.state().running.remove(&record.id);
    shared.unclaim(&record);
    match shared.journal.get(record.id).await {
        Ok(Some(ended)) => shared.changed(&ended),
        Ok(None) => {}
        Err(error) => tracing::error!(id = %record.id, %error, "a move cannot be read"),
    }
    shared.may_start.notify_one();
}

async fn pause_after_failures(shared: &Shared, batch: &str) {
    match shared.journal.pause_after_failures(batch).await {
        Ok(true) => tracing::warn!(batch, "a batch of moves is paused: too many of its moves failed"),
        Ok(false) => {}
        Err(error) => tracing::error!(batch, %error, "a batch of moves could not be paused"),
    }
}
