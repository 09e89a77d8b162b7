//! Plays every interleaving of lookups and writes: in none is an answer from before a write used after it.
//!
//! The cache changes only under a lock, and a lookup waits in only two places: before it reads the store, and between
//! reading and storing the answer. These steps therefore cover every interleaving of threads.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use super::*;

/// An actor takes its steps in order.
#[derive(Clone, Copy, Debug)]
enum Actor {
    /// Starts a lookup, reads the store, completes.
    Reader,
    /// Starts a lookup and cancels it.
    Canceller,
    /// Writes to the store, then updates the cache. After that the write is acknowledged.
    Writer(CacheUpdate),
}

/// How a write updates the cache.
#[derive(Clone, Copy, Debug)]
enum CacheUpdate {
    RecordWrite,
    Invalidate,
    Flush,
}

const UPDATES: [CacheUpdate; 3] = [CacheUpdate::RecordWrite, CacheUpdate::Invalidate, CacheUpdate::Flush];

/// Runs steps one by one. The store holds the number of the last write.
struct Simulation<'c> {
    cache: &'c Cache,
    store: Rc<Cell<u64>>,
    /// The last acknowledged write.
    acknowledged: u64,
    lookups: Vec<Option<PendingLookup<'c>>>,
}

struct PendingLookup<'c> {
    future: Pin<Box<dyn Future<Output = CacheLookup> + 'c>>,
    /// The number of its two waits that have ended.
    waits: Rc<Cell<u32>>,
    /// The last acknowledged write when the lookup started. The answer must not be older.
    at_least: u64,
}

impl Actor {
    const fn steps(self) -> usize {
        match self {
            Self::Reader => 3,
            Self::Canceller | Self::Writer(_) => 2,
        }
    }
}

impl<'c> Simulation<'c> {
    fn step(&mut self, who: usize, actor: Actor, step: usize) {
        match (actor, step) {
            (Actor::Reader | Actor::Canceller, 0) => self.start(who),
            (Actor::Reader, _) => {
                if let Some(lookup) = &self.lookups[who] {
                    lookup.waits.set(lookup.waits.get() + 1);
                }
            }
            (Actor::Canceller, _) => self.lookups[who] = None,
            (Actor::Writer(_), 0) => self.store.set(self.store.get() + 1),
            (Actor::Writer(update), _) => self.update(update),
        }
        for lookup in 0..self.lookups.len() {
            self.poll(lookup);
        }
    }

    fn start(&mut self, who: usize) {
        let cache = self.cache;
        let store = Rc::clone(&self.store);
        let waits = Rc::new(Cell::new(0));
        let waits_done = Rc::clone(&waits);
        let policy = CachePolicy { generation: cache.flushes(), ..super::tests::POLICY };
        let future = Box::pin(async move {
            let ask = || async {
                wait_for(&waits_done, 1).await;
                let read = store.get();
                wait_for(&waits_done, 2).await;
                Ok(Some(read.to_string().into()))
            };
            cache.lookup("a", &policy, ask).await
        });
        self.lookups[who] = Some(PendingLookup { future, waits, at_least: self.acknowledged });
    }

    fn update(&mut self, update: CacheUpdate) {
        let written = self.store.get();
        match update {
            CacheUpdate::RecordWrite => self.cache.record_write("a", Some(&written.to_string().into())),
            CacheUpdate::Invalidate => self.cache.invalidate("a"),
            CacheUpdate::Flush => self.cache.flush(),
        }
        // If two writes overlap, the store holds the later value when the earlier write is acknowledged.
        self.acknowledged = self.acknowledged.max(written);
    }

    fn poll(&mut self, who: usize) {
        let Some(lookup) = &mut self.lookups[who] else {
            return;
        };
        let Poll::Ready(found) = lookup.future.as_mut().poll(&mut Context::from_waker(Waker::noop())) else {
            return;
        };
        let MappingAnswer::Found(value) = &found.answer else { panic!("{found:?}") };
        let value: u64 = value.parse().unwrap();
        assert!(
            value >= lookup.at_least,
            "found {value}, but write {} was acknowledged before the lookup",
            lookup.at_least
        );
        self.lookups[who] = None;
    }
}

async fn wait_for(waits: &Cell<u32>, count: u32) {
    std::future::poll_fn(|_| if waits.get() >= count { Poll::Ready(()) } else { Poll::Pending }).await;
}

/// Plays one order, then looks the key up once more.
fn play(actors: &[Actor], order: &[usize]) {
    let cache = Cache::new(10);
    let mut simulation = Simulation {
        cache: &cache,
        store: Rc::default(),
        acknowledged: 0,
        lookups: actors.iter().map(|_| None).collect(),
    };
    let mut taken = vec![0; actors.len()];
    for who in order {
        simulation.step(*who, actors[*who], taken[*who]);
        taken[*who] += 1;
    }
    // Every lookup that shared another's query has its answer now.
    for who in 0..actors.len() {
        simulation.poll(who);
        assert!(simulation.lookups[who].is_none(), "a lookup still waits");
    }
    simulation.lookups.push(None);
    let last = actors.len();
    for step in 0..3 {
        simulation.step(last, Actor::Reader, step);
    }
    assert!(simulation.lookups[last].is_none(), "the last lookup has its answer");
    assert_eq!(cache.in_flight_count(), 0);
}

/// Plays every order of the actors' steps; returns how many there are.
fn play_all(actors: &[Actor]) -> usize {
    let mut left: Vec<_> = actors.iter().map(|actor| actor.steps()).collect();
    let mut order = Vec::new();
    descend(actors, &mut left, &mut order)
}

fn descend(actors: &[Actor], left: &mut [usize], order: &mut Vec<usize>) -> usize {
    if left.iter().all(|left| *left == 0) {
        play(actors, order);
        return 1;
    }
    let mut count = 0;
    for who in 0..actors.len() {
        if left[who] > 0 {
            left[who] -= 1;
            order.push(who);
            count += descend(actors, left, order);
            order.pop();
            left[who] += 1;
        }
    }
    count
}

#[test]
fn two_lookups_and_a_write_in_every_order() {
    for update in UPDATES {
        assert_eq!(play_all(&[Actor::Reader, Actor::Reader, Actor::Writer(update)]), 560);
    }
}

#[test]
fn cancelled_and_completed_lookups_and_a_write_in_every_order() {
    for update in UPDATES {
        assert_eq!(play_all(&[Actor::Canceller, Actor::Reader, Actor::Writer(update)]), 210);
        assert_eq!(
            play_all(&[Actor::Canceller, Actor::Canceller, Actor::Reader, Actor::Writer(update)]),
            7_560
        );
    }
}

#[test]
fn a_lookup_and_two_writes_in_every_order() {
    for first in UPDATES {
        for second in UPDATES {
            assert_eq!(play_all(&[Actor::Reader, Actor::Writer(first), Actor::Writer(second)]), 210);
        }
    }
}

#[test]
fn two_lookups_and_two_writes_in_every_order() {
    for (first, second) in
        [(CacheUpdate::RecordWrite, CacheUpdate::RecordWrite), (CacheUpdate::RecordWrite, CacheUpdate::Flush)]
    {
        let actors = [Actor::Reader, Actor::Reader, Actor::Writer(first), Actor::Writer(second)];
        assert_eq!(play_all(&actors), 25_200);
    }
}
