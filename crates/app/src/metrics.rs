//! What a scrape of the metrics reads. Nothing is counted here: every number is kept elsewhere and read once.

use std::sync::Arc;

use moves::{MoveCounts, Moves};
use observe::metrics::facts::{self, Facts};
use runtime::ActivePlan;

use crate::process;
use crate::start::App;

// === impl App ===

impl App {
    /// Returns all metrics in Prometheus' text format; its content type is [`observe::metrics::CONTENT_TYPE`]. Locks
    /// each part of the registry for a moment, and nothing else that a login waits for.
    #[must_use]
    pub fn metrics(&self) -> String {
        let plan = self.plan();
        let counts = self.registry().counts();
        let stats = self.router().stats();
        let facts = Facts {
            version: env!("CARGO_PKG_VERSION"),
            started: self.reloads.started(),
            accounts: counts.accounts,
            logins: counts.logins,
            tokens: plan.resolver.as_ref().map_or_else(facts::Tokens::default, |resolver| {
                let token_lookup::Stats { asked, remembered, failed, .. } = resolver.stats();
                facts::Tokens { asked, remembered, failed }
            }),
            cache: facts::Cache { hits: stats.hits, misses: stats.misses, entries: stats.cache_entries },
            mapped: self.router().entries_by_destination().unwrap_or_default(),
            store: facts::Store {
                errors: stats.store_errors,
                down: stats.store_down,
                undeclared: stats.undeclared,
                buckets: stats.store_latency.buckets().collect(),
                seconds: stats.store_latency.total().as_secs_f64(),
            },
            moves: self.moves().map_or_else(facts::Moves::default, moves),
            legs: legs(&plan),
            certificates: self.certificates(),
            reloads: self.reloads.facts(),
            log_lines_dropped: self.log.as_ref().map_or(0, observe::Handle::dropped_lines),
            process: process::usage(),
        };
        observe::metrics::render(&plan.meters, facts)
    }

    fn certificates(&self) -> Vec<(Arc<str>, i64)> {
        let listed = self.certificate_table().list();
        listed.into_iter().filter_map(|one| Some((one.name?, one.not_after?))).collect()
    }
}

fn moves(moves: &Moves) -> facts::Moves {
    let MoveCounts { unfinished, waiting_logins, totals } = moves.counts();
    facts::Moves {
        unfinished: unfinished.into_iter().map(|(step, count)| (step.label(), count)).collect(),
        ended: totals.ended().map(|(outcome, count)| (outcome.label(), count)).collect(),
        held_seconds: totals.held.as_secs_f64(),
        logins_waited: totals.logins_waited,
        waiting_logins,
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
