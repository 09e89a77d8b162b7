//! Two destinations, a mapping in memory that can fail, and the moves between them.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use control::Control;
use futures_core::future::BoxFuture;
use mapping::store::{Applied, Listing, StoreError};
use mapping::{Change, Name, Router, Settings, Store};
use plan::Plan;
use runtime::{ActivePlan, CurrentPlan, TlsMaterial};
use sessions::{Limits, Registry, SessionTicket};
use tls::{Certificates, PlatformRoots, Tickets};
use tokio::sync::watch;
use tokio::time::timeout;
use types::protocol::Protocol;

use crate::journal::{Journal, NewMove};
use crate::*;

/// Longer than anything here takes; not a measure.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// How every login is made.
pub(super) struct Login {
    pub(super) protocol: Protocol,
    pub(super) client: IpAddr,
}

pub(super) const LOGIN: Login =
    Login { protocol: Protocol::Imap, client: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)) };

pub(super) struct World {
    pub(super) moves: Moves,
    pub(super) control: Control,
    pub(super) registry: Registry,
    pub(super) router: Arc<Router>,
    pub(super) store: Arc<Memory>,
    pub(super) folder: tempfile::TempDir,
    current: CurrentPlan,
}

/// A store in memory that can fail.
#[derive(Debug)]
pub(super) struct Memory {
    entries: Mutex<HashMap<String, Name>>,
    mode: watch::Sender<Mode>,
    writes: AtomicUsize,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Mode {
    Works,
    RefusesWrites,
    /// The next write is made, or not, and its answer is lost; then the store is down.
    LosesAnswer {
        is_written: bool,
    },
    Down,
    /// The next look-up panics.
    Panics,
}

const CONFIG: &str = r#"
[listener.imap]
protocol = "imap"
bind = ["127.0.0.1:10143"]
tls = "implicit"
[destination.old]
host = "localhost"
protocol.imap = { port = 1, tls = "implicit" }
[destination.new]
host = "localhost"
protocol.imap = { port = 2, tls = "implicit" }
[destination.third]
host = "localhost"
protocol.imap = { port = 3, tls = "implicit" }
[routing]
default_destination = "old"
[mapping]
source = "file"
normalize = "lowercase"
[mapping.file]
path = "mapping"
"#;

pub(super) fn options() -> MoveOptions {
    MoveOptions {
        sync: None,
        verify: None,
        hold: Duration::from_secs(30),
        grace: Duration::from_secs(2),
        force: false,
        leave_behind: false,
        compare: None,
    }
}

/// Waits for a move's end.
pub(super) async fn ended(moves: &Moves, id: MoveId) -> MoveRecord {
    let mut changes = moves.subscribe();
    let end = async {
        loop {
            let record = moves.get(id).await.unwrap();
            if !record.is_unfinished() {
                return record;
            }
            // A move that is settled after a restart sends no change.
            let _ = timeout(Duration::from_millis(100), changes.recv()).await;
        }
    };
    timeout(PATIENCE, end).await.expect("the move ends")
}

// === impl World ===

impl World {
    pub(super) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let loaded = config::parse(&folder.path().join("pointsman.toml"), CONFIG.to_owned());
        let plan = Arc::new(loaded.unwrap_or_else(|report| panic!("{}", report.render(false))).plan);
        let store = Arc::new(Memory::default());
        let (router, router_control) =
            Router::new(Arc::clone(&store) as Arc<dyn Store>, Settings::of(&plan), 1_000);
        let (registry, registry_control) = Registry::new(Limits::default());
        let control = Control::new(router_control, registry_control, cluster::Bus::new("test").0);
        let router = Arc::new(router);
        let current = CurrentPlan::new(Arc::new(active(&plan)));
        let moves = open(folder.path().join("moves.sqlite"), &control, &router, &registry, &current).await;
        Self { moves, control, registry, router, store, folder, current }
    }

    pub(super) async fn start(&self, account: &str, options: MoveOptions) -> Result<MoveId, MoveError> {
        let accounts = vec![Arc::from(account)];
        self.moves.start(MoveRequest { accounts, target: "new".into(), options, rollback_of: None }).await
    }

    /// A confirmed session, wherever the account is.
    pub(super) async fn session(&self, account: &str) -> SessionTicket {
        let mut login = self.registry.begin(account, LOGIN.protocol, LOGIN.client).unwrap();
        timeout(PATIENCE, login.wait_admitted()).await.expect("no hold is left").unwrap();
        login.confirm(self.router.resolve(account).await.destination).unwrap()
    }

    pub(super) async fn destination(&self, account: &str) -> String {
        let cached = self.router.resolve(account).await.destination.to_string();
        assert_eq!(cached, self.store.destination(account), "the cache and the store differ");
        cached
    }

    /// Waits until a move has begun a step.
    pub(super) async fn reaches(&self, id: MoveId, step: Step) {
        let mut changes = self.moves.subscribe();
        let reached = async {
            while self.moves.get(id).await.unwrap().step < step {
                drop(changes.recv().await);
            }
        };
        timeout(PATIENCE, reached).await.expect("the step is reached");
    }

