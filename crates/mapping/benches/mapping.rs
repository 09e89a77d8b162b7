//! Measures a mapping of a million accounts: loading, memory, lookups and changes. Prints one line per figure.
//!
//! Run it with `make bench-mapping`. The file is in the system's temporary folder, so that disk is measured.

use std::fmt::Write;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mapping::cache::{Cache, CachePolicy};
use mapping::store::Store;
use mapping::{Change, FileStore, Name, Router, Rules, Settings};

const ENTRIES: usize = 1_000_000;

/// Concurrent changes.
const CHANGES: usize = 1_000;

/// Lookups of one measurement.
const LOOKUPS: usize = 2_000_000;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("mapping");
    let mut text = String::with_capacity(ENTRIES * 32);
    for number in 0..ENTRIES {
        writeln!(text, "{} new", account(number)).expect("writing to a string cannot fail");
    }
    std::fs::write(&path, &text).expect("space for the file");
    println!("{ENTRIES} entries of 25 bytes, {} MiB", text.len() >> 20);
    drop(text);

    let store = load(&path);
    lookups(&store);
    runtime.block_on(async {
        writes(&store).await;
        cached(store).await;
    });
    invalidation(&runtime);
}

/// 25 bytes.
fn account(number: usize) -> String {
    format!("user{number:07}@example01.org")
}

fn rules() -> Rules {
    Rules::new(["new", "old"].map(Name::from), true, true)
}

fn load(path: &Path) -> FileStore {
    let before = resident();
    let started = Instant::now();
    let store = FileStore::open(path, rules()).expect("a valid file");
    report("load", started.elapsed(), 1);
    println!("memory of the table          {:>9} bytes an entry", store.heap_bytes() / ENTRIES);
    if let (Some(before), Some(after)) = (before, resident()) {
        println!("growth of the process        {:>9} bytes an entry", after.saturating_sub(before) / ENTRIES);
    }
    store
}

/// Resident memory in bytes.
fn resident() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<usize>().ok().map(|kilobytes| kilobytes * 1_024)
}

/// Returns names spread over the table, so that the processor's caches do not hold the entries.
fn names() -> Vec<String> {
    (0..LOOKUPS / 10).map(|number| account(number * 7_919 % ENTRIES)).collect()
}

fn lookups(store: &FileStore) {
    let names = names();
    let look_up_all = || {
        for name in names.iter().cycle().take(LOOKUPS) {
            black_box(store.get(name));
        }
    };
    let started = Instant::now();
    look_up_all();
    report("lookup in the table", started.elapsed(), LOOKUPS);
    let started = Instant::now();
    std::thread::scope(|scope| {
        scope.spawn(look_up_all);
        scope.spawn(look_up_all);
    });
    report("the same from two threads", started.elapsed(), LOOKUPS);
}

async fn writes(store: &FileStore) {
    let set = |number: usize, name: &str| Change::set(account(number), name);
    let started = Instant::now();
    store.apply(vec![set(0, "old")]).await.expect("written");
    let one = started.elapsed();
    report("one change", one, 1);
    let started = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for number in 1..=CHANGES {
        let store = store.clone();
        let change = set(number * 997 % ENTRIES, "old");
        tasks.spawn(async move { store.apply(vec![change]).await.expect("written") });
    }
    while tasks.join_next().await.is_some() {}
    let many = started.elapsed();
    report("1000 changes at once", many, 1);
    println!("                             {:>9.1} times one change", many.as_secs_f64() / one.as_secs_f64());
}

async fn cached(store: FileStore) {
    let hour = Duration::from_secs(3_600);
    let settings = Settings {
        rules: rules(),
        default: "old".into(),
        positive_ttl: hour,
        negative_ttl: hour,
        lookup_timeout: hour,
    };
    let (router, _control) = Router::new(Arc::new(store), settings, LOOKUPS);
    let names = names();
    for pass in ["login, answered by the store", "login, answered from the cache"] {
        let started = Instant::now();
        for name in &names {
            black_box(router.resolve(name).await);
        }
        report(pass, started.elapsed(), names.len());
    }
}

/// Invalidation takes the same time however much is cached.
fn invalidation(runtime: &tokio::runtime::Runtime) {
    const TIMES: usize = 10_000;
    for size in [1_000, ENTRIES] {
        let cache = Cache::new(2 * size);
        let hour = Duration::from_secs(3_600);
        let policy = CachePolicy { generation: 0, positive_ttl: hour, negative_ttl: hour };
        runtime.block_on(async {
            for number in 0..size {
                cache.lookup(&account(number), &policy, async || Ok(Some("new".into()))).await;
            }
        });
        let names: Vec<_> = (0..TIMES).map(|number| account(number * 7 % size)).collect();
        let started = Instant::now();
        for name in &names {
            cache.invalidate(name);
        }
        report(&format!("invalidate one of {size}"), started.elapsed(), TIMES);
        let started = Instant::now();
        for _ in 0..TIMES {
            cache.flush();
        }
        report(&format!("flush {size}"), started.elapsed(), TIMES);
    }
}

fn report(what: &str, took: Duration, times: usize) {
    let each = took.as_secs_f64() / times as f64;
    let (value, unit) = if each < 1e-5 { (each * 1e9, "ns") } else { (each * 1e3, "ms") };
    println!("{what:<32} {value:>9.1} {unit}");
}
