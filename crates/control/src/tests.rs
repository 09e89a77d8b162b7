use futures_core::future::BoxFuture;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mapping::store::{Applied, Listing, StoreError};
use mapping::{Change, FileStore, Name, Router, Rules, Settings, Store};
use sessions::{EndReason, Kicked, Limits, LoginTicket, Registry, SessionTicket, Unconfirmed};
use tokio::time::{Instant, timeout};
use types::protocol::Protocol;

use super::*;

mod remote;

const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));

/// Longer than any step of these tests takes.
const TIME_LIMIT: Duration = Duration::from_secs(30);

/// A store in memory that can refuse.
#[derive(Debug, Default)]
struct Memory {
    entries: Mutex<HashMap<String, Name>>,
    fails: AtomicBool,
}

impl Store for Memory {
    fn lookup<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Name>, StoreError>> {
        Box::pin(async move { Ok(self.entries.lock().unwrap().get(key).cloned()) })
    }

    fn apply(&self, changes: Vec<Change>) -> BoxFuture<'_, Result<Applied, StoreError>> {
        Box::pin(async move {
            tokio::task::yield_now().await;
            if self.fails.load(Ordering::SeqCst) {
                return Err(StoreError::Unreachable("connection reset".into()));
            }
            let mut entries = self.entries.lock().unwrap();
            for change in &changes {
                match &change.destination {
                    Some(name) => entries.insert(change.identifier.to_string(), Arc::clone(name)),
                    None => entries.remove(&*change.identifier),
                };
            }
            Ok(Applied { changed: changes.len() })
        })
    }

    fn list(&self, _from: u64, _limit: usize) -> BoxFuture<'_, Result<Listing, StoreError>> {
        Box::pin(async { Ok(Listing::default()) })
    }
}

fn settings() -> Settings {
    Settings {
        rules: Rules::new(["new", "old"].map(Name::from), true, true),
        default: "old".into(),
        positive_ttl: Duration::from_secs(600),
        negative_ttl: Duration::from_secs(600),
        lookup_timeout: Duration::from_secs(5),
    }
}

fn fixture() -> (Control, Registry, Router, Arc<Memory>) {
    let store = Arc::new(Memory::default());
    let (router, router_control) = Router::new(Arc::clone(&store) as Arc<dyn Store>, settings(), 1_000);
    let (registry, registry_control) = Registry::new(Limits::default());
    let control = Control::new(router_control, registry_control, cluster::Bus::new("test").0);
    (control, registry, router, store)
}

/// Begins a login and looks it up; it then waits for its backend.
async fn looked_up(registry: &Registry, router: &Router, identifier: &str) -> (LoginTicket, Name) {
    let mut login = registry.begin(identifier, Protocol::Imap, CLIENT).unwrap();
    login.wait_admitted().await.unwrap();
    let destination = router.resolve(identifier).await.destination;
    (login, destination)
}

async fn session(registry: &Registry, router: &Router, identifier: &str) -> SessionTicket {
    let (login, destination) = looked_up(registry, router, identifier).await;
    login.confirm(destination).unwrap()
}

/// Returns whether the login has to be looked up again when its backend has accepted it.
fn is_outdated((login, destination): (LoginTicket, Name)) -> bool {
    matches!(login.confirm(destination), Err(Unconfirmed::Outdated(_)))
}

async fn asked_to_end(session: &SessionTicket) -> Option<EndReason> {
    timeout(Duration::ZERO, session.ended()).await.ok()
}

