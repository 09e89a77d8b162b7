//! From two looks at the proxy to what is shown: totals, and what has changed by the second.

use std::collections::HashMap;
use std::time::Instant;

use api::state::{Connection, Connections, Destination, Destinations, Stats};
use serde::Serialize;

use super::counters::Counters;
use crate::sessions::clock;

/// One look.
pub(super) struct Look {
    pub(super) taken: Instant,
    pub(super) is_ready: bool,
    pub(super) stats: Stats,
    pub(super) destinations: Destinations,
    pub(super) connections: Connections,
    pub(super) counters: Counters,
}

/// What is shown. Rates are absent at the first look, and where there was nothing to compare with.
#[derive(Debug, Serialize)]
pub(super) struct Frame {
    /// Seconds since 1970.
    pub(super) time: u64,
    pub(super) ready: bool,
    pub(super) stats: Stats,
    pub(super) logins_per_second: Logins,
    pub(super) destinations: Vec<Place>,
    /// The sessions at the top of the order.
    pub(super) sessions: Vec<Row>,
    /// Whether there are more sessions than were looked at.
    pub(super) has_more: bool,
}

/// Logins a second, by how they ended.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Logins {
    pub(super) accepted: Option<f64>,
    /// The backend said that this is not the account's credential.
    pub(super) rejected: Option<f64>,
    /// Destination down, account busy or held, client gone, and whatever else the metrics tell apart.
    pub(super) other: Option<f64>,
}

/// A destination.
#[derive(Debug, Serialize)]
pub(super) struct Place {
    #[serde(flatten)]
    pub(super) destination: Destination,
    /// Bytes a second, of all its sessions.
    pub(super) to_backend_per_second: Option<f64>,
    pub(super) to_client_per_second: Option<f64>,
}

/// A session.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    #[serde(flatten)]
    pub(super) connection: Connection,
    pub(super) to_backend_per_second: Option<f64>,
    pub(super) to_client_per_second: Option<f64>,
}

/// In which order sessions are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Order {
    /// The busiest first.
    #[default]
    Traffic,
    /// The newest first.
    Newest,
    /// By account.
    Account,
}

// === impl Frame ===

impl Frame {
    /// What `now` shows, with what has changed since `before`.
    pub(super) fn of(now: Look, before: Option<&Look>, order: Order) -> (Self, Look) {
        let seconds = before.map(|before| now.taken.duration_since(before.taken).as_secs_f64());
        let logins = |wanted: fn(&str) -> bool| {
            let sum = |look: &Look| {
                let results = look.counters.logins.iter().filter(|(result, _)| wanted(result));
                results.map(|(_, count)| count).sum::<f64>()
            };
            rate(Some(sum(&now)), before.map(sum), seconds)
        };
        let place = |destination: &Destination| {
            let bytes = |look: &Look, index: usize| {
                look.counters.bytes.get(&destination.destination).map_or(0.0, |bytes| bytes[index])
            };
            let of = |index| rate(Some(bytes(&now, index)), before.map(|look| bytes(look, index)), seconds);
            Place {
                destination: destination.clone(),
                to_backend_per_second: of(0),
                to_client_per_second: of(1),
            }
        };
        let earlier: HashMap<u64, &Connection> = before
            .iter()
            .flat_map(|look| &look.connections.connections)
            .map(|connection| (connection.id, connection))
            .collect();
        let row = |connection: &Connection| {
            let earlier = earlier.get(&connection.id);
            let of = |bytes: fn(&Connection) -> u64| {
                #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
                let float = |connection: &Connection| bytes(connection) as f64;
                rate(Some(float(connection)), earlier.map(|&connection| float(connection)), seconds)
            };
            Row {
                connection: connection.clone(),
                to_backend_per_second: of(|connection| connection.bytes_to_backend),
                to_client_per_second: of(|connection| connection.bytes_to_client),
            }
        };
        let mut sessions: Vec<Row> = now.connections.connections.iter().map(row).collect();
        order.sort(&mut sessions);
        let frame = Self {
            time: clock(),
            ready: now.is_ready,
            stats: now.stats.clone(),
            logins_per_second: Logins {
                accepted: logins(|result| result == "accepted"),
                rejected: logins(|result| result == "rejected"),
                other: logins(|result| !matches!(result, "accepted" | "rejected")),
            },
            destinations: now.destinations.destinations.iter().map(place).collect(),
            has_more: now.connections.next.is_some(),
            sessions,
        };
        (frame, now)
    }
}

