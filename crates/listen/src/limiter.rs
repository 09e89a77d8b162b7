//! Limits the connections of a listener, in total and per client address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use types::outcome::ConnectionRefusal;

/// Counts the connections of one listener. A clone shares the count.
#[derive(Debug, Clone)]
pub struct ConnectionLimiter {
    admitted: Arc<Mutex<Admitted>>,
}

/// One admitted connection. It is counted until this is dropped.
#[derive(Debug)]
#[must_use]
pub struct Permit {
    admitted: Arc<Mutex<Admitted>>,
    key: IpAddr,
}

/// Bounded by the number of connections: an address is in the map only while it has one.
#[derive(Debug, Default)]
struct Admitted {
    total: usize,
    by_address: HashMap<IpAddr, usize>,
}

// === impl ConnectionLimiter ===

impl ConnectionLimiter {
    /// Returns a limiter without connections.
    #[must_use]
    pub fn new() -> Self {
        Self { admitted: Arc::default() }
    }

    /// Admits a connection from `address`. A `limit_per_address` of 0 means no limit per address.
    ///
    /// # Errors
    /// Returns the limit that is reached.
    pub fn take(
        &self,
        address: IpAddr,
        limit: usize,
        limit_per_address: usize,
    ) -> Result<Permit, ConnectionRefusal> {
        let key = types::network::client_network(address);
        let mut admitted = self.lock();
        if admitted.total >= limit {
            return Err(ConnectionRefusal::MaxConnections);
        }
        let own = admitted.by_address.get(&key).copied().unwrap_or(0);
        if limit_per_address != 0 && own >= limit_per_address {
            return Err(ConnectionRefusal::MaxConnectionsPerIp);
        }
        admitted.total += 1;
        admitted.by_address.insert(key, own + 1);
        Ok(Permit { admitted: Arc::clone(&self.admitted), key })
    }

    /// Returns the number of admitted connections.
    #[must_use]
    pub fn count(&self) -> usize {
        self.lock().total
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Admitted> {
        self.admitted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for ConnectionLimiter {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut admitted = self.admitted.lock().unwrap_or_else(PoisonError::into_inner);
        admitted.total = admitted.total.saturating_sub(1);
        match admitted.by_address.get_mut(&self.key) {
            Some(count) if *count > 1 => *count -= 1,
            _ => {
                admitted.by_address.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("address")
    }

    #[test]
    fn limits_hold_and_a_dropped_permit_is_free_again() {
        let limiter = ConnectionLimiter::new();
        let a = limiter.take(ip("192.0.2.1"), 3, 2).expect("a permit");
        let _b = limiter.take(ip("::ffff:192.0.2.1"), 3, 2).expect("a permit");
        assert_eq!(limiter.take(ip("192.0.2.1"), 3, 2).err(), Some(ConnectionRefusal::MaxConnectionsPerIp));
        let _c = limiter.take(ip("2001:db8::1"), 3, 1).expect("a permit");
        assert_eq!(limiter.take(ip("192.0.2.9"), 3, 2).err(), Some(ConnectionRefusal::MaxConnections));
        drop(a);
        assert_eq!(
            limiter.take(ip("2001:db8::ffff"), 3, 1).err(),
            Some(ConnectionRefusal::MaxConnectionsPerIp),
            "the same /64"
        );
        let _d = limiter.take(ip("2001:db8:0:1::1"), 3, 1).expect("another /64");
        assert_eq!(limiter.count(), 3);
    }

    #[test]
    fn an_address_without_connections_is_forgotten() {
        let limiter = ConnectionLimiter::new();
        for n in 0..100 {
            drop(limiter.take(IpAddr::from([192, 0, 2, n]), 1, 0));
        }
        assert!(limiter.lock().by_address.is_empty());
    }
}
