//! Bounds the memory of requests that no backend has answered yet.
//!
//! A request is counted from its head until a backend has answered it: its head as decoded (a reference into the table of
//! HPACK counts as much as the field that it stands for), and what was read of its body to find the account. What must
//! never happen here: one client network takes the memory that the others need.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http_proto::{Fields, RequestHead};
use thiserror::Error;
use types::network::client_network;

/// Counts the memory of all connections.
#[derive(Default)]
pub(crate) struct MemoryLimiter {
    held: Mutex<Held>,
}

/// Bounded by the number of connections: a network is in the map only while it holds memory.
#[derive(Default)]
struct Held {
    total: usize,
    by_network: HashMap<IpAddr, usize>,
}

/// Counts the memory of one connection.
pub(crate) struct ConnectionMemory {
    limiter: Arc<MemoryLimiter>,
    /// `None` for a trusted front, which sends the requests of many clients.
    network: Option<IpAddr>,
    limit: usize,
    held: AtomicUsize,
}

/// The memory of one request. It is counted until this is dropped or [released](Claim::release).
pub(crate) struct Claim {
    memory: Arc<ConnectionMemory>,
    bytes: AtomicUsize,
    is_released: AtomicBool,
}

/// Why a request may not hold more memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum MemoryFull {
    #[error("the unanswered requests of the connection hold as much memory as one request may")]
    Connection,
    #[error("the unanswered requests of the client network hold its share of the memory")]
    Network,
}

/// What all unanswered requests may hold together.
const TOTAL: usize = 256 * 1024 * 1024;

/// A client network may hold this part of what is free, so the memory is never used up: one network alone holds at most
/// 1/33 of it (7.7 MiB), and after 50 networks have taken what they can get, 50 MiB are free for the others.
const SHARE: usize = 32;

/// What a field counts beside its name and value (RFC 9113 section 6.5.2).
const FIELD_OVERHEAD: usize = 32;

/// What one request may hold beyond the limits of its head and body: the overhead of the 128 fields of its head and of the
/// 64 of its trailer section, and the piece of the body that exceeds the limit, or the trailer section.
const SLACK: usize = (128 + 64) * FIELD_OVERHEAD + 16 * 1024;

/// Returns what a decoded head of HTTP/1 counts.
pub(crate) fn head_size(head: &RequestHead) -> usize {
    head.method.len() + head.target.len() + head.authority.len() + fields_size(&head.fields)
}

/// Returns what decoded fields count, those of a head or of a trailer section.
pub(crate) fn fields_size(fields: &Fields) -> usize {
    fields.iter().map(|(name, value)| name.len() + value.len() + FIELD_OVERHEAD).sum()
}

/// Returns what a decoded head of HTTP/2 counts.
pub(crate) fn h2_head_size(parts: &http::request::Parts) -> usize {
    let mut size = parts.method.as_str().len();
    if let Some(target) = parts.uri.path_and_query() {
        size += target.as_str().len();
    }
    if let Some(authority) = parts.uri.authority() {
        size += authority.as_str().len();
    }
    for (name, value) in &parts.headers {
        size += name.as_str().len() + value.len() + FIELD_OVERHEAD;
    }
    size
}

// === impl MemoryLimiter ===

impl MemoryLimiter {
    /// Takes `bytes` of the `part`-th part of what the network may hold.
    fn take(&self, network: Option<IpAddr>, bytes: usize, part: usize) -> Result<(), MemoryFull> {
        let mut held = self.lock();
        let free = TOTAL - held.total;
        match network {
            Some(network) => {
                let own = held.by_network.get(&network).copied().unwrap_or(0);
                if own + bytes > free / SHARE / part {
                    return Err(MemoryFull::Network);
                }
                held.by_network.insert(network, own + bytes);
            }
            None if bytes > free / part => return Err(MemoryFull::Network),
            None => {}
        }
        held.total += bytes;
        Ok(())
    }

