use futures_core::future::BoxFuture;
use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::AtomicU64;

use tokio::sync::Semaphore;
use tokio::time::{Instant, advance};

use super::*;
use crate::store::{Applied, Change};

/// A store whose answers the test decides.
#[derive(Debug)]
struct Scripted {
    entries: Mutex<HashMap<String, Name>>,
    is_down: AtomicBool,
    lookups: AtomicU64,
    epoch: AtomicU64,
    /// A lookup reads its entry, then waits here for a permit to answer.
    permits: Semaphore,
}

// === impl Scripted ===

impl Scripted {
    fn new(entries: &[(&str, &str)]) -> Arc<Self> {
        let entries = entries.iter().map(|(key, name)| ((*key).to_owned(), Name::from(*name))).collect();
        Arc::new(Self {
            entries: Mutex::new(entries),
            is_down: AtomicBool::new(false),
            lookups: AtomicU64::new(0),
            epoch: AtomicU64::new(0),
            permits: Semaphore::new(Semaphore::MAX_PERMITS),
        })
    }

    fn lookups(&self) -> u64 {
        self.lookups.load(Ordering::SeqCst)
    }

    fn go_down(&self, is_down: bool) {
        self.is_down.store(is_down, Ordering::SeqCst);
    }

    fn write(&self, key: &str, name: &str) {
        self.entries.lock().unwrap().insert(key.to_owned(), name.into());
    }

    fn hold_answers(&self) {
        self.permits.forget_permits(Semaphore::MAX_PERMITS);
    }

    fn let_answers_go(&self) {
        self.permits.add_permits(1_000);
    }
}

impl Store for Scripted {
    fn lookup<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Name>, StoreError>> {
        Box::pin(async move {
            self.lookups.fetch_add(1, Ordering::SeqCst);
            let answer = self.entries.lock().unwrap().get(key).cloned();
            let _permit = self.permits.acquire().await.unwrap();
            if self.is_down.load(Ordering::SeqCst) {
                return Err(StoreError::Unreachable("connection refused".into()));
            }
            Ok(answer)
        })
    }

