//! What counting costs: `cargo run --release -p pointsman-observe --example cost`.
//!
//! Prints nanoseconds for what happens each time that bytes pass, once a login, and at a scrape. For comparison: a
//! read and a write on a socket take two system calls, some thousand nanoseconds.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use observe::metrics::{Facts, Meters, Step, render};

const ROUNDS: u32 = 2_000_000;

fn main() {
    let name = |kind: &str, number: usize| Arc::<str>::from(format!("{kind}-{number}"));
    let listeners: Vec<_> = (0..8).map(|number| (name("listener", number), "imap")).collect();
    let legs: Vec<_> = (0..10).map(|number| (name("destination", number), "imap")).collect();
    let meters = Arc::new(Meters::new(&listeners, &legs, None));
    let session_guard = meters.route("listener-0", "destination-0").begin();

    report("bytes pass, one thread", clock(|| session_guard.moved(black_box(10), black_box(1000))));
    let contended = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..2)
            .map(|_| scope.spawn(|| clock(|| session_guard.moved(black_box(10), black_box(1000)))))
            .collect();
        threads.into_iter().filter_map(|thread| thread.join().ok()).max().unwrap_or_default()
    });
    report("bytes pass, two threads at the same counters", contended);
    report("everything of one login", clock(|| login(&meters)));
    let began = Instant::now();
    let page = render(&meters, Facts::default());
    println!("a scrape of 8 listeners and 10 destinations: {} bytes in {:?}", page.len(), began.elapsed());
}

fn login(meters: &Arc<Meters>) {
    let listener = meters.listener(black_box("listener-3"));
    let mut connection_guard = listener.enter();
    let leg = meters.leg("imap", black_box("destination-4"));
    leg.login("PLAIN", types::outcome::LoginResult::Accepted);
    leg.opened(Duration::from_millis(1), Some(Duration::from_millis(1)), Duration::from_millis(1));
    leg.authenticated(Duration::from_millis(1));
    for step in Step::ALL {
        listener.took(step, Duration::from_millis(1));
    }
    connection_guard.bridged();
    meters.route("listener-3", "destination-4").begin().ended(types::outcome::SessionEnd::ClientClosed);
}

fn clock(mut what: impl FnMut()) -> Duration {
    let began = Instant::now();
    for _ in 0..ROUNDS {
        what();
    }
    began.elapsed() / ROUNDS
}

fn report(what: &str, time: Duration) {
    println!("{what}: {} ns", time.as_nanos());
}
