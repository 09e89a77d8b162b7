//! How many connections a listener has, altogether and of one address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use types::outcome::ConnectionRefusal;

/// The places of one listener. A clone counts the same places.
#[derive(Debug, Clone)]
pub struct ConnectionLimiter {
    taken: Arc<Mutex<Taken>>,
}

/// A place that is taken until this is dropped.
#[derive(Debug)]
#[must_use]
pub struct Permit {
    taken: Arc<Mutex<Taken>>,
    key: IpAddr,
}

/// Bounded by the number of connections: an address is in the map only while it has one.
#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

// === impl ConnectionLimiter ===

impl ConnectionLimiter {
    /// ConnectionLimiter that are all free.
    #[must_use]
    pub fn new() -> Self {
        Self { taken: Arc::default() }
    }

    /// Takes a place for `address`; a limit of 0 for one address is none.
    ///
    /// # Errors
    /// Which limit is reached.
    pub fn take(
        &self,
        address: IpAddr,
        limit: usize,
        limit_per_address: usize,
    ) -> Result<Permit, ConnectionRefusal> {
        let key = types::network::of(address);
        let mut taken = self.lock();
        if taken.all >= limit {
            return Err(ConnectionRefusal::MaxConnections);
        }
        let own = taken.by_address.get(&key).copied().unwrap_or(0);
        if limit_per_address != 0 && own >= limit_per_address {
            return Err(ConnectionRefusal::MaxConnectionsPerIp);
        }
        taken.all += 1;
        taken.by_address.insert(key, own + 1);
        Ok(Permit { taken: Arc::clone(&self.taken), key })
    }

    /// How many are taken.
    #[must_use]
    pub fn count(&self) -> usize {
        self.lock().all
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for ConnectionLimiter {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.all = taken.all.saturating_sub(1);
        match taken.by_address.get_mut(&self.key) {
            Some(count) if *count > 1 => *count -= 1,
            _ => {
                taken.by_address.remove(&self.key);
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
    fn limits_hold_and_places_come_back() {
        let limiter = ConnectionLimiter::new();
        let a = limiter.take(ip("192.0.2.1"), 3, 2).expect("a place");
        let _b = limiter.take(ip("::ffff:192.0.2.1"), 3, 2).expect("a place");
        assert_eq!(limiter.take(ip("192.0.2.1"), 3, 2).err(), Some(ConnectionRefusal::MaxConnectionsPerIp));
        let _c = limiter.take(ip("2001:db8::1"), 3, 1).expect("a place");
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
    fn no_address_stays_behind() {
        let limiter = ConnectionLimiter::new();
        for n in 0..100 {
            drop(limiter.take(IpAddr::from([192, 0, 2, n]), 1, 0));
        }
        assert!(limiter.lock().by_address.is_empty());
    }
}