    fn give_back(&self, network: Option<IpAddr>, bytes: usize) {
        let mut held = self.lock();
        held.total -= bytes;
        let Some(network) = network else { return };
        let Some(own) = held.by_network.get_mut(&network) else { return };
        *own -= bytes;
        if *own == 0 {
            held.by_network.remove(&network);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl ConnectionMemory ===

impl ConnectionMemory {
    /// Counts for the network of `client`, `None` for a trusted front. `max_head` and `max_body` are what one request may
    /// hold, and so what the connection's requests may hold together.
    pub(crate) fn new(
        limiter: Arc<MemoryLimiter>,
        client: Option<IpAddr>,
        max_head: usize,
        max_body: usize,
    ) -> Self {
        let limit = max_head + max_body + SLACK;
        Self { limiter, network: client.map(client_network), limit, held: AtomicUsize::new(0) }
    }

    /// Claims memory for a request.
    ///
    /// # Errors
    /// When the connection or its network holds as much as it may.
    pub(crate) fn claim(self: &Arc<Self>, bytes: usize) -> Result<Claim, MemoryFull> {
        let claim = Claim {
            memory: Arc::clone(self),
            bytes: AtomicUsize::new(0),
            is_released: AtomicBool::new(false),
        };
        claim.grow(bytes)?;
        Ok(claim)
    }
}

// === impl Claim ===

impl Claim {
    /// Claims more for the same request.
    ///
    /// # Errors
    /// When the connection or its network holds as much as it may. Nothing is claimed then.
    pub(crate) fn grow(&self, bytes: usize) -> Result<(), MemoryFull> {
        self.grow_within(bytes, 1)
    }

    /// Claims memory for something that the request can do without. Returns whether it may have it: only half of what the
    /// connection and its network may hold is given away for that, so that no request is refused because of it. After the
    /// [release](Claim::release) nothing is counted, so nothing may be held.
    pub(crate) fn grow_optional(&self, bytes: usize) -> bool {
        !self.is_released.load(Ordering::Relaxed) && self.grow_within(bytes, 2).is_ok()
    }

    fn grow_within(&self, bytes: usize, part: usize) -> Result<(), MemoryFull> {
        let memory = &self.memory;
        let held = memory.held.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let taken = if held > memory.limit / part {
            Err(MemoryFull::Connection)
        } else {
            memory.limiter.take(memory.network, bytes, part)
        };
        match taken {
            Ok(()) => {
                self.bytes.fetch_add(bytes, Ordering::Relaxed);
            }
            Err(_) => {
                memory.held.fetch_sub(bytes, Ordering::Relaxed);
            }
        }
        taken
    }

    /// Ends the count: a backend has answered the request.
    pub(crate) fn release(&self) {
        self.is_released.store(true, Ordering::Relaxed);
        let bytes = self.bytes.swap(0, Ordering::Relaxed);
        if bytes > 0 {
            self.memory.held.fetch_sub(bytes, Ordering::Relaxed);
            self.memory.limiter.give_back(self.memory.network, bytes);
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.release();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIB: usize = 1024;
    const MIB: usize = 1024 * KIB;

    fn connection(limiter: &Arc<MemoryLimiter>, network: Option<u8>) -> Arc<ConnectionMemory> {
        let client = network.map(|last| IpAddr::from([192, 0, 2, last]));
        Arc::new(ConnectionMemory::new(Arc::clone(limiter), client, 64 * KIB, 64 * KIB))
    }

    /// Claims for one network, over as many connections as it takes, until it gets no more.
    fn exhaust(limiter: &Arc<MemoryLimiter>, network: u8, claims: &mut Vec<Claim>) -> usize {
        let before = limiter.lock().total;
        while let Ok(claim) = connection(limiter, Some(network)).claim(64 * KIB) {
            claims.push(claim);
        }
        limiter.lock().total - before
    }

    #[test]
    fn requests_of_a_connection_hold_what_one_request_may() {
        let limiter = Arc::default();
        let connection = connection(&limiter, Some(1));
        let first = connection.claim(64 * KIB).expect("a head");
        first.grow(64 * KIB).expect("a body");
        assert_eq!(connection.claim(64 * KIB).err(), Some(MemoryFull::Connection));
        assert_eq!(first.grow(64 * KIB).err(), Some(MemoryFull::Connection));
        first.release();
        assert!(!first.grow_optional(1), "nothing is counted any more");
        drop(connection.claim(64 * KIB).expect("room after the release"));
        drop(first);
        assert_eq!(limiter.lock().total, 0);
        assert!(limiter.lock().by_network.is_empty());
    }

    #[test]
    fn one_network_holds_its_share_and_fifty_leave_room_for_others() {
        let limiter = Arc::default();
        let mut claims = Vec::new();
        let alone = exhaust(&limiter, 0, &mut claims);
        assert_eq!(alone / MIB, 7);
        for network in 1..50 {
            exhaust(&limiter, network, &mut claims);
        }
        let free = TOTAL - limiter.lock().total;
        assert!(free >= 50 * MIB, "{free}");
        let rightful = exhaust(&limiter, 50, &mut claims);
        assert!(rightful >= MIB, "{rightful}");
        connection(&limiter, None).claim(64 * KIB).expect("a trusted front");
    }
}
