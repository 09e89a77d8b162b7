//! Shares the processors among the TLS handshakes with clients.
//!
//! A handshake computes in a few steps and waits for the client between them. It needs a permit for each step and holds
//! none while it waits, so a silent client delays nobody. What must never happen here: a permit is held over a wait for
//! a client, or one client network has so many steps under way that others have to wait for it.

use std::collections::HashMap;
use std::future::poll_fn;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use tokio::sync::Semaphore;

/// Admits the steps of handshakes. Clones share the permits.
#[derive(Clone, Debug)]
pub(crate) struct Handshakes {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    permits: Semaphore,
    /// Permits that one client network may hold or wait for.
    network_limit: usize,
    /// Networks with a handshake under way, so their number is bounded by that of the connections.
    networks: Mutex<HashMap<IpAddr, Network>>,
}

#[derive(Debug)]
struct Network {
    permits: Arc<Semaphore>,
    handshakes: usize,
}

/// One handshake of a network, until it is dropped.
struct Member<'a> {
    inner: &'a Inner,
    network: IpAddr,
    permits: Arc<Semaphore>,
}

/// The part of the permits that one client network may use.
const NETWORK_SHARE: usize = 4;

// === impl Handshakes ===

impl Handshakes {
    /// Allows `permits` steps at once, and a quarter of them to each client network.
    pub(crate) fn new(permits: usize) -> Self {
        let permits = permits.clamp(1, Semaphore::MAX_PERMITS);
        let inner = Inner {
            permits: Semaphore::new(permits),
            network_limit: (permits / NETWORK_SHARE).max(1),
            networks: Mutex::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Runs the `handshake` of a client at `address`, each step with a permit.
    pub(crate) async fn run<F: Future>(&self, address: IpAddr, handshake: F) -> F::Output {
        let member = self.inner.join(address);
        let mut handshake = pin!(handshake);
        loop {
            let step = {
                // The network's permit comes first, so that a network never has more than its share in the queue of
                // all. The semaphores are never closed; if they were, a step without a permit would do no harm.
                let _network_permit = member.permits.acquire().await;
                let _permit = self.inner.permits.acquire().await;
                poll_fn(|context| Poll::Ready(handshake.as_mut().poll(context))).await
            };
            match step {
                Poll::Ready(output) => return output,
                Poll::Pending => woken().await,
            }
        }
    }
}

// === impl Inner ===

impl Inner {
    fn join(&self, address: IpAddr) -> Member<'_> {
        let network = types::network::client_network(address);
        let mut networks = self.lock();
        let entry = networks.entry(network).or_insert_with(|| Network {
            permits: Arc::new(Semaphore::new(self.network_limit)),
            handshakes: 0,
        });
        entry.handshakes += 1;
        Member { inner: self, network, permits: Arc::clone(&entry.permits) }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, Network>> {
        self.networks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Member<'_> {
    fn drop(&mut self) {
        let mut networks = self.inner.lock();
        if let Some(entry) = networks.get_mut(&self.network) {
            entry.handshakes -= 1;
            if entry.handshakes == 0 {
                networks.remove(&self.network);
            }
        }
    }
}

/// Returns when the task is woken: the step that has just ended has left its waker where the client's bytes arrive.
async fn woken() {
    let mut is_first = true;
    poll_fn(|_| {
        if is_first {
            is_first = false;
            return Poll::Pending;
        }
        Poll::Ready(())
    })
    .await;
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::sync::oneshot;
    use tokio::task::JoinSet;

    use super::*;

    const STRANGER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 1));
    const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    /// With one permit, 512 clients that have sent nothing hold none.
    #[tokio::test]
    async fn a_handshake_that_waits_for_its_client_holds_no_permit() {
        let handshakes = Handshakes::new(1);
        let mut silent = JoinSet::new();
        for _ in 0..512 {
            let handshakes = handshakes.clone();
            silent.spawn(async move { handshakes.run(STRANGER, pending::<()>()).await });
        }
        while handshakes.inner.lock().get(&STRANGER).is_none_or(|network| network.handshakes < 512) {
            tokio::task::yield_now().await;
        }
        assert_eq!(handshakes.run(CLIENT, async { "done" }).await, "done");
        assert_eq!(handshakes.run(STRANGER, async { "done" }).await, "done");
        silent.shutdown().await;
        assert!(handshakes.inner.lock().is_empty(), "a network without a handshake is forgotten");
    }

    /// A step goes on where it was when its client's bytes arrive.
    #[tokio::test]
    async fn a_handshake_goes_on_when_it_is_woken() {
        let handshakes = Handshakes::new(1);
        let (send, receive) = oneshot::channel();
        let waiting = tokio::spawn({
            let handshakes = handshakes.clone();
            async move { handshakes.run(CLIENT, receive).await }
        });
        while handshakes.inner.lock().is_empty() {
            tokio::task::yield_now().await;
        }
        send.send("bytes").expect("the handshake waits");
        assert_eq!(waiting.await.expect("no panic"), Ok("bytes"));
    }

    /// However many steps of one network are ready, three quarters of the permits are left to others.
    #[tokio::test]
    async fn a_network_gets_a_quarter_of_the_permits() {
        let handshakes = Handshakes::new(8);
        let member = handshakes.inner.join(STRANGER);
        assert_eq!(member.permits.available_permits(), 2);
        let other_address = handshakes.inner.join(STRANGER);
        assert!(Arc::ptr_eq(&member.permits, &other_address.permits), "one share for the whole network");
        let held = member.permits.try_acquire_many(2).expect("both permits");
        let queued = handshakes.run(STRANGER, async {});
        let mut queued = pin!(queued);
        assert!(poll_fn(|context| Poll::Ready(queued.as_mut().poll(context))).await.is_pending());
        assert_eq!(handshakes.inner.permits.available_permits(), 8, "it waits in its own network's queue");
        handshakes.run(CLIENT, async {}).await;
        drop(held);
        queued.await;
    }
}
