//! One update of `top`: totals, and what has changed per second since the reading before.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::time::Instant;

use api::status::{Connection, Connections, Destination, Destinations, Stats};
use serde::Serialize;

use super::counters::{Counters, Traffic};
use super::rate::rate;
use crate::format::unix_time;

/// What the API returned at one moment.
pub(super) struct Reading {
    pub(super) taken_at: Instant,
    pub(super) is_ready: bool,
    pub(super) stats: Stats,
    pub(super) destinations: Destinations,
    pub(super) connections: Connections,
    pub(super) counters: Counters,
}

/// What is shown. Rates are absent in the first update, and where there is nothing to compare with.
#[derive(Debug, Serialize)]
pub(super) struct Snapshot {
    /// Seconds since 1970.
    pub(super) time: u64,
    pub(super) ready: bool,
    pub(super) stats: Stats,
    pub(super) logins_per_second: LoginRates,
    pub(super) destinations: Vec<DestinationRow>,
    /// In the order that the user chose.
    pub(super) sessions: Vec<SessionRow>,
    /// Whether there are more sessions than these.
    pub(super) has_more: bool,
}

/// Logins per second, by result.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct LoginRates {
    pub(super) accepted: Option<f64>,
    /// The backend refused the credential.
    pub(super) rejected: Option<f64>,
    /// Every other result in the metrics: destination down, account held, client gone.
    pub(super) other: Option<f64>,
}

/// A destination, with the bytes per second of all its sessions.
#[derive(Debug, Serialize)]
pub(super) struct DestinationRow {
    #[serde(flatten)]
    pub(super) destination: Destination,
    pub(super) to_backend_per_second: Option<f64>,
    pub(super) to_client_per_second: Option<f64>,
}

/// A session, with its bytes per second.
#[derive(Debug, Serialize)]
pub(super) struct SessionRow {
    #[serde(flatten)]
    pub(super) connection: Connection,
    pub(super) to_backend_per_second: Option<f64>,
    pub(super) to_client_per_second: Option<f64>,
}

/// The order of the sessions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum SessionOrder {
    /// The busiest first.
    #[default]
    Traffic,
    /// The newest first.
    Newest,
    /// By account name.
    Account,
}

// === impl Snapshot ===

impl Snapshot {
    /// Returns what `now` shows, with the rates since `before`.
    pub(super) fn new(now: &Reading, before: Option<&Reading>, order: SessionOrder) -> Self {
        let seconds = before.map(|before| now.taken_at.duration_since(before.taken_at).as_secs_f64());
        let mut snapshot = Self {
            time: unix_time(),
            ready: now.is_ready,
            stats: now.stats.clone(),
            logins_per_second: LoginRates::new(now, before, seconds),
            destinations: destination_rows(now, before, seconds),
            sessions: session_rows(now, before, seconds),
            has_more: now.connections.next.is_some(),
        };
        order.sort(&mut snapshot.sessions);
        snapshot
    }
}

fn destination_rows(now: &Reading, before: Option<&Reading>, seconds: Option<f64>) -> Vec<DestinationRow> {
    let mut rows = Vec::new();
    for destination in &now.destinations.destinations {
        let name = &destination.destination;
        let traffic = now.traffic(name);
        let earlier = before.map(|before| before.traffic(name));
        rows.push(DestinationRow {
            destination: destination.clone(),
            to_backend_per_second: rate(
                traffic.to_backend,
                earlier.map(|earlier| earlier.to_backend),
                seconds,
            ),
            to_client_per_second: rate(traffic.to_client, earlier.map(|earlier| earlier.to_client), seconds),
        });
    }
    rows
}

fn session_rows(now: &Reading, before: Option<&Reading>, seconds: Option<f64>) -> Vec<SessionRow> {
    let mut earlier: HashMap<u64, Traffic> = HashMap::new();
    if let Some(before) = before {
        earlier.extend(before.connections.connections.iter().map(|old| (old.id, connection_traffic(old))));
    }
    let mut rows = Vec::new();
    for connection in &now.connections.connections {
        let traffic = connection_traffic(connection);
        let earlier = earlier.get(&connection.id);
        rows.push(SessionRow {
            connection: connection.clone(),
            to_backend_per_second: rate(
                traffic.to_backend,
                earlier.map(|earlier| earlier.to_backend),
                seconds,
            ),
            to_client_per_second: rate(traffic.to_client, earlier.map(|earlier| earlier.to_client), seconds),
        });
    }
    rows
}

#[expect(clippy::cast_precision_loss, reason = "a rate for people")]
const fn connection_traffic(connection: &Connection) -> Traffic {
    Traffic { to_backend: connection.bytes_to_backend as f64, to_client: connection.bytes_to_client as f64 }
}

// === impl Reading ===

impl Reading {
    fn traffic(&self, destination: &str) -> Traffic {
        self.counters.traffic.get(destination).copied().unwrap_or_default()
    }
}

// === impl LoginRates ===

impl LoginRates {
    fn new(now: &Reading, before: Option<&Reading>, seconds: Option<f64>) -> Self {
        let now = LoginTotals::of(&now.counters);
        let before = before.map(|before| LoginTotals::of(&before.counters));
        Self {
            accepted: rate(now.accepted, before.as_ref().map(|before| before.accepted), seconds),
            rejected: rate(now.rejected, before.as_ref().map(|before| before.rejected), seconds),
            other: rate(now.other, before.as_ref().map(|before| before.other), seconds),
        }
    }
}

/// Logins since the proxy's start, by result.
#[derive(Default)]
struct LoginTotals {
    accepted: f64,
    rejected: f64,
    other: f64,
}

// === impl LoginTotals ===

