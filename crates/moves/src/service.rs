//! Accepts moves, cancels them, and answers about them.
//!
//! What must never happen here: a request that is accepted in part; two moves of one account at a time.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use tokio::sync::broadcast;

use crate::check::{Problem, ProblemKind};
use crate::counts::MoveCounts;
use crate::failure::MoveError;
use crate::journal::{Journal, JournalError, NewBatch, NewMove, Query};
use crate::move_id::MoveId;
use crate::record::{BatchState, MoveOutcome, MoveRecord, Step};
use crate::request::{MoveOptions, MoveRequest};
use crate::shared::{Parts, Shared};
use crate::{queue, recovery};

/// The moves of this proxy. Clones share them.
#[derive(Clone)]
pub struct Moves {
    shared: Arc<Shared>,
}

// === impl Moves ===

impl Moves {
    /// Opens the journal, settles what a crash has left unfinished, and begins to run what is queued. To be called before
    /// any listener accepts.
    ///
    /// # Errors
    /// When the journal cannot be opened or read.
    pub async fn open(path: &Path, parts: Parts) -> Result<Self, JournalError> {
        let shared = Arc::new(Shared::new(Journal::open(path).await?, parts));
        queue::claim_unfinished(&shared).await?;
        recovery::recover(&shared).await?;
        tokio::spawn(queue::run(Arc::clone(&shared)));
        Ok(Self { shared })
    }

    /// Checks a request, and queues it.
    ///
    /// # Errors
    /// [`MoveError::Problems`] with everything that is wrong. Nothing is queued then.
    pub async fn start(&self, request: MoveRequest) -> Result<MoveId, MoveError> {
        let ids = self.queue(&[request], None).await?;
        ids.first().copied().ok_or(MoveError::Problems(Vec::new()))
    }

    /// Checks many requests, and queues all of them as a batch, or none. The batch pauses after `max_failures` failures;
    /// with 0 it does not.
    ///
    /// # Errors
    /// [`MoveError::Problems`] with everything that is wrong in any of them.
    pub async fn start_batch(
        &self,
        name: &str,
        max_failures: usize,
        requests: &[MoveRequest],
    ) -> Result<Vec<MoveId>, MoveError> {
        self.queue(requests, Some(&NewBatch { name: name.into(), max_failures })).await
    }

    /// Checks requests, and that the batch is a new one, without queueing anything.
    ///
    /// # Errors
    /// As [`Moves::start_batch`].
    pub async fn check(&self, batch: Option<&str>, requests: &[MoveRequest]) -> Result<(), MoveError> {
        check_all(&self.shared, batch, requests).await.map(drop)
    }

    /// Takes a move back, by a move the other way.
    ///
    /// # Errors
    /// [`MoveError`].
    pub async fn rollback(&self, id: MoveId, options: MoveOptions) -> Result<MoveId, MoveError> {
        let record = self.get(id).await?;
        let reason = match record.outcome {
            Some(MoveOutcome::Done | MoveOutcome::Unverified) => None,
            Some(_) => Some("its accounts are not at its target"),
            None => Some("it has not ended: cancel it"),
        };
        if let Some(reason) = reason {
            return Err(MoveError::NotReversible { id, reason });
        }
        self.start(MoveRequest {
            accounts: record.accounts,
            target: record.source,
            options,
            rollback_of: Some(id),
        })
        .await
    }

    /// Cancels a move that has not changed the mapping yet.
    ///
    /// # Errors
    /// [`MoveError`].
    pub async fn cancel(&self, id: MoveId) -> Result<(), MoveError> {
        let record = self.get(id).await?;
        if let Some(outcome) = record.outcome {
            return Err(MoveError::Ended { id, outcome });
        }
        let mut changes = self.subscribe();
        let starting = self.shared.starting.lock().await;
        if self.shared.journal.cancel_queued(id).await? {
            self.shared.ended(&record).await;
            return Ok(());
        }
        let is_running = self.shared.cancel_running(id);
        drop(starting);
        loop {
            let record = self.get(id).await?;
            match record.outcome {
                Some(MoveOutcome::Cancelled) => return Ok(()),
                Some(outcome) => return Err(MoveError::Ended { id, outcome }),
                None if !is_running => return Err(MoveError::Unsettled { id }),
                None if record.step >= Step::Flip => return Err(MoveError::TooLate { id }),
                // Also after a missed change.
                None => drop(changes.recv().await),
            }
        }
    }

    /// Pauses a batch: moves in progress go on, queued ones wait until it is resumed.
    ///
    /// # Errors
    /// [`MoveError::UnknownBatch`].
    pub async fn pause(&self, batch: &str) -> Result<(), MoveError> {
        if self.shared.journal.pause(batch).await? {
            Ok(())
        } else {
            Err(MoveError::UnknownBatch(batch.into()))
        }
    }