    fn apply(&self, changes: Vec<Change>) -> BoxFuture<'_, Result<Applied, StoreError>> {
        Box::pin(async move {
            if self.is_down.load(Ordering::SeqCst) {
                return Err(StoreError::Unreachable("connection refused".into()));
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

    fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::SeqCst)
    }
}

fn settings(domains: bool) -> Settings {
    Settings {
        rules: Rules::new(["new", "old"].map(Name::from), true, domains),
        default: "old".into(),
        positive_ttl: Duration::from_secs(600),
        negative_ttl: Duration::from_secs(30),
        lookup_timeout: Duration::from_secs(5),
    }
}

fn router(store: &Arc<Scripted>) -> RouterControl {
    Router::new(Arc::clone(store) as Arc<dyn Store>, settings(true), 1_000).1
}

/// Returns `destination reason`, with `!` if the answer came from memory.
async fn resolved(router: &Router, identifier: &str) -> String {
    let Resolution { destination, reason, cached } = router.resolve(identifier).await;
    format!("{destination} {}{}", reason.label(), if cached { "!" } else { "" })
}

#[tokio::test(start_paused = true)]
async fn exact_over_domain_over_default() {
    let store = Scripted::new(&[
        ("alice@a.example", "new"),
        ("@a.example", "old"),
        ("@b.example", "new"),
        ("eve", "gone"),
    ]);
    let router = router(&store);
    for (identifier, expected) in [
        ("alice@a.example", "new entry"),
        ("bob@a.example", "old domain"),
        ("carol@b.example", "new domain"),
        ("carol@c.example", "old default"),
        ("carol", "old default"),
        ("eve", "old undeclared"),
        ("@b.example", "new entry!"),
    ] {
        assert_eq!(resolved(&router, identifier).await, expected, "{identifier}");
        let again = resolved(&router, identifier).await;
        assert_eq!(again, format!("{}!", expected.trim_end_matches('!')), "{identifier}");
    }
    let stats = router.stats();
    assert_eq!((stats.undeclared, stats.store_errors, stats.store_down), (2, 0, 0));
    assert_eq!(stats.misses, store.lookups());

    router.set_plan(&(Arc::clone(&store) as Arc<dyn Store>), &settings(false));
    assert_eq!(resolved(&router, "carol@b.example").await, "old default", "domains are off");
}

#[tokio::test(start_paused = true)]
async fn a_domain_change_affects_its_accounts_and_no_others() {
    let store = Scripted::new(&[("alice@b.example", "old"), ("carol@bb.example", "old")]);
    let router = router(&store);
    let everyone = ["alice@b.example", "bob@b.example", "carol@bb.example", "dora@bb.example"];
    for identifier in everyone {
        router.resolve(identifier).await;
    }
    for (change, expected) in [
        (Change::set("@B.example", "new"), ["old entry!", "new domain", "old entry!", "old default!"]),
        (Change::remove("alice@b.example"), ["new domain", "new domain!", "old entry!", "old default!"]),
        (Change::remove("@b.example"), ["old default", "old default!", "old entry!", "old default!"]),
    ] {
        router.apply(vec![change.clone()]).await.unwrap();
        for (identifier, expected) in everyone.into_iter().zip(expected) {
            assert_eq!(resolved(&router, identifier).await, expected, "{identifier} after {change:?}");
        }
    }
    store.write("@b.example", "new");
    assert_eq!(resolved(&router, "bob@b.example").await, "old default!");
    router.invalidate("@b.example");
    assert_eq!(resolved(&router, "bob@b.example").await, "new domain");
}

#[tokio::test(start_paused = true)]
async fn the_second_login_uses_the_cache() {
    let store = Scripted::new(&[("@b.example", "new")]);
    let router = router(&store);
    assert_eq!(resolved(&router, "carol@b.example").await, "new domain");
    assert_eq!(resolved(&router, "carol@b.example").await, "new domain!");
    assert_eq!(resolved(&router, "dora@b.example").await, "new domain", "only the domain entry was cached");
    assert_eq!(store.lookups(), 3);
    let stats = router.stats();
    assert_eq!((stats.hits, stats.misses, stats.cache_entries), (3, 3, 3));
}

#[tokio::test(start_paused = true)]
async fn an_outage_does_not_send_a_moved_account_back() {
    let store = Scripted::new(&[("alice", "new"), ("@b.example", "new")]);
    let router = router(&store);
    for identifier in ["alice", "carol@b.example"] {
        resolved(&router, identifier).await;
    }
    advance(Duration::from_secs(601)).await;
    store.go_down(true);
    for (identifier, expected) in [
        ("alice", "new store_down_stale"),
        ("alice", "new store_down_stale!"),
        ("carol@b.example", "new store_down_stale"),
        ("dora@b.example", "new store_down_stale"),
        ("bob", "old store_down"),
        ("bob", "old store_down!"),
    ] {
        assert_eq!(resolved(&router, identifier).await, expected, "{identifier}");
    }
    let stats = router.stats();
    assert_eq!((stats.store_errors, stats.store_down), (4, 6));
    store.go_down(false);
    assert_eq!(
        resolved(&router, "bob").await,
        "old store_down!",
        "the store is not queried for five seconds"
    );
    advance(Duration::from_secs(5)).await;
    assert_eq!(resolved(&router, "alice").await, "new entry");
    assert_eq!(resolved(&router, "bob").await, "old default");
}

#[tokio::test(start_paused = true)]
async fn the_wait_for_a_silent_store_is_limited() {
    let store = Scripted::new(&[("alice", "new")]);
    let router = router(&store);
    store.hold_answers();
    let began = Instant::now();
    assert_eq!(resolved(&router, "alice").await, "old store_down");
    assert_eq!(began.elapsed(), Duration::from_secs(5));
    assert_eq!(resolved(&router, "alice").await, "old store_down!");
    assert_eq!(began.elapsed(), Duration::from_secs(5));
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_logins_make_one_lookup() {
    let store = Scripted::new(&[("alice", "new")]);
    let router = router(&store);
    store.hold_answers();
    let logins: Vec<_> = (0..10_000)
        .map(|_| {
            let router = router.clone();
            tokio::spawn(async move { resolved(&router, "alice").await })
        })
        .collect();
    tokio::task::yield_now().await;
    store.let_answers_go();
    for login in logins {
        // Every login waits for the shared lookup; none finds the answer cached.
        assert_eq!(login.await.unwrap(), "new entry");
    }
    assert_eq!((store.lookups(), router.stats().misses), (1, 10_000));
}

/// Waits until the store was queried `count` times.
async fn until_queried(store: &Scripted, count: u64) {
    for _ in 0..1_000 {
        if store.lookups() == count {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("queried {} times, expected {count}", store.lookups());
}

fn log_in(router: &Router) -> tokio::task::JoinHandle<String> {
    let router = router.clone();
    tokio::spawn(async move { resolved(&router, "alice").await })
}

/// `change` overtakes a lookup that has read the old answer. That answer must not be used afterwards, neither from the
/// cache nor by a login that starts while the lookup is in flight.
async fn overtaken(change: impl AsyncFn(&RouterControl, &Arc<Scripted>)) {
    for starts_meanwhile in [false, true] {
        let store = Scripted::new(&[("alice", "old")]);
        let router = router(&store);
        store.hold_answers();
        let early = log_in(&router);
        until_queried(&store, 1).await;
        change(&router, &store).await;
        let meanwhile = starts_meanwhile.then(|| log_in(&router));
        until_queried(&store, if starts_meanwhile { 2 } else { 1 }).await;
        store.let_answers_go();
        assert_eq!(early.await.unwrap(), "old entry", "the lookup began before the change");
        if let Some(meanwhile) = meanwhile {
            assert_eq!(meanwhile.await.unwrap(), "new entry", "the login did not join the earlier lookup");
            assert_eq!(resolved(&router, "alice").await, "new entry!");
        } else {
            assert_eq!(resolved(&router, "alice").await, "new entry", "the early answer was not cached");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_lookup_from_before_a_change_is_not_used_after_it() {
    overtaken(async |router, _| {
        router.apply(vec![Change::set("Alice", "new")]).await.unwrap();
    })
    .await;
    overtaken(async |router, store| {
        store.write("alice", "new");
        router.invalidate("alice");
    })
    .await;
    overtaken(async |router, store| {
        store.write("alice", "new");
        router.flush();
    })
    .await;
    overtaken(async |_, store| {
        store.write("alice", "new");
        store.epoch.fetch_add(1, Ordering::SeqCst);
    })
    .await;
    overtaken(async |router, store| {
        store.write("alice", "new");
        router.set_plan(&(Arc::clone(store) as Arc<dyn Store>), &settings(true));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_written_entry_counts_in_an_outage_that_follows_immediately() {
    let store = Scripted::new(&[("alice", "old")]);
    let router = router(&store);
    assert_eq!(resolved(&router, "alice").await, "old entry");
    assert_eq!(router.apply(vec![Change::set("Alice", "new")]).await.unwrap(), Applied { changed: 1 });
    store.go_down(true);
    assert_eq!(resolved(&router, "alice").await, "new store_down_stale");
    assert!(router.apply(vec![Change::remove("alice")]).await.is_err());
    assert_eq!(resolved(&router, "alice").await, "new store_down_stale");
}

#[tokio::test(start_paused = true)]
async fn a_plan_without_the_destination_uses_the_default() {
    let store = Scripted::new(&[("alice", "new")]);
    let router = router(&store);
    assert_eq!(resolved(&router, "alice").await, "new entry");
    let fewer = Settings { rules: Rules::new([Name::from("old")], true, true), ..settings(true) };
    router.set_plan(&(Arc::clone(&store) as Arc<dyn Store>), &fewer);
    assert_eq!(resolved(&router, "alice").await, "old undeclared");
    assert_eq!(router.normalize("ALICE@Ö.example"), "alice@ö.example");
}

/// Writers and readers run at full speed: once a write is acknowledged, every later resolution returns its value.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_answer_is_older_than_the_last_write() {
    let store = Scripted::new(&[]);
    let router = Arc::new(router(&store));
    let writers = (0..4).map(|number| {
        let router = Arc::clone(&router);
        tokio::spawn(async move {
            let identifier = format!("user{number}");
            for round in 0..500 {
                let name = if round % 2 == 0 { "new" } else { "old" };
                router.apply(vec![Change::set(identifier.as_str(), name)]).await.unwrap();
                let now = router.resolve(&identifier).await;
                assert_eq!((&*now.destination, now.reason), (name, ResolutionReason::Entry), "round {round}");
            }
        })
    });
    let readers = (0..4).map(|number| {
        let router = Arc::clone(&router);
        tokio::spawn(async move {
            let identifier = format!("user{number}");
            for round in 0..5_000 {
                router.resolve(&identifier).await;
                if round % 64 == 0 {
                    router.invalidate(&identifier);
                }
                tokio::task::yield_now().await;
            }
        })
    });
    let tasks: Vec<_> = writers.chain(readers).collect();
    for task in tasks {
        task.await.unwrap();
    }
}
