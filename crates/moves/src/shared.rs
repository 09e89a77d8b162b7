//! What the parts of this crate share: the journal, what moves act on, and the moves in progress.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use control::Control;
use mapping::Router;
use runtime::{ActivePlan, CurrentPlan};
use sessions::Registry;
use tokio::sync::{Notify, broadcast};
use tokio_util::sync::CancellationToken;

use crate::check::Checker;
use crate::journal::Journal;
use crate::move_id::MoveId;
use crate::record::MoveRecord;

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
    /// The moves in progress.
    pub(crate) running: HashMap<MoveId, CancellationToken>,
}

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

    pub(crate) fn claimed_by(&self, account: &str) -> Option<MoveId> {
        self.state().claimed.get(account).copied()
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
