//! Idle connections to backends.
//!
//! What must never happen here: a connection whose PROXY header names one client carries a request of another; a
//! connection with an unfinished message is used again.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use plan::Name;
use tokio::time::{Instant, interval};

use crate::backend::BackendConnection;

/// The requests that an idle connection may carry.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct PoolKey {
    /// The plan that the connection was opened under: another one may reach the destination differently.
    pub(crate) plan: u64,
    pub(crate) destination: Name,
    /// The contents of the PROXY header that the connection began with, if any.
    pub(crate) announced: Option<Announced>,
}

/// What a PROXY header contains about a client, except its port and session.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Announced {
    pub(crate) client: IpAddr,
    pub(crate) local: SocketAddr,
    pub(crate) encrypted: bool,
}

/// The idle connections, of all plans.
#[derive(Default)]
pub(crate) struct Pool {
    state: Mutex<PoolState>,
}

#[derive(Default)]
struct PoolState {
    by_key: HashMap<PoolKey, Vec<IdleConnection>>,
    /// Over all keys.
    count: usize,
    /// By destination.
    observed: HashMap<Name, ObservedLimit>,
}

struct IdleConnection {
    connection: BackendConnection,
    since: Instant,
    /// How long it may wait, if the backend has announced it.
    limit: Option<Duration>,
}

/// How long a destination keeps idle connections open, as its closes show.
struct ObservedLimit {
    limit: Duration,
    observed: Instant,
}

/// How long a connection may be idle. Shorter than the keep-alive of most servers, so that few connections are closed
/// just as they are taken.
const MAX_IDLE: Duration = Duration::from_secs(15);
/// The shortest limit that closes lead to: a backend that restarts closes connections of any age.
const MIN_OBSERVED: Duration = Duration::from_secs(1);
/// How long an observed limit counts: the backend may be configured again.
const FORGET_OBSERVED: Duration = Duration::from_secs(600);
/// Idle connections for one client, for all clients of a destination that gets no PROXY header, and in total. More are
/// closed.
const MAX_OF_CLIENT: usize = 32;
const MAX_SHARED: usize = 256;
const MAX_ALL: usize = 1024;
/// How often expired connections are closed.
const ROUND: Duration = Duration::from_secs(5);

// === impl PoolKey ===

impl PoolKey {
    /// How many connections may be idle.
    const fn limit(&self) -> usize {
        if self.announced.is_some() { MAX_OF_CLIENT } else { MAX_SHARED }
    }
}

// === impl Pool ===

impl Pool {
    /// Returns an empty pool, which closes expired connections. Must be called within the runtime.
    pub(crate) fn new() -> Arc<Self> {
        let pool = Arc::new(Self::default());
        tokio::spawn(tidy(Arc::downgrade(&pool)));
        pool
    }

    /// Takes the connection that was used last and is still open.
    pub(crate) fn take(&self, key: &PoolKey) -> Option<BackendConnection> {
        loop {
            let mut waiting = {
                let mut state = self.lock();
                let waiting = state.pop(key)?;
                if waiting.since.elapsed() >= state.limit(key, &waiting) {
                    continue;
                }
                waiting
            };
            if !waiting.connection.is_fresh() {
                self.lock().closed(key, waiting.since.elapsed());
                continue;
            }
            let IdleConnection { connection, limit, .. } = waiting;
            if let BackendConnection::H2(requests) = &connection {
                // It stays in the pool for other requests.
                self.put(key, BackendConnection::H2(requests.clone()), limit);
            }
            return Some(connection);
        }
    }

