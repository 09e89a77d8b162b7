//! Asks every server what it announces: at the start, after every reload, and every ten minutes; sooner while one of them
//! does not answer.

use std::sync::Arc;
use std::time::Duration;

use probe::ProbeClient;
use runtime::ActivePlan;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use types::protocol::Protocol;

use crate::learnt::{Announcement, Announcements, Server, servers};
use crate::shared::Shared;

/// How often every server is asked.
const INTERVAL: Duration = Duration::from_secs(600);
/// How soon all of them are asked again when one does not answer. Each further time it takes twice as long.
const FIRST_RETRY: Duration = Duration::from_secs(15);
/// How many servers are asked at once.
const AT_ONCE: usize = 8;

/// What the servers answered.
struct Asked {
    announcements: Announcements,
    have_all_answered: bool,
}

/// When the servers are asked next.
struct Schedule {
    retry: Duration,
}

// === impl Schedule ===

impl Schedule {
    /// Returns the time until the servers are asked again.
    fn next(&mut self, have_all_answered: bool) -> Duration {
        if have_all_answered {
            *self = Self::default();
            return INTERVAL;
        }
        let wait = self.retry;
        self.retry = (wait * 2).min(INTERVAL);
        wait
    }
}

impl Default for Schedule {
    fn default() -> Self {
        Self { retry: FIRST_RETRY }
    }
}

// === impl Shared ===

impl Shared {
    /// Keeps learning as long as the program runs.
    pub(crate) async fn learn(self) {
        let current = self.placement.current().clone();
        let mut replaced = current.subscribe();
        let mut schedule = Schedule::default();
        loop {
            replaced.mark_unchanged();
            let plan = current.now();
            let Asked { announcements, have_all_answered } = self.ask_all(&plan).await;
            self.offers.learn(&plan, announcements);
            // A reload ends the wait early; the result is the same either way.
            let _ = timeout(schedule.next(have_all_answered), replaced.changed()).await;
        }
    }

    /// Returns the announcements of every server of `plan`: of one that does not answer, what it announced last.
    async fn ask_all(&self, plan: &Arc<ActivePlan>) -> Asked {
        let known = self.offers.announcements();
        let mut waiting = Vec::new();
        for protocol in Protocol::ALL {
            let learns = plan.plan.capabilities(protocol).learn;
            if learns && protocol.carries_credentials() && protocol != Protocol::Http {
                waiting.extend(servers(&plan.plan, protocol));
            }
        }
        let mut announcements = Announcements::new();
        let mut have_all_answered = true;
        let mut tasks = JoinSet::new();
        loop {
            while tasks.len() < AT_ONCE
                && let Some(server) = waiting.pop()
            {
                tasks.spawn(ask(Arc::clone(plan), server));
            }
            let Some(answered) = tasks.join_next().await else {
                return Asked { announcements, have_all_answered };
            };
            let Ok((server, answer)) = answered else { continue };
            let before = known.get(&server);
            have_all_answered &= answer.is_some();
            match answer {
                Some(announcement) => {
                    if before.is_none_or(|before| **before != announcement) {
                        warn_of_lacking(plan, &server, &announcement);
                    }
                    announcements.insert(server, Arc::new(announcement));
                }
                None => match before {
                    Some(before) => {
                        announcements.insert(server, Arc::clone(before));
                    }
                    None => tracing::warn!(
                        destination = %server.destination,
                        protocol = server.protocol.name(),
                        host = server.host,
                        "capabilities unknown: the server did not answer, so clients are offered the least until it does"
                    ),
                },
            }
        }
    }
}

/// Asks one server; returns `None` when it did not announce anything.
async fn ask(plan: Arc<ActivePlan>, server: Server) -> (Server, Option<Announcement>) {
    let Some(backend) = plan.backends.get(&server.destination) else { return (server, None) };
    let hostname = plan.plan.server.hostname.as_deref().unwrap_or("localhost");
    let deadline = Instant::now() + backend.timeout();
    // As clients do, who log in over TLS: some servers announce less to others.
    let client = ProbeClient::OnThisHost { tls: true };
    let findings = probe::probe(backend, server.protocol, &server.host, hostname, client, deadline).await;
    let announcement = match findings.failure {
        None => Announcement::read(server.protocol, &findings.received),
        Some(_) => None,
    };
    (server, announcement)
}

/// Warns of what the configuration advertises and `server` lacks: the configuration wins.
fn warn_of_lacking(plan: &ActivePlan, server: &Server, announcement: &Announcement) {
    let capabilities = plan.plan.capabilities(server.protocol);
    if !capabilities.advertise_is_set {
        return;
    }
    for word in &capabilities.advertise {
        if !announcement.has(server.protocol, word) {
            tracing::warn!(
                destination = %server.destination,
                protocol = server.protocol.name(),
                host = server.host,
                capability = word,
                "capability missing: it is advertised because the configuration lists it, and this server lacks it; \
                 remove it from the list, or remove the list to advertise what all servers have"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_does_not_answer_is_asked_soon_and_then_less_often() {
        let mut schedule = Schedule::default();
        let waits: Vec<u64> = (0..8).map(|_| schedule.next(false).as_secs()).collect();
        assert_eq!(waits, [15, 30, 60, 120, 240, 480, 600, 600]);
        assert_eq!(schedule.next(true), INTERVAL);
        assert_eq!(schedule.next(false), FIRST_RETRY);
    }
}