#[tokio::test(start_paused = true)]
async fn a_change_catches_the_logins_that_it_concerns_and_no_others() {
    let everyone = ["alice@a.example", "bob@a.example", "carol@b.example", "@a.example"];
    for (change, caught) in [
        (Change::set("Alice@A.example", "new"), &everyone[..1]),
        (Change::set("@A.example", "new"), &[everyone[0], everyone[1], everyone[3]]),
        (Change::remove("@b.example"), &everyone[2..3]),
        (Change::set("@example", "new"), &[]),
    ] {
        let (control, registry, router, _) = fixture();
        let there = session(&registry, &router, "alice@a.example").await;
        let mut logins = Vec::new();
        for identifier in everyone {
            logins.push((identifier, looked_up(&registry, &router, identifier).await));
        }
        control.execute(Order::Change(vec![change.clone()])).await.unwrap();
        let found: Vec<_> =
            logins.into_iter().filter_map(|(name, it)| is_outdated(it).then_some(name)).collect();
        assert_eq!(found, caught, "{change:?}");
        assert_eq!(asked_to_end(&there).await, None, "sessions go on");
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_may_have_changed_catches_logins_too() {
    let (control, registry, router, store) = fixture();
    let login = looked_up(&registry, &router, "alice").await;
    control.execute(Order::Invalidate(vec!["Alice".into()])).await.unwrap();
    assert!(is_outdated(login));
    for order in ["flush", "reload", "import"] {
        let login = looked_up(&registry, &router, "alice").await;
        match order {
            "flush" => drop(control.execute(Order::Flush).await.unwrap()),
            "reload" => assert_eq!(control.execute(Order::Reload).await.unwrap().loaded(), None),
            _ => {
                let many = (0..=1_000).map(|number| Change::set(format!("user{number}"), "new"));
                control.execute(Order::Change(many.collect())).await.unwrap();
            }
        }
        assert!(is_outdated(login), "{order}");
    }
    let login = looked_up(&registry, &router, "alice").await;
    store.fails.store(true, Ordering::SeqCst);
    assert!(control.execute(Order::set("alice", "new")).await.is_err());
    assert!(is_outdated(login), "a write whose answer was lost may have been made");
}

#[tokio::test]
async fn an_edit_by_hand_catches_the_logins_that_it_concerns() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mapping");
    std::fs::write(&path, "alice old\nbob old\n").unwrap();
    let store = FileStore::open(&path, settings().rules).unwrap();
    let (registry, registry_control) = Registry::new(Limits::default());
    let (router, router_control) = Router::new(Arc::new(store.clone()), settings(), 1_000);
    let control = Control::new(router_control, registry_control, cluster::Bus::new("test").0);
    control.follow(&store);
    let (alice, bob) =
        (looked_up(&registry, &router, "alice").await, looked_up(&registry, &router, "bob").await);
    std::fs::write(&path, "alice new\nbob old\n").unwrap();
    store.reload().await.unwrap();
    assert_eq!((is_outdated(alice), is_outdated(bob)), (true, false));
}

#[tokio::test(start_paused = true)]
async fn an_order_whose_giver_leaves_is_carried_out() {
    let (control, registry, router, _) = fixture();
    let login = looked_up(&registry, &router, "alice").await;
    assert!(timeout(Duration::ZERO, control.execute(Order::set("alice", "new"))).await.is_err());
    while &*router.resolve("alice").await.destination == "old" {
        tokio::task::yield_now().await;
    }
    // The write is heard of before the bump; both are in one task, which goes on at its next turn.
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    assert!(is_outdated(login));
}

#[tokio::test(start_paused = true)]
async fn a_kick_ends_what_fits_and_nobody_when_nobody_is_named() {
    for (filter, ended) in [
        (SessionFilter::account("ALICE@a.example"), "alice@a.example"),
        (SessionFilter::account("*@A.example"), "alice@a.example bob@a.example"),
        (SessionFilter::account("*"), ""),
        (SessionFilter::account("*@"), ""),
        (SessionFilter::default(), ""),
        (
            SessionFilter { destination: Some("old".into()), ..SessionFilter::default() },
            "alice@a.example bob@a.example dora@ab.example",
        ),
        (
            SessionFilter {
                client: Some("192.0.2.7".parse().unwrap()),
                destination: Some("new".into()),
                ..SessionFilter::default()
            },
            "carol@b.example",
        ),
        (
            SessionFilter {
                client: Some("127.0.0.1".parse().unwrap()),
                ..SessionFilter::account("*@a.example")
            },
            "",
        ),
    ] {
        let (control, registry, router, _) = fixture();
        control.execute(Order::set("carol@b.example", "new")).await.unwrap();
        let mut sessions = Vec::new();
        for identifier in ["alice@a.example", "bob@a.example", "carol@b.example", "dora@ab.example"] {
            sessions.push((identifier, session(&registry, &router, identifier).await));
        }
        let kicked = control.execute(Order::Kick(filter.clone())).await.unwrap().kicked().counts;
        let mut found = Vec::new();
        for (identifier, session) in &sessions {
            if asked_to_end(session).await == Some(EndReason::Kick) {
                found.push(*identifier);
            }
        }
        assert_eq!(found.join(" "), ended, "{filter:?}");
        assert_eq!(kicked, Kicked { sessions: found.len(), logins: 0 }, "{filter:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn holds_and_delays_find_the_account_in_any_spelling() {
    let (control, registry, router, _) = fixture();
    let accounts = vec!["Alice".into(), "ALICE".into()];
    let order = Order::hold(accounts, Duration::from_secs(60));
    let hold = control.execute(order).await.unwrap().held().unwrap();
    assert_eq!(hold.accounts().len(), 1);
    let mut login = registry.begin("alice", Protocol::Imap, CLIENT).unwrap();
    assert!(timeout(Duration::from_secs(1), login.wait_admitted()).await.is_err(), "held");
    control.execute(Order::set("alice", "new")).await.unwrap();
    hold.release().await.unwrap();
    login.wait_admitted().await.unwrap();
    assert_eq!(&*router.resolve("alice").await.destination, "new");

    let delay = Duration::from_secs(5);
    control.execute(Order::Delay { account: "BOB".into(), delay }).await.unwrap();
    let began = Instant::now();
    registry.begin("bob", Protocol::Imap, CLIENT).unwrap().wait_admitted().await.unwrap();
    assert_eq!(began.elapsed(), Duration::from_secs(5));
}

/// Logins at full speed while the account moves to and fro: once a change and a kick are answered, every
/// session that was not asked to end is on the new destination.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn after_a_change_and_a_kick_nobody_is_left_behind() {
    const ROUNDS: usize = 2_000;
    let (control, registry, router, _) = fixture();
    let is_over = Arc::new(AtomicBool::new(false));
    let logins: Vec<_> = (0..4)
        .map(|_| {
            let registry = registry.clone();
            let router = router.clone();
            let is_over = Arc::clone(&is_over);
            tokio::spawn(async move {
                let mut confirmed = 0_usize;
                while !is_over.load(Ordering::SeqCst) {
                    let (login, destination) = looked_up(&registry, &router, "alice").await;
                    tokio::task::yield_now().await;
                    if let Ok(session) = login.confirm(destination) {
                        confirmed += 1;
                        session.ended().await;
                    }
                }
                confirmed
            })
        })
        .collect();
    for round in 0..ROUNDS {
        let destination = if round % 2 == 0 { "new" } else { "old" };
        control.execute(Order::set("alice", destination)).await.unwrap();
        let before: Vec<_> = registry.sessions().iter().map(|session| session.id).collect();
        control.execute(Order::Kick(SessionFilter::account("alice"))).await.unwrap();
        let wrong = |session: &sessions::SessionInfo| {
            !before.contains(&session.id) && &*session.destination != destination
        };
        assert!(registry.sessions_where(1, wrong).is_empty(), "round {round}");
        // A session that was not asked to end would stay for ever.
        let is_stale = |session: &sessions::SessionInfo| &*session.destination != destination;
        let gone = async {
            while !registry.sessions_where(1, is_stale).is_empty() {
                tokio::task::yield_now().await;
            }
        };
        timeout(TIME_LIMIT, gone).await.expect("every session on the wrong side was asked to end");
    }
    is_over.store(true, Ordering::SeqCst);
    while logins.iter().any(|login| !login.is_finished()) {
        control.execute(Order::Kick(SessionFilter::account("alice"))).await.unwrap();
        tokio::task::yield_now().await;
    }
    let mut confirmed = 0;
    for login in logins {
        confirmed += login.await.unwrap();
    }
    assert!(confirmed > ROUNDS / 4, "{confirmed} logins were confirmed");
}

#[tokio::test(start_paused = true)]
async fn a_dropped_hold_releases_and_an_expired_one_does_not() {
    let (control, registry, ..) = fixture();
    let order = Order::hold(vec!["alice".into()], Duration::from_secs(60));
    let hold = control.execute(order).await.unwrap().held().unwrap();
    assert_eq!(hold.sessions_left(), 0);
    tokio::time::advance(Duration::from_secs(61)).await;
    // Another hold clears expired ones away, but only those of other proxies.
    let other = Order::hold(vec!["bob".into()], Duration::from_secs(60));
    let other = control.execute(other).await.unwrap().held().unwrap();
    let again = Order::hold(vec!["alice".into()], Duration::from_secs(60));
    assert!(matches!(control.execute(again.clone()).await, Err(OrderError::Hold(_))), "still held");
    let mut login = registry.begin("alice", Protocol::Imap, CLIENT).unwrap();
    assert!(login.wait_admitted().await.is_err(), "a login does not pass an expired hold");
    drop(hold);
    login.wait_admitted().await.unwrap();
    drop((control.execute(again).await.unwrap(), other));
}

#[tokio::test(start_paused = true)]
async fn a_drain_ends_every_session() {
    let (control, registry, router, _) = fixture();
    let session = session(&registry, &router, "alice").await;
    control.execute(Order::Drain { spread: Duration::ZERO }).await.unwrap();
    assert_eq!(asked_to_end(&session).await, Some(EndReason::Drain));
}