    /// Puts back a connection that has no unfinished message. `announced`: how long the backend keeps it open.
    pub(crate) fn put(&self, key: &PoolKey, connection: BackendConnection, announced: Option<Duration>) {
        let mut state = self.lock();
        if state.count >= MAX_ALL {
            return;
        }
        let idle = state.by_key.entry(key.clone()).or_default();
        // One HTTP/2 connection carries many requests.
        let is_shared = matches!(connection, BackendConnection::H2(_));
        if idle.len() >= key.limit() || (is_shared && !idle.is_empty()) {
            return;
        }
        idle.push(IdleConnection { connection, since: Instant::now(), limit: announced.map(with_margin) });
        state.count += 1;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, PoolState> {
        // No method panics halfway through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl PoolState ===

impl PoolState {
    fn pop(&mut self, key: &PoolKey) -> Option<IdleConnection> {
        let idle = self.by_key.get_mut(key)?;
        let waiting = idle.pop();
        self.count -= usize::from(waiting.is_some());
        if idle.is_empty() {
            self.by_key.remove(key);
        }
        waiting
    }

    /// How long a connection may wait.
    fn limit(&self, key: &PoolKey, waiting: &IdleConnection) -> Duration {
        let observed = self.observed.get(&key.destination).map_or(MAX_IDLE, |observed| observed.limit);
        waiting.limit.unwrap_or(MAX_IDLE).min(observed).min(MAX_IDLE)
    }

    /// Notes that the backend has closed a connection that was idle for `age`.
    fn closed(&mut self, key: &PoolKey, age: Duration) {
        if age < MIN_OBSERVED {
            return;
        }
        let limit = with_margin(age).max(MIN_OBSERVED);
        let observed = Instant::now();
        let entry = self.observed.entry(Name::clone(&key.destination));
        let found = entry.or_insert(ObservedLimit { limit, observed });
        found.limit = found.limit.min(limit);
        found.observed = observed;
    }
}

/// Returns a limit below the backend's own, so that a connection is not used in the moment in which it is closed.
fn with_margin(limit: Duration) -> Duration {
    limit - limit.min(Duration::from_secs(4)) / 4
}

async fn tidy(pool: Weak<Pool>) {
    let mut rounds = interval(ROUND);
    loop {
        rounds.tick().await;
        let Some(pool) = pool.upgrade() else { return };
        let mut state = pool.lock();
        state.observed.retain(|_, observed| observed.observed.elapsed() < FORGET_OBSERVED);
        let mut by_key = std::mem::take(&mut state.by_key);
        by_key.retain(|key, idle| {
            idle.retain_mut(|waiting| {
                let age = waiting.since.elapsed();
                if age >= state.limit(key, waiting) {
                    return false;
                }
                let is_open = waiting.connection.is_fresh();
                if !is_open {
                    state.closed(key, age);
                }
                is_open
            });
            !idle.is_empty()
        });
        state.by_key = by_key;
        state.count = state.by_key.values().map(Vec::len).sum();
    }
}

#[cfg(test)]
mod tests {
    use tls::Stream;
    use tokio::io::AsyncWriteExt;
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    /// A connection, and the backend's end of it.
    async fn connection(listener: &TcpListener) -> (BackendConnection, TcpStream) {
        let address = listener.local_addr().expect("an address");
        let (ours, theirs) = tokio::join!(TcpStream::connect(address), listener.accept());
        let stream = Stream::plain(ours.expect("a connection"), Vec::new());
        (BackendConnection::new(stream, false, false).await.expect("HTTP/1"), theirs.expect("a connection").0)
    }

    async fn listener() -> TcpListener {
        TcpListener::bind("127.0.0.1:0").await.expect("a socket")
    }

    fn key(client: Option<u8>) -> PoolKey {
        let announced = client.map(|last| Announced {
            client: IpAddr::from([192, 0, 2, last]),
            local: SocketAddr::from(([192, 0, 2, 100], 443)),
            encrypted: true,
        });
        PoolKey { plan: 1, destination: "old".into(), announced }
    }

    #[tokio::test]
    async fn a_connection_serves_only_the_client_in_its_proxy_header() {
        let listener = listener().await;
        let pool = Pool::new();
        let (ours, _theirs) = connection(&listener).await;
        pool.put(&key(Some(1)), ours, None);
        assert!(pool.take(&key(Some(2))).is_none());
        assert!(pool.take(&key(None)).is_none());
        assert!(pool.take(&key(Some(1))).is_some());
        assert!(pool.take(&key(Some(1))).is_none(), "it was taken");
    }

    #[tokio::test]
    async fn closed_and_unexpectedly_readable_connections_are_not_used() {
        let listener = listener().await;
        let pool = Pool::new();
        let (closed, theirs) = connection(&listener).await;
        drop(theirs);
        pool.put(&key(None), closed, None);
        let (talks, mut theirs) = connection(&listener).await;
        theirs.write_all(b"HTTP/1.1 408 Request Timeout\r\n\r\n").await.expect("it is written");
        pool.put(&key(None), talks, None);
        assert!(pool.take(&key(None)).is_none());
    }

    #[tokio::test]
    async fn a_connection_waits_no_longer_than_its_backend_keeps_it() {
        let listener = listener().await;
        let pool = Pool::new();
        let (short, _short) = connection(&listener).await;
        let (shorter, _shorter) = connection(&listener).await;
        tokio::time::pause();
        pool.put(&key(None), short, Some(Duration::from_secs(5)));
        tokio::time::advance(Duration::from_millis(3_900)).await;
        let short = pool.take(&key(None)).expect("it is open for another second");
        pool.put(&key(None), short, Some(Duration::from_secs(5)));
        pool.put(&key(Some(1)), shorter, Some(Duration::from_secs(1)));
        tokio::time::advance(Duration::from_millis(800)).await;
        assert!(pool.take(&key(Some(1))).is_none());
        tokio::time::advance(Duration::from_millis(3_300)).await;
        assert!(pool.take(&key(None)).is_none());
    }

    #[tokio::test]
    async fn a_close_teaches_how_long_the_destination_keeps_connections() {
        let listener = listener().await;
        let pool = Pool::new();
        let (closed, theirs) = connection(&listener).await;
        let (open, _open) = connection(&listener).await;
        drop(theirs);
        tokio::time::pause();
        pool.put(&key(None), closed, None);
        tokio::time::advance(Duration::from_secs(4)).await;
        assert!(pool.take(&key(None)).is_none());
        pool.put(&key(Some(1)), open, None);
        tokio::time::advance(Duration::from_millis(3_100)).await;
        assert!(pool.take(&key(Some(1))).is_none(), "the limit of the destination is 3 s");
        tokio::time::advance(FORGET_OBSERVED + ROUND).await;
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        assert!(pool.lock().observed.is_empty());
    }

    #[tokio::test]
    async fn idle_connections_are_bounded() {
        let listener = listener().await;
        let pool = Pool::new();
        let mut theirs = Vec::new();
        for (key, room) in [(key(Some(2)), MAX_OF_CLIENT), (key(None), MAX_SHARED)] {
            let before = pool.lock().count;
            for _ in 0..room + 3 {
                let (ours, end) = connection(&listener).await;
                pool.put(&key, ours, None);
                theirs.push(end);
            }
            assert_eq!(pool.lock().count - before, room);
        }
        let (ours, _end) = connection(&listener).await;
        pool.lock().count = MAX_ALL;
        pool.put(&key(Some(1)), ours, None);
        assert!(pool.take(&key(Some(1))).is_none(), "there was no room");
    }

    #[tokio::test]
    async fn idle_connections_expire() {
        let listener = listener().await;
        let pool = Pool::new();
        let (first, _theirs) = connection(&listener).await;
        let (second, _theirs) = connection(&listener).await;
        pool.put(&key(None), first, None);
        pool.put(&key(Some(1)), second, None);
        tokio::time::pause();
        tokio::time::advance(MAX_IDLE).await;
        assert!(pool.take(&key(None)).is_none());
        // Without a call, too.
        tokio::time::advance(ROUND).await;
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        assert_eq!(pool.lock().count, 0);
    }
}
