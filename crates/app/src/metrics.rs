//! What a scrape reads from the rooms. Nothing here counts: every number is somebody else's, read once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use observe::metrics::facts::{self, Facts};

use runtime::ActivePlan;

use crate::process;
use crate::start::App;

/// What the program knows of itself.
#[derive(Debug)]
pub(crate) struct Chronicle {
    started: SystemTime,
    reloads_done: AtomicU64,
    reloads_refused: AtomicU64,
    /// Milliseconds from the start to the last reload that was carried out.
    last_reload: AtomicU64,
}

// === impl Chronicle ===

impl Chronicle {
    pub(crate) fn begin() -> Self {
        Self {
            started: SystemTime::now(),
            reloads_done: AtomicU64::new(0),
            reloads_refused: AtomicU64::new(0),
            last_reload: AtomicU64::new(0),
        }
    }

    pub(crate) fn reloaded(&self, done: bool) {
        if !done {
            self.reloads_refused.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.reloads_done.fetch_add(1, Ordering::Relaxed);
        let since = self.started.elapsed().unwrap_or_default();
        self.last_reload.store(u64::try_from(since.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    fn reloads(&self) -> facts::Reloads {
        let last = self.started + Duration::from_millis(self.last_reload.load(Ordering::Relaxed));
        facts::Reloads {
            done: self.reloads_done.load(Ordering::Relaxed),
            refused: self.reloads_refused.load(Ordering::Relaxed),
            last_success: unix(last),
        }
    }
}

// === impl App ===

impl App {
    /// All metrics at this moment, in Prometheus' text format; its content type is
    /// [`observe::metrics::CONTENT_TYPE`]. Locks each part of the desk's table for a moment, and nothing else
    /// that a login waits for.
    #[must_use]
    pub fn metrics(&self) -> String {
        let plan = self.plan();
        let (counts, stats) = (self.registry().counts(), self.router().stats());
        let facts = Facts {
            version: env!("CARGO_PKG_VERSION"),
            started: unix(self.chronicle.started),
            accounts: counts.accounts,
            logins: counts.logins,
            tokens: plan.resolver.as_ref().map_or_else(facts::Tokens::default, |resolver| {
                let token_lookup::Stats { asked, remembered, failed, .. } = resolver.stats();
                facts::Tokens { asked, remembered, failed }
            }),
            cache: facts::Cache { hits: stats.hits, misses: stats.misses, entries: stats.cache_entries },
            mapped: self.router().census().unwrap_or_default(),
            store: facts::Store {
                errors: stats.store_errors,
                down: stats.store_down,
                undeclared: stats.undeclared,
                buckets: stats.store_latency.buckets().collect(),
                seconds: stats.store_latency.total().as_secs_f64(),
            },
            legs: legs(&plan),
            certificates: self.certificates(),
            reloads: self.chronicle.reloads(),
            process: process::usage(),
        };
        observe::metrics::render(&plan.meters, facts)
    }

    fn certificates(&self) -> Vec<(Arc<str>, i64)> {
        let listed = self.certificate_table().list();
        listed.into_iter().filter_map(|one| Some((one.name?, one.not_after?))).collect()
    }
}

fn legs(plan: &ActivePlan) -> Vec<facts::Leg> {
    let mut legs = Vec::new();
    for (name, backend) in plan.backends.iter() {
        legs.extend(backend.legs().map(|(protocol, health)| facts::Leg {
            destination: Arc::clone(name),
            protocol: protocol.name(),
            is_up: !health.down,
            consecutive_failures: health.consecutive_failures,
        }));
    }
    legs
}

fn unix(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}