    pub(super) async fn batch_until(
        &self,
        name: &str,
        is_wanted: impl Fn(&BatchState) -> bool,
    ) -> BatchState {
        let mut changes = self.moves.subscribe();
        let reached = async {
            loop {
                let state = self.moves.batch(name).await.unwrap();
                if is_wanted(&state) {
                    return state;
                }
                let _ = timeout(Duration::from_millis(100), changes.recv()).await;
            }
        };
        timeout(PATIENCE, reached).await.expect("the batch gets there")
    }

    fn second_journal(&self) -> PathBuf {
        self.folder.path().join("crashed.sqlite")
    }

    /// A journal as a crash leaves it, with one move that has begun `step`.
    pub(super) async fn interrupted_at(&self, step: Step, is_flipped: bool) -> MoveId {
        let journal = Journal::open(&self.second_journal()).await.unwrap();
        let new = NewMove {
            rollback_of: None,
            accounts: vec!["alice@example.org".into()],
            source: "old".into(),
            target: "new".into(),
            options: MoveOptions { verify: Some("true".into()), ..options() },
        };
        let id = journal.add(&[new], None).await.unwrap()[0];
        journal.enter(id, step).await.unwrap();
        if is_flipped {
            self.store.apply(vec![Change::set("alice@example.org", "new")]).await.unwrap();
        }
        id
    }

    /// The moves of a proxy that starts on that journal.
    pub(super) async fn reopened(&self) -> Moves {
        open(self.second_journal(), &self.control, &self.router, &self.registry, &self.current).await
    }
}

async fn open(
    path: PathBuf,
    control: &Control,
    router: &Arc<Router>,
    registry: &Registry,
    current: &CurrentPlan,
) -> Moves {
    let parts = Parts {
        control: control.clone(),
        router: Arc::clone(router),
        registry: registry.clone(),
        current: current.clone(),
    };
    Moves::open(&path, parts).await.unwrap()
}

fn active(plan: &Arc<Plan>) -> ActivePlan {
    tls::provide();
    let material =
        TlsMaterial { tickets: Arc::new(Tickets::new().unwrap()), roots: PlatformRoots::default() };
    let certificates = Certificates::self_signed(&[]).unwrap();
    ActivePlan::new(Arc::clone(plan), &certificates, &material, None).unwrap()
}

// === impl Memory ===

impl Default for Memory {
    fn default() -> Self {
        Self { entries: Mutex::default(), mode: watch::channel(Mode::Works).0, writes: AtomicUsize::new(0) }
    }
}

impl Memory {
    pub(super) fn refuse_writes(&self) {
        self.mode.send_replace(Mode::RefusesWrites);
    }

    pub(super) fn lose_the_answer(&self, is_written: bool) {
        self.mode.send_replace(Mode::LosesAnswer { is_written });
    }

    pub(super) fn panic_once(&self) {
        self.mode.send_replace(Mode::Panics);
    }

    pub(super) fn go_down(&self) {
        self.mode.send_replace(Mode::Down);
    }

    pub(super) fn come_back(&self) {
        self.mode.send_replace(Mode::Works);
    }

    /// Waits until the store is down.
    pub(super) async fn is_down(&self) {
        let mut mode = self.mode.subscribe();
        timeout(PATIENCE, mode.wait_for(|mode| *mode == Mode::Down)).await.expect("a write").unwrap();
    }

    pub(super) fn writes(&self) -> usize {
        self.writes.load(Ordering::SeqCst)
    }

    pub(super) fn destination(&self, account: &str) -> String {
        let entries = self.entries.lock().unwrap();
        entries.get(account).map_or("old", |name| name).to_owned()
    }

    fn write(&self, changes: &[Change]) {
        let mut entries = self.entries.lock().unwrap();
        for change in changes {
            match &change.destination {
                Some(name) => entries.insert(change.identifier.to_string(), Arc::clone(name)),
                None => entries.remove(&*change.identifier),
            };
        }
    }
}

fn unreachable() -> StoreError {
    StoreError::Unreachable("connection reset".into())
}

impl Store for Memory {
    fn lookup<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Name>, StoreError>> {
        Box::pin(async move {
            let mode = *self.mode.borrow();
            match mode {
                Mode::Down => return Err(unreachable()),
                Mode::Panics => {
                    self.mode.send_replace(Mode::Works);
                    panic!("a fault of this program");
                }
                Mode::Works | Mode::RefusesWrites | Mode::LosesAnswer { .. } => {}
            }
            Ok(self.entries.lock().unwrap().get(key).cloned())
        })
    }

    fn apply(&self, changes: Vec<Change>) -> BoxFuture<'_, Result<Applied, StoreError>> {
        Box::pin(async move {
            tokio::task::yield_now().await;
            self.writes.fetch_add(1, Ordering::SeqCst);
            let mode = *self.mode.borrow();
            match mode {
                Mode::Works | Mode::Panics => {
                    self.write(&changes);
                    Ok(Applied { changed: changes.len() })
                }
                Mode::RefusesWrites => Err(StoreError::ReadOnly("it is a test".into())),
                Mode::LosesAnswer { is_written } => {
                    if is_written {
                        self.write(&changes);
                    }
                    self.mode.send_replace(Mode::Down);
                    Err(unreachable())
                }
                Mode::Down => Err(unreachable()),
            }
        })
    }

    fn list(&self, _from: u64, _limit: usize) -> BoxFuture<'_, Result<Listing, StoreError>> {
        Box::pin(async { Ok(Listing::default()) })
    }
}
