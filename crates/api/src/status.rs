//! The state of the proxy: statistics, destinations, connections.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// `GET /stats`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Stats {
    /// Lookups answered from the cache, since the start.
    pub cache_hits: u64,
    /// Lookups that queried the store, since the start.
    pub cache_misses: u64,
    /// The share of lookups that were answered from the cache, in per cent; 0 when there was none.
    pub hit_rate_pct: f64,
    /// Answers in the cache.
    pub cache_entries: usize,
    /// Connections of clients at this moment, those without a login included.
    pub active_connections: usize,
    /// Sessions: connections that are logged in, or passed through.
    pub sessions: usize,
    /// Logins under way.
    pub logins: usize,
    /// Lookups that the store failed to answer, since the start.
    pub store_errors: u64,
    /// Entries of the mapping by destination; absent for a store that would have to be searched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mapped: Option<BTreeMap<String, usize>>,
    /// Whether the proxy drains: it accepts no connections and ends.
    pub draining: bool,
    /// Connections by listener.
    pub by_listener: BTreeMap<String, usize>,
    /// Sessions by protocol.
    pub by_protocol: BTreeMap<String, usize>,
    /// Sessions by destination.
    pub by_destination: BTreeMap<String, usize>,
    /// The proxies that share the mapping's store, this one first.
    pub nodes: Vec<Node>,
    /// The channel between them.
    pub channel: Channel,
    /// Seconds since the start.
    pub uptime_seconds: u64,
    /// The proxy's version.
    pub version: String,
}

/// A proxy in front of the same store.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Node {
    /// `cluster.node`.
    pub node: String,
    /// Whether it is the proxy that sent this response.
    pub this: bool,
    /// Seconds since its last message.
    pub silent_seconds: u64,
}

/// The channel between the proxies, with counters since the start.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Channel {
    /// `connected`, `cut` or `none`.
    pub state: String,
    /// Why there is no channel.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
    /// Messages of other proxies that were accepted.
    pub received: u64,
    /// Messages that were sent.
    pub sent: u64,
    /// Messages that could not be sent.
    pub unsent: u64,
    /// Messages without a valid signature.
    pub forged: u64,
    /// Times that messages may have been missed, so that the cache was flushed.
    pub missed: u64,
}

/// `GET /destinations`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Destinations {
    /// Sorted by name.
    pub destinations: Vec<Destination>,
}

/// A destination; the numbers are those of its worst leg.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Destination {
    /// Its name.
    pub destination: String,
    /// Consecutive failures.
    pub consecutive_failures: u32,
    /// Client addresses with such a failure.
    pub failure_sources: usize,
    /// Whether connecting to the host failed, which no client can cause.
    pub host_level_failure: bool,
    /// Whether any of its legs is marked down.
    pub down: bool,
    /// Whether accounts without a mapping go here.
    pub is_default: bool,
    /// Sessions at this moment.
    pub sessions: usize,
    /// Each leg, by protocol.
    pub protocols: BTreeMap<String, Leg>,
}

/// One protocol of a destination.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Leg {
    /// TCP port.
    pub port: u16,
    /// Consecutive failures.
    pub consecutive_failures: u32,
    /// Client addresses with such a failure.
    pub failure_sources: usize,
    /// Whether connecting to the host failed.
    pub host_level_failure: bool,
    /// Whether it is marked down: logins are refused at once until a probe succeeds.
    pub down: bool,
    /// The name of the last failure.
    pub last_error: Option<String>,
    /// The time of the last success, in seconds since 1970.
    pub last_success: Option<u64>,
    /// How long that connection took until it was ready for a login, in milliseconds.
    pub latency_ms: Option<u64>,
}

/// `GET /connections`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Connections {
    /// Sorted by id.
    pub connections: Vec<Connection>,
    /// `from` of the next page; absent after the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}

/// A session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Connection {
    /// Unique while the process lives.
    pub id: u64,
    /// Absent where it is unknown: pass-through, opaque tokens.
    pub account: Option<String>,
    /// The protocol's name.
    pub protocol: String,
    /// The client's own address.
    pub client: String,
    /// The destination to which it is bridged.
    pub destination: String,
    /// The time of its login, in seconds since 1970.
    pub since: u64,
    /// Bytes from the client so far.
    pub bytes_to_backend: u64,
    /// Bytes to the client so far.
    pub bytes_to_client: u64,
}

/// `GET /readyz`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    /// `ready`.
    pub status: String,
}
