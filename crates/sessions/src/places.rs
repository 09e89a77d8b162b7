//! Places for logins in flight: a few for each account and client network.
//!
//! The limit protects the backends from many logins of one account at the same time. It is counted for each client
//! network, so that no client can take the places of another network: otherwise eight logins that never end would lock the
//! account's owner out. A login without a place waits for one, in the order of arrival. What must never happen here: a
//! login that is refused because of the logins of another network, or a queue without a bound.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use tokio::sync::Semaphore;
use types::network::client_network;

use crate::limits::{Busy, MAX_LOGINS_OF_NETWORK};

/// The logins of one account, by client network.
#[derive(Debug, Default)]
pub(crate) struct Places {
    by_network: HashMap<IpAddr, NetworkPlaces>,
}

/// The logins of one account from one client network.
#[derive(Debug)]
struct NetworkPlaces {
    /// One permit for each login in flight.
    permits: Arc<Semaphore>,
    /// The limit with which `permits` was made.
    limit: usize,
    /// Logins that have a place or wait for one.
    logins: usize,
}

// === impl Places ===

impl Places {
    /// Counts a login of `client` and returns the semaphore from which it takes its place. `limit` is the number of places
    /// of a network. When it has changed, logins that are counted already keep to the old one.
    ///
    /// # Errors
    /// [`Busy::Logins`] when [`MAX_LOGINS_OF_NETWORK`] logins of the network have a place or wait for one.
    pub(crate) fn enter(&mut self, client: IpAddr, limit: usize) -> Result<Arc<Semaphore>, Busy> {
        let network =
            self.by_network.entry(client_network(client)).or_insert_with(|| NetworkPlaces::new(limit));
        if network.logins >= MAX_LOGINS_OF_NETWORK {
            return Err(Busy::Logins);
        }
        if network.limit != limit {
            network.permits = Arc::new(Semaphore::new(limit));
            network.limit = limit;
        }
        network.logins += 1;
        Ok(Arc::clone(&network.permits))
    }

    /// Ends a login that was counted.
    pub(crate) fn leave(&mut self, client: IpAddr) {
        let key = client_network(client);
        if let Some(network) = self.by_network.get_mut(&key) {
            network.logins -= 1;
            if network.logins == 0 {
                self.by_network.remove(&key);
            }
        }
        // The account may keep sessions for hours after its last login: without logins, the map holds no memory.
        if self.by_network.is_empty() {
            self.by_network = HashMap::new();
        }
    }
}

// === impl NetworkPlaces ===

impl NetworkPlaces {
    fn new(limit: usize) -> Self {
        Self { permits: Arc::new(Semaphore::new(limit)), limit, logins: 0 }
    }
}

#[cfg(test)]
mod tests;