    /// Lets a paused batch go on.
    ///
    /// # Errors
    /// [`MoveError::UnknownBatch`].
    pub async fn resume(&self, batch: &str) -> Result<(), MoveError> {
        if !self.shared.journal.resume(batch).await? {
            return Err(MoveError::UnknownBatch(batch.into()));
        }
        self.shared.may_start.notify_one();
        Ok(())
    }

    /// Returns one move.
    ///
    /// # Errors
    /// [`MoveError::Unknown`].
    pub async fn get(&self, id: MoveId) -> Result<MoveRecord, MoveError> {
        self.shared.journal.get(id).await?.ok_or(MoveError::Unknown(id))
    }

    /// Returns the moves that match, newest first.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn list(&self, mut query: Query) -> Result<Vec<MoveRecord>, MoveError> {
        if let Some(account) = &query.account {
            query.account = Some(self.shared.router.normalize(account).into());
        }
        Ok(self.shared.journal.list(&query).await?)
    }

    /// Returns how far a batch has come.
    ///
    /// # Errors
    /// [`MoveError::UnknownBatch`].
    pub async fn batch(&self, name: &str) -> Result<BatchState, MoveError> {
        self.shared.journal.batch(name).await?.ok_or_else(|| MoveError::UnknownBatch(name.into()))
    }

    /// Returns a stream of the moves that begin a step or end.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<MoveRecord>> {
        self.shared.changes.subscribe()
    }

    /// Returns how many moves there are, and what they have cost.
    #[must_use]
    pub fn counts(&self) -> MoveCounts {
        self.shared.counts()
    }

    /// Starts no further move, cancels those that have not changed the mapping yet, and waits for the others. The caller
    /// bounds the wait; what is unfinished then is settled by the next start.
    pub async fn shut_down(&self) {
        let mut changes = self.subscribe();
        self.shared.shutdown.cancel();
        for running in self.shared.state().running.values() {
            running.cancel.cancel();
        }
        while !self.shared.state().running.is_empty() {
            // Also after a missed change.
            drop(changes.recv().await);
        }
    }

    async fn queue(
        &self,
        requests: &[MoveRequest],
        batch: Option<&NewBatch>,
    ) -> Result<Vec<MoveId>, MoveError> {
        if self.shared.shutdown.is_cancelled() {
            return Err(MoveError::ShuttingDown);
        }
        let accepting = self.shared.accepting.lock().await;
        let name = batch.map(|batch| &*batch.name);
        let moves = check_all(&self.shared, name, requests).await?;
        let ids = self.shared.journal.add(&moves, batch).await?;
        for (id, new) in ids.iter().zip(&moves) {
            self.shared.claim(*id, new.accounts.iter());
        }
        drop(accepting);
        self.shared.may_start.notify_one();
        Ok(ids)
    }
}

/// Checks every request, and that no batch has this name; returns what is to be queued, or everything that is wrong.
async fn check_all(
    shared: &Shared,
    batch: Option<&str>,
    requests: &[MoveRequest],
) -> Result<Vec<NewMove>, MoveError> {
    if let Some(name) = batch
        && shared.journal.batch(name).await?.is_some()
    {
        return Err(MoveError::BatchExists(name.into()));
    }
    let count = requests.len();
    if count == 0 {
        return Err(MoveError::Problems(vec![Problem::group(ProblemKind::NoAccount)]));
    }
    if count > MoveRequest::MAX_BATCH {
        return Err(MoveError::Problems(vec![Problem::group(ProblemKind::TooManyGroups(count))]));
    }
    let plan = shared.current.now();
    let checker = shared.checker(&plan);
    let mut problems = Vec::new();
    let mut moves = Vec::with_capacity(requests.len());
    let mut seen = HashSet::new();
    for (group, request) in requests.iter().enumerate() {
        let checked = match checker.check(request).await? {
            Ok(checked) => checked,
            Err(found) => {
                problems.extend(found.into_iter().map(|problem| problem.in_group(group)));
                continue;
            }
        };
        for account in &checked.accounts {
            if let Some(id) = shared.claimed_by(account) {
                problems.push(Problem::of(account, ProblemKind::InMove(id)).in_group(group));
            }
            if !seen.insert(Arc::clone(account)) {
                problems.push(Problem::of(account, ProblemKind::Repeated).in_group(group));
            }
        }
        moves.push(NewMove {
            rollback_of: request.rollback_of,
            accounts: checked.accounts,
            source: checked.source,
            target: Arc::clone(&request.target),
            options: request.options.clone(),
        });
    }
    if problems.is_empty() { Ok(moves) } else { Err(MoveError::Problems(problems)) }
}
