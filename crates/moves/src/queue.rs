//! Accepts moves, runs them, a few at a time, and answers about them.
//!
//! What must never happen here: a request that is accepted in part; two moves of one account at a time; a move that goes
//! on unseen when its caller is gone, or ends because of that.

use std::collections::HashMap;
use std::collections::HashSet;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use control::Control;
use mapping::Router;
use runtime::{ActivePlan, CurrentPlan};
use sessions::Registry;
use tokio::sync::{Notify, broadcast};
use tokio_util::sync::CancellationToken;

use crate::check::{Checker, Problem, ProblemKind};
use crate::failure::MoveError;
use crate::journal::{Journal, JournalError, NewBatch, NewMove, Query};
use crate::record::{BatchState, MoveId, MoveOutcome, MoveRecord, Step};
use crate::request::{MoveOptions, MoveRequest};
use crate::steps::Running;

/// The moves of this proxy. Clones share them.
#[derive(Clone)]
pub struct Moves {
    shared: Arc<Shared>,
}

/// What moves act on.
pub struct Parts {
    /// Carries out their orders.
    pub control: Control,
    /// Says where accounts are.
    pub router: Arc<Router>,
    /// Knows the sessions.
    pub registry: Registry,
    /// The plan in force.
    pub current: CurrentPlan,
}

/// What the clones share.
pub(crate) struct Shared {
    pub(crate) journal: Journal,
    pub(crate) control: Control,
    pub(crate) router: Arc<Router>,
    pub(crate) registry: Registry,
    pub(crate) current: CurrentPlan,
    state: Mutex<State>,
    /// Held while requests are checked and queued, so that none is accepted for an account that another one has claimed.
    accepting: tokio::sync::Mutex<()>,
    /// Held while a queued move becomes one in progress, so that it can be cancelled at any moment.
    starting: tokio::sync::Mutex<()>,
    /// Notified when a move may be started.
    may_start: Notify,
    /// Sends every move that has begun a step or ended.
    changes: broadcast::Sender<Arc<MoveRecord>>,
    shutdown: CancellationToken,
}

#[derive(Default)]
struct State {
    /// The accounts of every move that has not ended.
    claimed: HashMap<Arc<str>, MoveId>,
    /// The moves in progress.
    running: HashMap<MoveId, CancellationToken>,
}

/// How many changes a slow reader of [`Moves::subscribe`] may be behind.
const CHANGES: usize = 256;

// === impl Moves ===

impl Moves {
    /// Opens the journal, settles what a crash has left unfinished, and begins to run what is queued. To be called before
    /// any listener accepts.
    ///
    /// # Errors
    /// When the journal cannot be opened or read.
    pub async fn open(path: &Path, parts: Parts) -> Result<Self, JournalError> {
        let Parts { control, router, registry, current } = parts;
        let shared = Arc::new(Shared {
            journal: Journal::open(path).await?,
            control,
            router,
            registry,
            current,
            state: Mutex::default(),
            accepting: tokio::sync::Mutex::default(),
            starting: tokio::sync::Mutex::default(),
            may_start: Notify::new(),
            changes: broadcast::channel(CHANGES).0,
            shutdown: CancellationToken::new(),
        });
        shared.recover().await?;
        shared.claim_queued().await?;
        tokio::spawn(Arc::clone(&shared).run_queue());
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
        if self.shared.journal.batch(name).await?.is_some() {
            return Err(MoveError::BatchExists(name.into()));
        }
        self.queue(requests, Some(&NewBatch { name: name.into(), max_failures })).await
    }

