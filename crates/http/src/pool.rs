//! Connections to backends that wait for their next request.
//!
//! What must never happen: a connection whose PROXY header names one client carries a request of another; a
//! connection that is out of step is used again.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use config::plan::Name;
use tokio::time::{Instant, interval};

use crate::backend::Connection;

/// Whom a waiting connection may serve.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) destination: Name,
    /// Where the connection began with a PROXY header: what that says.
    pub(crate) announced: Option<Announced>,
}

/// What a PROXY header says of a client, but for its port and session.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Announced {
    pub(crate) client: IpAddr,
    pub(crate) local: SocketAddr,
    pub(crate) encrypted: bool,
}

/// The waiting connections of one plan.
#[derive(Default)]
pub(crate) struct Pool {
    shelves: Mutex<Shelves>,
}

#[derive(Default)]
struct Shelves {
    by_key: HashMap<Key, Vec<Waiting>>,
    /// Over all keys.
    count: usize,
}

struct Waiting {
    connection: Connection,
    since: Instant,
}

/// How long a connection may wait. Shorter than the keep-alive of the usual servers, so that few are closed
/// just as they are taken.
const MAX_WAIT: Duration = Duration::from_secs(15);
/// Connections that wait for one key, and altogether: more are closed.
const MAX_OF_KEY: usize = 32;
const MAX_ALL: usize = 1024;
/// Between two rounds through the shelves.
const ROUND: Duration = Duration::from_secs(5);

// === impl Pool ===

impl Pool {
    /// An empty pool, which closes what waits too long. Must be called within the runtime.
    pub(crate) fn new() -> Arc<Self> {
        let pool = Arc::new(Self::default());
        tokio::spawn(tidy(Arc::downgrade(&pool)));
        pool
    }

    /// The connection that has waited least and can still be used.
    pub(crate) fn take(&self, key: &Key) -> Option<Connection> {
        loop {
            let Waiting { mut connection, since } = self.lock().pop(key)?;
            if since.elapsed() >= MAX_WAIT || !connection.is_fresh() {
                continue;
            }
            if let Connection::Many(requests) = &connection {
                // It stays for others while it is used.
                self.put(key, Connection::Many(requests.clone()));
            }
            return Some(connection);
        }
    }

    /// Puts a connection back that is in step.
    pub(crate) fn put(&self, key: &Key, connection: Connection) {
        let mut shelves = self.lock();
        if shelves.count >= MAX_ALL {
            return;
        }
        let shelf = shelves.by_key.entry(key.clone()).or_default();
        // One HTTP/2 connection carries as many requests as there are.
        let is_shared = matches!(connection, Connection::Many(_));
        if shelf.len() >= MAX_OF_KEY || (is_shared && !shelf.is_empty()) {
            return;
        }
        shelf.push(Waiting { connection, since: Instant::now() });
        shelves.count += 1;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Shelves> {
        // Nothing is half done between two calls.
        self.shelves.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Shelves ===

impl Shelves {
    fn pop(&mut self, key: &Key) -> Option<Waiting> {
        let shelf = self.by_key.get_mut(key)?;
        let waiting = shelf.pop();
        self.count -= usize::from(waiting.is_some());
        if shelf.is_empty() {
            self.by_key.remove(key);
        }
        waiting
    }
}

async fn tidy(pool: Weak<Pool>) {
    let mut rounds = interval(ROUND);
    loop {
        rounds.tick().await;
        let Some(pool) = pool.upgrade() else { return };
        let mut shelves = pool.lock();
        shelves.by_key.retain(|_, shelf| {
            shelf.retain(|waiting| waiting.since.elapsed() < MAX_WAIT);
            !shelf.is_empty()
        });
        shelves.count = shelves.by_key.values().map(Vec::len).sum();
    }
}
