//! What the proxy is doing.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// `GET /stats`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Stats {
    /// Lookups answered from memory, since the start.
    pub cache_hits: u64,
    /// Lookups that had to ask the store, since the start.
    pub cache_misses: u64,
    /// Hits of all lookups, in per cent; 0 when there was none.
    pub hit_rate_pct: f64,
    /// Answers in memory.
    pub cache_entries: usize,
    /// Connections of clients at this moment, those without a login included.
    pub active_connections: usize,
    /// Sessions: connections that are logged in, or passed through.
    pub sessions: usize,
    /// Logins under way.
    pub logins: usize,
    /// Lookups that the store failed to answer, since the start.
    pub store_errors: u64,
    /// Entries of the mapping by destination; absent where the store does not know without a search.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mapped: Option<BTreeMap<String, usize>>,
    /// Whether the proxy is about to end.
    pub draining: bool,
    /// Connections by listener.
    pub by_listener: BTreeMap<String, usize>,
    /// Sessions by protocol.
    pub by_protocol: BTreeMap<String, usize>,
    /// Sessions by destination.
    pub by_destination: BTreeMap<String, usize>,
    /// The proxies that share the mapping's store, this one first.
    pub nodes: Vec<Node>,
    /// How they tell each other.
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
    /// Whether it is the one that answers.
    pub this: bool,
    /// Seconds since it was last heard.
    pub silent_seconds: u64,
}

/// The channel of change events, with counters since the start.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Channel {
    /// `connected`, `cut` or `none`.
    pub state: String,
    /// Why there is none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
    /// Messages of others that were believed.
    pub received: u64,
    /// Messages that were sent.
    pub sent: u64,
    /// Messages that could not be sent.
    pub unsent: u64,
    /// Messages without our signature.
    pub forged: u64,
    /// Times that something may have been missed, so that everything cached was asked anew.
    pub missed: u64,
}

/// `GET /destinations`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Destinations {
    /// By name.
    pub destinations: Vec<Destination>,
}

/// A destination; the numbers are those of its worst leg.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Destination {
    /// Its name.
    pub destination: String,
    /// Failures in a row.
    pub consecutive_failures: u32,
    /// Client addresses that the streak spans.
    pub failure_sources: usize,
    /// Whether connecting failed, which is nobody's doing but the server's.
    pub host_level_failure: bool,
    /// Whether any of its legs is marked down.
    pub down: bool,
    /// Whether accounts without a mapping are here.
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
    /// Failures in a row.
    pub consecutive_failures: u32,
    /// Client addresses that the streak spans.
    pub failure_sources: usize,
    /// Whether connecting failed.
    pub host_level_failure: bool,
    /// Whether it is marked down: logins are refused at once, until one probe succeeds.
    pub down: bool,
    /// The streak's last failure, in a word.
    pub last_error: Option<String>,
    /// When it last worked, in seconds since 1970.
    pub last_success: Option<u64>,
    /// How long it took then, from connecting to ready for a login, in milliseconds.
    pub latency_ms: Option<u64>,
}

/// `GET /connections`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Connections {
    /// In the order of their ids.
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
    /// Absent where none is known: pass-through, opaque tokens.
    pub account: Option<String>,
    /// What is spoken.
    pub protocol: String,
    /// The client's own address.
    pub client: String,
    /// Where it is bridged to.
    pub destination: String,
    /// When it began, in seconds since 1970.
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