    /// Checks requests without queueing them.
    ///
    /// # Errors
    /// As [`Moves::start_batch`].
    pub async fn check(&self, requests: &[MoveRequest]) -> Result<(), MoveError> {
        self.shared.check_all(requests).await.map(drop)
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
        let accounts = record.accounts.into_iter().map(|moved| moved.account).collect();
        self.start(MoveRequest { accounts, target: record.source, options, rollback_of: Some(id) }).await
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
        if record.step >= Step::Flip {
            return Err(MoveError::TooLate { id });
        }
        let mut changes = self.subscribe();
        let starting = self.shared.starting.lock().await;
        if self.shared.journal.cancel_queued(id).await? {
            self.shared.unclaim(&record);
            return Ok(());
        }
        if let Some(cancel) = self.shared.state().running.get(&id) {
            cancel.cancel();
        }
        drop(starting);
        loop {
            let record = self.get(id).await?;
            match record.outcome {
                Some(MoveOutcome::Cancelled) => return Ok(()),
                Some(outcome) => return Err(MoveError::Ended { id, outcome }),
                None if record.step > Step::Flip => return Err(MoveError::TooLate { id }),
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

    /// Starts no further move, cancels those that have not changed the mapping yet, and waits for the others. The caller
    /// bounds the wait; what is unfinished then is settled by the next start.
    pub async fn shut_down(&self) {
        let mut changes = self.subscribe();
        self.shared.shutdown.cancel();
        for cancel in self.shared.state().running.values() {
            cancel.cancel();
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
        let moves = self.shared.check_all(requests).await?;
        let ids = self.shared.journal.add(&moves, batch).await?;
        for (id, new) in ids.iter().zip(&moves) {
            self.shared.claim(*id, new.accounts.iter().map(|moved| &moved.account));
        }
        drop(accepting);
        self.shared.may_start.notify_one();
        Ok(ids)
    }
}

// === impl Shared ===

impl Shared {
    pub(crate) fn checker<'a>(&'a self, plan: &'a ActivePlan) -> Checker<'a> {
        Checker { journal: &self.journal, router: &self.router, registry: &self.registry, plan }
    }

    pub(crate) fn changed(&self, record: &MoveRecord) {
        // Nobody may be listening.
        let _ = self.changes.send(Arc::new(record.clone()));
    }

    /// Keeps other moves away from these accounts.
    pub(crate) fn claim<'a>(&self, id: MoveId, names: impl Iterator<Item = &'a Arc<str>>) {
        let mut state = self.state();
        for name in names {
            state.claimed.insert(Arc::clone(name), id);
        }
    }

    pub(crate) fn unclaim(&self, record: &MoveRecord) {
        let mut state = self.state();
        for name in record.names() {
            if state.claimed.get(name) == Some(&record.id) {
                state.claimed.remove(name);
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn claim_queued(&self) -> Result<(), JournalError> {
        let mut query = Query { unfinished: true, limit: Query::MAX, ..Query::default() };
        loop {
            let page = self.journal.list(&query).await?;
            let Some(last) = page.last() else { return Ok(()) };
            query.before = Some(last.id);
            for record in &page {
                self.claim(record.id, record.names());
            }
        }
    }

    /// Checks every request, and returns what is to be queued, or everything that is wrong.
    async fn check_all(&self, requests: &[MoveRequest]) -> Result<Vec<NewMove>, MoveError> {
        let plan = self.current.now();
        let checker = self.checker(&plan);
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
            for moved in &checked.accounts {
                if let Some(id) = self.claimed_by(&moved.account) {
                    problems.push(Problem::of(&moved.account, ProblemKind::InMove(id)).in_group(group));
                }
                if !seen.insert(Arc::clone(&moved.account)) {
                    problems.push(Problem::of(&moved.account, ProblemKind::Repeated).in_group(group));
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

    fn claimed_by(&self, account: &str) -> Option<MoveId> {
        self.state().claimed.get(account).copied()
    }

    /// Starts queued moves, at most `moves.parallel` at a time.
    async fn run_queue(self: Arc<Self>) {
        loop {
            let may_start = self.may_start.notified();
            if let Err(error) = self.start_queued().await {
                tracing::error!(%error, "queued moves cannot be started");
            }
            tokio::select! {
                () = may_start => {}
                () = self.shutdown.cancelled() => return,
            }
        }
    }

    async fn start_queued(self: &Arc<Self>) -> Result<(), JournalError> {
        loop {
            let _starting = self.starting.lock().await;
            let parallel = self.current.now().plan.moves.parallel;
            if self.shutdown.is_cancelled() || self.state().running.len() >= parallel {
                return Ok(());
            }
            let Some(id) = self.journal.take_next().await? else { return Ok(()) };
            let Some(record) = self.journal.get(id).await? else { continue };
            let cancel = CancellationToken::new();
            self.state().running.insert(id, cancel.clone());
            if self.shutdown.is_cancelled() {
                cancel.cancel();
            }
            let shared = Arc::clone(self);
            tokio::spawn(async move { shared.run_one(record, cancel).await });
        }
    }

    async fn run_one(self: Arc<Self>, record: MoveRecord, cancel: CancellationToken) {
        let outcome = Running::new(Arc::clone(&self), record.clone(), cancel).run().await;
        self.state().running.remove(&record.id);
        self.unclaim(&record);
        match self.journal.get(record.id).await {
            Ok(Some(ended)) => self.changed(&ended),
            Ok(None) => {}
            Err(error) => tracing::error!(id = %record.id, %error, "a move cannot be read"),
        }
        if outcome != MoveOutcome::Done
            && let Some(batch) = &record.batch
        {
            self.pause_after_failures(batch).await;
        }
        self.may_start.notify_one();
    }

    async fn pause_after_failures(&self, batch: &str) {
        match self.journal.pause_after_failures(batch).await {
            Ok(true) => tracing::warn!(batch, "a batch of moves is paused: too many of its moves failed"),
            Ok(false) => {}
            Err(error) => tracing::error!(batch, %error, "a batch of moves could not be paused"),
        }
    }
}
