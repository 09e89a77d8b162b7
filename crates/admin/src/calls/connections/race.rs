//! Kicks against concurrent logins of the same account.

use futures_core::future::BoxFuture;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use cluster::Bus;
use control::{Control, Order, SessionFilter};
use mapping::store::{Applied, Listing, StoreError};
use mapping::{Change, Router, RouterControl, Rules, Settings, Store};
use plan::Name;
use sessions::{Limits, Registry, Unconfirmed};
use tokio::time::timeout;
use types::protocol::Protocol;

use super::kick_and_wait;

const ALICE: &str = "alice@example.org";
const CLIENT: std::net::IpAddr = std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

/// A store in memory that yields in a lookup and in a write, so that they can overlap.
#[derive(Debug, Default)]
struct Memory(Mutex<HashMap<Arc<str>, Name>>);

impl Store for Memory {
    fn lookup<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Name>, StoreError>> {
        Box::pin(async move {
            tokio::task::yield_now().await;
            let found = self.0.lock().expect("no panic under it").get(key).cloned();
            tokio::task::yield_now().await;
            Ok(found)
        })
    }

    fn apply(&self, changes: Vec<Change>) -> BoxFuture<'_, Result<Applied, StoreError>> {
        Box::pin(async move {
            tokio::task::yield_now().await;
            let mut entries = self.0.lock().expect("no panic under it");
            for change in &changes {
                match &change.destination {
                    Some(name) => entries.insert(Arc::clone(&change.identifier), Arc::clone(name)),
                    None => entries.remove(&change.identifier),
                };
            }
            Ok(Applied { changed: changes.len() })
        })
    }

    fn list(&self, _: u64, _: usize) -> BoxFuture<'_, Result<Listing, StoreError>> {
        Box::pin(async { Ok(Listing::default()) })
    }
}

fn router() -> (Router, RouterControl) {
    let long = Duration::from_secs(600);
    let settings = Settings {
        rules: Rules::new(["new", "old"].map(Name::from), true, false),
        default: Name::from("new"),
        positive_ttl: long,
        negative_ttl: long,
        lookup_timeout: long,
    };
    Router::new(Arc::new(Memory::default()), settings, 100)
}

/// Counts the sessions of one account by destination.
fn places(registry: &Registry) -> BTreeMap<String, usize> {
    let mut places = BTreeMap::new();
    for info in registry.sessions_where(usize::MAX, |info| info.account.as_deref() == Some(ALICE)) {
        *places.entry(info.destination.to_string()).or_default() += 1;
    }
    places
}

/// Logs in over and over, as crate `placement` does: wait, look up, log in at a backend, confirm, bridge.
async fn log_in_repeatedly(registry: Registry, router: Router, is_over: Arc<AtomicBool>) -> usize {
    let mut sessions = 0;
    'login: while !is_over.load(Ordering::Relaxed) {
        let Ok(mut login) = registry.begin(ALICE, Protocol::Imap, CLIENT) else { continue };
        let ticket = loop {
            login.wait_admitted().await.expect("the account is not held");
            let destination = router.resolve(ALICE).await.destination;
            // The backend's response takes a varying time, in which other tasks run.
            yield_times(sessions * 7 % 17).await;
            match login.confirm(destination) {
                Ok(ticket) => break ticket,
                Err(Unconfirmed::Outdated(again)) => login = again,
                Err(Unconfirmed::Busy(_)) => continue 'login,
            }
        };
        sessions += 1;
        // The bridge: some sessions end by themselves, the others shortly after they are asked to.
        tokio::select! {
            () = yield_times(sessions * 5 % 11), if sessions % 3 > 0 => {}
            _ = ticket.ended() => tokio::task::yield_now().await,
        }
        drop(ticket);
    }
    sessions
}

async fn yield_times(turns: usize) {
    for _ in 0..turns {
        tokio::task::yield_now().await;
    }
}

/// Ten thousand rounds of `PUT` and `kick` against logins of the same account: after both have returned, none
/// of its sessions is on the old destination, and none gets there until the next `PUT`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_kick_no_session_is_on_the_old_destination() {
    const ROUNDS: usize = 10_000;
    const LOGINS: usize = 4;
    let (registry, registry_control) = Registry::new(Limits::default());
    let (router, router_control) = router();
    let control = Control::new(router_control, registry_control, Bus::new("race").0);
    let filter = SessionFilter::account(ALICE);
    let is_over = Arc::new(AtomicBool::new(false));
    let logins: Vec<_> = (0..LOGINS)
        .map(|_| tokio::spawn(log_in_repeatedly(registry.clone(), router.clone(), Arc::clone(&is_over))))
        .collect();
    let began = Instant::now();
    let mut kicked = 0;
    let mut caught = 0;
    for round in 0..ROUNDS {
        let (old, new) = if round % 2 == 0 { ("old", "new") } else { ("new", "old") };
        control.execute(Order::set(ALICE, new)).await.expect("a store that takes it");
        let result = kick_and_wait(&control, filter.clone()).await.expect("a kick cannot fail");
        kicked += result.kicked;
        caught += result.logins;
        assert_eq!(result.ending, 0, "round {round}");
        for _ in 0..12 {
            let places = places(&registry);
            assert_eq!(places.get(old), None, "round {round}: {places:?}, expected {new} alone");
            tokio::task::yield_now().await;
        }
    }
    is_over.store(true, Ordering::Relaxed);
    let mut sessions = 0;
    for mut login in logins {
        let ended = async {
            loop {
                tokio::select! {
                    ended = &mut login => return ended.expect("no panic"),
                    () = tokio::task::yield_now() => {
                        control.execute(Order::Kick(filter.clone())).await.expect("a kick cannot fail");
                    },
                }
            }
        };
        sessions += timeout(Duration::from_secs(30), ended).await.expect("it ends");
    }
    println!(
        "{ROUNDS} rounds in {:?}: {sessions} sessions, {kicked} kicked, {caught} logins caught under way",
        began.elapsed()
    );
    assert!(
        kicked > ROUNDS / 10 && caught > ROUNDS / 100,
        "the race took place: {kicked} kicked, {caught} caught"
    );
}
