//! Limits the queries that run at the same time for one client network.
//!
//! A token that is not cached costs a connection to its issuer, and any client can make up tokens. The limit is counted for
//! each client network, so that one client delays only itself. What must never happen: an entry for a network without a
//! query.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use types::network::client_network;

/// The queries of all client networks.
#[derive(Debug, Default)]
pub(crate) struct QueryLimit {
    networks: Mutex<HashMap<IpAddr, Arc<Semaphore>>>,
}

/// The right to run one query. Dropping it lets the next one of the network run.
#[derive(Debug)]
pub(crate) struct QueryPermit<'l> {
    limit: &'l QueryLimit,
    network: IpAddr,
    semaphore: Arc<Semaphore>,
    permit: Option<OwnedSemaphorePermit>,
}

/// The most queries at the same time for one client network. More tokens of an office behind one address wait, but hardly
/// ever: a token is queried once in `ttl`.
pub(crate) const MAX_QUERIES_OF_NETWORK: usize = 8;

// === impl QueryLimit ===

impl QueryLimit {
    /// Waits until another query may run for the network of `client`. The caller bounds the wait.
    pub(crate) async fn acquire(&self, client: IpAddr) -> QueryPermit<'_> {
        let network = client_network(client);
        let new = || Arc::new(Semaphore::new(MAX_QUERIES_OF_NETWORK));
        let semaphore = Arc::clone(self.lock().entry(network).or_insert_with(new));
        // Made first, so that a caller that is cancelled while it waits removes the entry, too.
        let mut permit =
            QueryPermit { limit: self, network, semaphore: Arc::clone(&semaphore), permit: None };
        // The semaphore is never closed, so this cannot fail.
        permit.permit = semaphore.acquire_owned().await.ok();
        permit
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, Arc<Semaphore>>> {
        self.networks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl QueryPermit ===

impl Drop for QueryPermit<'_> {
    fn drop(&mut self) {
        let mut networks = self.limit.lock();
        // Its own reference to the semaphore goes with it.
        self.permit = None;
        // The map and this caller.
        if Arc::strong_count(&self.semaphore) == 2 {
            networks.remove(&self.network);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_network_waits_only_for_its_own_queries() {
        let limit = QueryLimit::default();
        let ip = |text: &str| text.parse().expect("an address");
        let mut permits = Vec::new();
        for host in 0..MAX_QUERIES_OF_NETWORK {
            permits.push(limit.acquire(ip(&format!("2001:db8::{host}"))).await);
        }
        let short = Duration::from_secs(1);
        assert!(timeout(short, limit.acquire(ip("2001:db8::ffff"))).await.is_err(), "the same /64");
        let other =
            timeout(short, limit.acquire(ip("192.0.2.1"))).await.expect("another network does not wait");
        drop(permits.pop());
        let next = timeout(short, limit.acquire(ip("2001:db8::ffff"))).await.expect("a permit was returned");
        assert_eq!(limit.lock().len(), 2);
        drop((permits, next, other));
        assert_eq!(limit.lock().len(), 0, "nothing is left behind");
    }
}
