//! What clients are offered before their backend is known, one [`Offer`] per protocol of the plan in force.

use std::net::SocketAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use mail_proto::step::Offer;
use plan::Plan;
use runtime::ActivePlan;
use types::protocol::Protocol;

/// The offers of the plan in force. They are built once for each plan, not for each connection.
pub(crate) struct Offers(ArcSwap<OffersOfPlan>);

struct OffersOfPlan {
    plan: Arc<ActivePlan>,
    /// By [`Protocol::index`].
    by_protocol: [Arc<Offer>; Protocol::ALL.len()],
}

// === impl Offers ===

impl Offers {
    pub(crate) fn new(plan: Arc<ActivePlan>) -> Self {
        Self(ArcSwap::from_pointee(OffersOfPlan::new(plan)))
    }

    /// Returns what `plan` offers for `protocol`. Where no host name is configured, greetings show `local`, the address
    /// that the client connected to.
    pub(crate) fn get(&self, plan: &Arc<ActivePlan>, protocol: Protocol, local: SocketAddr) -> Arc<Offer> {
        let offers = self.0.load();
        if !Arc::ptr_eq(&offers.plan, plan) {
            // A reload has replaced the plan since. Two connections that notice at once build the same offers.
            let renewed = OffersOfPlan::new(Arc::clone(plan));
            let offer = renewed.get(protocol, local);
            self.0.store(Arc::new(renewed));
            return offer;
        }
        offers.get(protocol, local)
    }
}

// === impl OffersOfPlan ===

impl OffersOfPlan {
    fn new(plan: Arc<ActivePlan>) -> Self {
        let by_protocol = Protocol::ALL.map(|protocol| Arc::new(offer(&plan.plan, protocol)));
        Self { plan, by_protocol }
    }

    fn get(&self, protocol: Protocol, local: SocketAddr) -> Arc<Offer> {
        let offer = &self.by_protocol[protocol.index()];
        if self.plan.plan.server.hostname.is_some() {
            return Arc::clone(offer);
        }
        Arc::new(Offer { hostname: self.plan.hostname(local), ..Offer::clone(offer) })
    }
}

fn offer(plan: &Plan, protocol: Protocol) -> Offer {
    let capabilities = plan.capabilities(protocol);
    Offer {
        hostname: plan.server.hostname.clone().unwrap_or_default(),
        banner: capabilities.banner.clone(),
        sasl: capabilities.sasl.clone(),
        capabilities: capabilities.advertise.clone(),
        implementation: capabilities.implementation.clone(),
        cleartext_without_tls: capabilities.cleartext_without_tls,
    }
}