/// Growth by the second. A counter that went back is one of a proxy that has started anew.
fn rate(now: Option<f64>, before: Option<f64>, seconds: Option<f64>) -> Option<f64> {
    let (now, before, seconds) = (now?, before?, seconds?);
    (seconds > 0.0 && now >= before).then(|| (now - before) / seconds)
}

// === impl Order ===

impl Order {
    /// The one after it.
    pub(super) const fn next(self) -> Self {
        match self {
            Self::Traffic => Self::Newest,
            Self::Newest => Self::Account,
            Self::Account => Self::Traffic,
        }
    }

    /// For people.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Traffic => "by traffic",
            Self::Newest => "newest first",
            Self::Account => "by account",
        }
    }

    pub(super) fn sort(self, rows: &mut [Row]) {
        match self {
            Self::Traffic => rows.sort_by(|a, b| {
                let busy = |row: &Row| {
                    row.to_backend_per_second.unwrap_or(0.0) + row.to_client_per_second.unwrap_or(0.0)
                };
                busy(b).total_cmp(&busy(a)).then_with(|| b.connection.id.cmp(&a.connection.id))
            }),
            Self::Newest => rows.sort_by_key(|row| std::cmp::Reverse(row.connection.id)),
            Self::Account => rows.sort_by(|a, b| {
                let key = |row: &Row| (row.connection.account.is_none(), row.connection.account.clone());
                key(a).cmp(&key(b)).then_with(|| a.connection.id.cmp(&b.connection.id))
            }),
        }
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

    pub(in crate::top) fn look(taken: Instant, connections: Vec<Connection>, page: &str) -> Look {
        let old = Destination { destination: "old".to_owned(), is_default: true, ..Destination::default() };
        Look {
            taken,
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
    fn rates_are_what_has_changed() {
        let began = Instant::now();
        let first =
            look(began, vec![connection(1, None, 0), connection(2, None, 500)], &page(10, 5, 1, 1000));
        let (frame, first) = Frame::of(first, None, Order::Traffic);
        assert_eq!(frame.logins_per_second, Logins { accepted: None, rejected: None, other: None });
        assert_eq!(frame.destinations[0].to_client_per_second, None);
        let connections = vec![connection(1, None, 400), connection(2, None, 500), connection(3, None, 9)];
        let second = look(began + Duration::from_secs(2), connections, &page(14, 6, 1, 1400));
        let (frame, _) = Frame::of(second, Some(&first), Order::Traffic);
        let logins = Logins { accepted: Some(2.0), rejected: Some(0.5), other: Some(0.0) };
        assert_eq!(frame.logins_per_second, logins);
        assert_eq!(frame.destinations[0].to_client_per_second, Some(200.0));
        let rows: Vec<_> =
            frame.sessions.iter().map(|row| (row.connection.id, row.to_client_per_second)).collect();
        assert_eq!(rows, [(1, Some(200.0)), (3, None), (2, Some(0.0))]);
    }

    /// Whoever has started anew counts from nothing: that is no rate, and no negative one.
    #[test]
    fn a_counter_that_went_back_has_no_rate() {
        let began = Instant::now();
        let (_, before) = Frame::of(look(began, Vec::new(), &page(10, 5, 1, 1000)), None, Order::Traffic);
        let now = look(began + Duration::from_secs(1), Vec::new(), &page(1, 0, 0, 10));
        let (frame, _) = Frame::of(now, Some(&before), Order::Traffic);
        assert_eq!(
            (frame.logins_per_second.accepted, frame.destinations[0].to_client_per_second),
            (None, None)
        );
        let (_, before) = Frame::of(look(began, Vec::new(), ""), None, Order::Traffic);
        let (frame, _) = Frame::of(look(began, Vec::new(), ""), Some(&before), Order::Traffic);
        assert_eq!(frame.logins_per_second.accepted, None, "no time has passed");
    }

    #[test]
    fn orders() {
        let connections =
            vec![connection(1, Some("bob"), 0), connection(2, None, 0), connection(3, Some("alice"), 0)];
        let ids = |order| {
            let (frame, _) = Frame::of(look(Instant::now(), connections.clone(), ""), None, order);
            frame.sessions.iter().map(|row| row.connection.id).collect::<Vec<_>>()
        };
        assert_eq!(ids(Order::Traffic), [3, 2, 1], "nothing moves: the newest first");
        assert_eq!(ids(Order::Newest), [3, 2, 1]);
        assert_eq!(ids(Order::Account), [3, 1, 2]);
        assert_eq!(Order::Traffic.next().next().next(), Order::Traffic);
    }
}