impl LoginTotals {
    fn of(counters: &Counters) -> Self {
        let mut totals = Self::default();
        for (result, count) in &counters.logins {
            match result.as_str() {
                "accepted" => totals.accepted += count,
                "rejected" => totals.rejected += count,
                _ => totals.other += count,
            }
        }
        totals
    }
}

// === impl SessionOrder ===

impl SessionOrder {
    /// Returns the order that the key `s` switches to.
    pub(super) const fn next(self) -> Self {
        match self {
            Self::Traffic => Self::Newest,
            Self::Newest => Self::Account,
            Self::Account => Self::Traffic,
        }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Traffic => "by traffic",
            Self::Newest => "newest first",
            Self::Account => "by account",
        }
    }

    pub(super) fn sort(self, rows: &mut [SessionRow]) {
        match self {
            Self::Traffic => rows.sort_by(|a, b| {
                b.traffic().total_cmp(&a.traffic()).then_with(|| b.connection.id.cmp(&a.connection.id))
            }),
            Self::Newest => rows.sort_by_key(|row| Reverse(row.connection.id)),
            // Sessions without an account come last.
            Self::Account => rows.sort_by_cached_key(|row| {
                let account = row.connection.account.clone();
                (account.is_none(), account, row.connection.id)
            }),
        }
    }
}

// === impl SessionRow ===

impl SessionRow {
    /// Returns the bytes per second in both directions.
    fn traffic(&self) -> f64 {
        self.to_backend_per_second.unwrap_or(0.0) + self.to_client_per_second.unwrap_or(0.0)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::Duration;

    use super::*;

    pub(in crate::top) fn connection(id: u64, account: Option<&str>, bytes: u64) -> Connection {
        Connection {
            id,
            account: account.map(str::to_owned),
            protocol: "imap".to_owned(),
            client: "192.0.2.7".to_owned(),
            destination: "old".to_owned(),
            since: 0,
            bytes_to_backend: 0,
            bytes_to_client: bytes,
        }
    }

    pub(in crate::top) fn reading(taken_at: Instant, connections: Vec<Connection>, page: &str) -> Reading {
        let old = Destination { destination: "old".to_owned(), is_default: true, ..Destination::default() };
        Reading {
            taken_at,
            is_ready: true,
            stats: Stats { version: "1.2.3".to_owned(), sessions: connections.len(), ..Stats::default() },
            destinations: Destinations { destinations: vec![old] },
            connections: Connections { connections, next: None },
            counters: Counters::of(page),
        }
    }

    fn page(accepted: u64, rejected: u64, busy: u64, bytes: u64) -> String {
        let logins = [("accepted", accepted), ("rejected", rejected), ("busy", busy)];
        let logins =
            logins.map(|(result, count)| format!("pointsman_logins_total{{result=\"{result}\"}} {count}\n"));
        let bytes = format!("pointsman_bytes_total{{destination=\"old\",direction=\"to_client\"}} {bytes}\n");
        logins.concat() + &bytes
    }

    #[test]
    fn rates_are_growth_per_second() {
        let began = Instant::now();
        let first =
            reading(began, vec![connection(1, None, 0), connection(2, None, 500)], &page(10, 5, 1, 1000));
        let snapshot = Snapshot::new(&first, None, SessionOrder::Traffic);
        assert_eq!(snapshot.logins_per_second, LoginRates { accepted: None, rejected: None, other: None });
        assert_eq!(snapshot.destinations[0].to_client_per_second, None);
        let connections = vec![connection(1, None, 400), connection(2, None, 500), connection(3, None, 9)];
        let second = reading(began + Duration::from_secs(2), connections, &page(14, 6, 1, 1400));
        let snapshot = Snapshot::new(&second, Some(&first), SessionOrder::Traffic);
        let logins = LoginRates { accepted: Some(2.0), rejected: Some(0.5), other: Some(0.0) };
        assert_eq!(snapshot.logins_per_second, logins);
        assert_eq!(snapshot.destinations[0].to_client_per_second, Some(200.0));
        let rows: Vec<_> =
            snapshot.sessions.iter().map(|row| (row.connection.id, row.to_client_per_second)).collect();
        assert_eq!(rows, [(1, Some(200.0)), (3, None), (2, Some(0.0))]);
    }

    #[test]
    fn a_counter_that_went_back_has_no_rate() {
        let began = Instant::now();
        let before = reading(began, Vec::new(), &page(10, 5, 1, 1000));
        let now = reading(began + Duration::from_secs(1), Vec::new(), &page(1, 0, 0, 10));
        let snapshot = Snapshot::new(&now, Some(&before), SessionOrder::Traffic);
        assert_eq!(
            (snapshot.logins_per_second.accepted, snapshot.destinations[0].to_client_per_second),
            (None, None)
        );
        let before = reading(began, Vec::new(), "");
        let snapshot = Snapshot::new(&before, Some(&before), SessionOrder::Traffic);
        assert_eq!(snapshot.logins_per_second.accepted, None, "no time has passed");
    }

    #[test]
    fn sessions_are_sorted() {
        let connections =
            vec![connection(1, Some("bob"), 0), connection(2, None, 0), connection(3, Some("alice"), 0)];
        let ids = |order| {
            let snapshot = Snapshot::new(&reading(Instant::now(), connections.clone(), ""), None, order);
            snapshot.sessions.iter().map(|row| row.connection.id).collect::<Vec<_>>()
        };
        assert_eq!(ids(SessionOrder::Traffic), [3, 2, 1], "without traffic, the newest first");
        assert_eq!(ids(SessionOrder::Newest), [3, 2, 1]);
        assert_eq!(ids(SessionOrder::Account), [3, 1, 2]);
        assert_eq!(SessionOrder::Traffic.next().next().next(), SessionOrder::Traffic);
    }
}
