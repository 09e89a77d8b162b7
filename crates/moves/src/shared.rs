//! What the parts of this crate share: the journal, what moves act on, and the moves in progress.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use control::Control;
use mapping::Router;
use runtime::{ActivePlan, CurrentPlan};
use sessions::{HoldStats, Registry};
use tokio::sync::{Notify, broadcast};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::check::Checker;
use crate::counts::{MoveCounts, MoveTotals};
use crate::journal::{Ending, Journal};
use crate::move_id::MoveId;
use crate::record::{MoveRecord, Step};

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
    pub(crate) accepting: tokio::sync::Mutex<()>,
    /// Held while a queued move becomes one in progress, so that it can be cancelled at any moment.
    pub(crate) starting: tokio::sync::Mutex<()>,
    /// Notified when a move may be started.
    pub(crate) may_start: Notify,
    /// Sends every move that has begun a step or ended.
    pub(crate) changes: broadcast::Sender<Arc<MoveRecord>>,
    pub(crate) shutdown: CancellationToken,
}

/// The moves that have not ended.
#[derive(Default)]
pub(crate) struct State {
    /// The accounts of every move that has not ended.
    pub(crate) claimed: HashMap<Arc<str>, MoveId>,
    /// Those that wait: for their turn, or, after a restart, for the mapping store.
    waiting: HashSet<MoveId>,
    /// Those in progress.
    pub(crate) running: HashMap<MoveId, InProgress>,
    totals: MoveTotals,
}

/// A move in progress.
pub(crate) struct InProgress {
    /// Stops it.
    pub(crate) cancel: CancellationToken,
    step: Step,
    /// The logins that wait for it.
    held: Vec<Arc<HoldStats>>,
}

/// How often a journal that cannot be read or written is tried again.
pub(crate) const JOURNAL_RETRY: Duration = Duration::from_secs(1);

/// How many changes a slow reader of [`Moves::subscribe`] may be behind.
const CHANGES: usize = 256;

// === impl Shared ===

impl Shared {
    pub(crate) fn new(journal: Journal, parts: Parts) -> Self {
        let Parts { control, router, registry, current } = parts;
        Self {
            journal,
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
        }
    }

    pub(crate) fn checker<'a>(&'a self, plan: &'a ActivePlan) -> Checker<'a> {
        Checker { journal: &self.journal, router: &self.router, registry: &self.registry, plan }
    }

    /// Reports that a move has begun a step or has ended.
    pub(crate) fn changed(&self, record: &MoveRecord) {
        if let Some(running) = self.state().running.get_mut(&record.id) {
            running.step = record.step;
        }
        // An error only says that there is no subscriber.
        let _ = self.changes.send(Arc::new(record.clone()));
    }

    /// Writes how a move ended, and tries again while the journal cannot be written: until then the accounts are not free
    /// for another move. What is not written when the proxy ends is settled by the next start.
    pub(crate) async fn write_end(&self, id: MoveId, ending: &Ending<'_>) {
        let mut has_warned = false;
        while let Err(error) = self.journal.finish(id, ending).await {
            if !has_warned {
                has_warned = true;
                tracing::error!(%id, %error, outcome = ending.outcome.label(), "the end of a move cannot be recorded yet");
            }
            tokio::select! {
                () = sleep(JOURNAL_RETRY) => {}
                () = self.shutdown.cancelled() => return,
            }
        }
    }

    /// Frees the accounts of a move that has ended, and reports its end.
    pub(crate) async fn ended(&self, record: &MoveRecord) {
        self.unclaim(record);
        match self.journal.get(record.id).await {
            Ok(Some(ended)) => {
                if let Some(outcome) = ended.outcome {
                    self.state().totals.add(outcome, &ended.figures);
                }
                self.changed(&ended);
            }
            Ok(None) => {}
            Err(error) => tracing::error!(id = %record.id, %error, "a move cannot be read"),
        }
    }

    /// Records that a move is in progress, until it has [ended](Self::ended).
    pub(crate) fn begin(&self, id: MoveId, step: Step) -> CancellationToken {
        let cancel = CancellationToken::new();
        let mut state = self.state();
        state.waiting.remove(&id);
        state.running.insert(id, InProgress { cancel: cancel.clone(), step, held: Vec::new() });
        cancel
    }

    /// Records the logins that wait for a move, for as long as it is in progress.
    pub(crate) fn holds(&self, id: MoveId, held: &[Arc<HoldStats>]) {
        if let Some(running) = self.state().running.get_mut(&id) {
            running.held = held.to_vec();
        }
    }

    /// Returns the numbers for the metrics.
    pub(crate) fn counts(&self) -> MoveCounts {
        let state = self.state();
        let count = |step| match step {
            Step::Queued => state.waiting.len(),
            step => state.running.values().filter(|running| running.step == step).count(),
        };
        let held = state.running.values().flat_map(|running| &running.held);
        MoveCounts {
            unfinished: Step::ALL.into_iter().map(|step| (step, count(step))).collect(),
            waiting_logins: held.map(|stats| stats.waiting()).sum(),
            totals: state.totals,
        }
    }

    /// Asks a move in progress to stop. Returns whether there is such a move.
    pub(crate) fn cancel_running(&self, id: MoveId) -> bool {
        match self.state().running.get(&id) {
            Some(running) => {
                running.cancel.cancel();
                true
            }
            None => false,
        }
    }

    /// Keeps other moves away from these accounts.
    pub(crate) fn claim<'a>(&self, id: MoveId, names: impl Iterator<Item = &'a Arc<str>>) {
        let mut state = self.state();
        state.waiting.insert(id);
        for name in names {
            state.claimed.insert(Arc::clone(name), id);
        }
    }

    pub(crate) fn unclaim(&self, record: &MoveRecord) {
        let mut state = self.state();
        state.waiting.remove(&record.id);
        for name in &record.accounts {
            if state.claimed.get(name) == Some(&record.id) {
                state.claimed.remove(name);
            }
        }
    }

    pub(crate) fn claimed_by(&self, account: &str) -> Option<MoveId> {
        self.state().claimed.get(account).copied()
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
