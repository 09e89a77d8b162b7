//! Limits the connections of a listener: in total, per client address, and per trusted peer that has not reported the
//! client yet.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use plan::Listener;
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
    holder: Holder,
}

/// The party that a connection is counted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Holder {
    /// The network of a client.
    Client(IpAddr),
    /// The network of a trusted peer (a load balancer, a webmail server) that has not reported the client yet.
    Front(IpAddr),
}

/// Bounded by the number of connections: a holder is in the map only while it has one.
#[derive(Debug, Default)]
struct Admitted {
    total: usize,
    by_holder: HashMap<Holder, usize>,
}

// === impl ConnectionLimiter ===

impl ConnectionLimiter {
    /// Returns a limiter without connections.
    #[must_use]
    pub fn new() -> Self {
        Self { admitted: Arc::default() }
    }

    /// Admits a connection from the client at `address`. A `limit_per_address` of 0 means no limit per address.
    ///
    /// # Errors
    /// Returns the limit that is reached.
    pub fn take(
        &self,
        address: IpAddr,
        limit: usize,
        limit_per_address: usize,
    ) -> Result<Permit, ConnectionRefusal> {
        self.admit(Holder::client(address), limit, limit_per_address)
    }

    /// Admits a connection from `peer` under the limits of `listener`. A peer that may report the client is counted as
    /// a front until it does: see [`Permit::count_for_client`].
    ///
    /// # Errors
    /// Returns the limit that is reached.
    pub fn take_for(&self, listener: &Listener, peer: IpAddr) -> Result<Permit, ConnectionRefusal> {
        let limit = listener.max_connections;
        if listener.trusts_peer(peer) {
            return self.admit(Holder::front(peer), limit, listener.max_connections_per_front);
        }
        self.admit(Holder::client(peer), limit, listener.max_connections_per_ip)
    }

    /// Returns the number of admitted connections.
    #[must_use]
    pub fn count(&self) -> usize {
        lock(&self.admitted).total
    }

    fn admit(&self, holder: Holder, limit: usize, own_limit: usize) -> Result<Permit, ConnectionRefusal> {
        let mut admitted = lock(&self.admitted);
        if admitted.total >= limit {
            return Err(ConnectionRefusal::MaxConnections);
        }
        admitted.add(holder, own_limit)?;
        admitted.total += 1;
        Ok(Permit { admitted: Arc::clone(&self.admitted), holder })
    }
}

impl Default for ConnectionLimiter {
    fn default() -> Self {
        Self::new()
    }
}

// === impl Permit ===

impl Permit {
    /// Counts the connection for the client at `address`, as its front has reported, and no longer for the front.
    ///
    /// # Errors
    /// Returns the limit that the client has reached. The connection is then still counted for the front.
    pub fn count_for_client(
        &mut self,
        address: IpAddr,
        limit_per_address: usize,
    ) -> Result<(), ConnectionRefusal> {
        self.move_to(Holder::client(address), limit_per_address)
    }

    /// Counts the connection for the front at `address`: a webmail server that is reached through a load balancer.
    ///
    /// # Errors
    /// Returns the limit that the front has reached. The connection is then still counted for the previous holder.
    pub fn count_for_front(
        &mut self,
        address: IpAddr,
        limit_per_front: usize,
    ) -> Result<(), ConnectionRefusal> {
        self.move_to(Holder::front(address), limit_per_front)
    }

    fn move_to(&mut self, holder: Holder, limit: usize) -> Result<(), ConnectionRefusal> {
        if holder == self.holder {
            return Ok(());
        }
        let mut admitted = lock(&self.admitted);
        admitted.add(holder, limit)?;
        admitted.remove(self.holder);
        drop(admitted);
        self.holder = holder;
        Ok(())
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut admitted = lock(&self.admitted);
        admitted.total = admitted.total.saturating_sub(1);
        admitted.remove(self.holder);
    }
}

// === impl Holder ===

impl Holder {
    fn client(address: IpAddr) -> Self {
        Self::Client(types::network::client_network(address))
    }

    fn front(address: IpAddr) -> Self {
        Self::Front(types::network::client_network(address))
    }

    const fn refusal(self) -> ConnectionRefusal {
        match self {
            Self::Client(_) => ConnectionRefusal::MaxConnectionsPerIp,
            Self::Front(_) => ConnectionRefusal::MaxConnectionsPerFront,
        }
    }
}

// === impl Admitted ===

impl Admitted {
    /// Counts one more connection of `holder`. A `limit` of 0 means no limit.
    fn add(&mut self, holder: Holder, limit: usize) -> Result<(), ConnectionRefusal> {
        let own = self.by_holder.get(&holder).copied().unwrap_or(0);
        if limit != 0 && own >= limit {
            return Err(holder.refusal());
        }
        self.by_holder.insert(holder, own + 1);
        Ok(())
    }

    fn remove(&mut self, holder: Holder) {
        match self.by_holder.get_mut(&holder) {
            Some(count) if *count > 1 => *count -= 1,
            _ => {
                self.by_holder.remove(&holder);
            }
        }
    }
}

/// A poisoned lock is harmless: the counters are changed without a step that can panic.
fn lock(admitted: &Mutex<Admitted>) -> MutexGuard<'_, Admitted> {
    admitted.lock().unwrap_or_else(PoisonError::into_inner)
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

    /// A balancer may forward more connections than one client may have.
    #[test]
    fn a_forwarded_connection_is_counted_for_its_client() {
        let limiter = ConnectionLimiter::new();
        let balancer = Holder::front(ip("10.0.0.1"));
        let mut permits = Vec::new();
        for client in 0..=255 {
            let mut permit = limiter.admit(balancer, 1000, 2).expect("the balancer has no other connection");
            let address = IpAddr::from([192, 0, 2, client]);
            permit.count_for_client(address, 1).expect("the client's first connection");
            permits.push(permit);
        }
        assert_eq!(limiter.count(), 256);
        let mut second = limiter.admit(balancer, 1000, 2).expect("a permit");
        let refusal = second.count_for_client(ip("192.0.2.7"), 1).err();
        assert_eq!(refusal, Some(ConnectionRefusal::MaxConnectionsPerIp));
        assert_eq!(second.holder, balancer, "still counted for the balancer");
        let _third = limiter.admit(balancer, 1000, 2).expect("a permit");
        let refusal = limiter.admit(balancer, 1000, 2).err();
        assert_eq!(refusal, Some(ConnectionRefusal::MaxConnectionsPerFront));
        drop(permits);
        second.count_for_client(ip("192.0.2.7"), 1).expect("the client's only connection by now");
        drop(second);
        assert!(!lock(&limiter.admitted).by_holder.contains_key(&Holder::client(ip("192.0.2.7"))));
    }

    #[test]
    fn an_address_without_connections_is_forgotten() {
        let limiter = ConnectionLimiter::new();
        for n in 0..100 {
            drop(limiter.take(IpAddr::from([192, 0, 2, n]), 1, 0));
        }
        assert!(lock(&limiter.admitted).by_holder.is_empty());
    }
}
