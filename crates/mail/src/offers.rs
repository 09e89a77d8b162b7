//! What clients are offered before their backend is known, one [`Offer`] per protocol of the plan in force.

use std::net::SocketAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use mail_proto::step::Offer;
use plan::Plan;
use runtime::ActivePlan;
use types::protocol::Protocol;

use crate::learnt::{Announcements, Common, servers};

/// The offers of the plan in force. They are built for each plan and each change of what is learnt, not for each
/// connection.
pub(crate) struct Offers {
    built: ArcSwap<OffersOfPlan>,
    announcements: ArcSwap<Announcements>,
}

struct OffersOfPlan {
    plan: Arc<ActivePlan>,
    /// By [`Protocol::index`].
    by_protocol: [Arc<Offer>; Protocol::ALL.len()],
}

// === impl Offers ===

impl Offers {
    pub(crate) fn new(plan: Arc<ActivePlan>) -> Self {
        let announcements = Announcements::new();
        let built = ArcSwap::from_pointee(OffersOfPlan::new(plan, &announcements));
        Self { built, announcements: ArcSwap::from_pointee(announcements) }
    }

    /// Returns what `plan` offers for `protocol`. Where no host name is configured, greetings show `local`, the address
    /// that the client connected to.
    pub(crate) fn get(&self, plan: &Arc<ActivePlan>, protocol: Protocol, local: SocketAddr) -> Arc<Offer> {
        let offers = self.built.load();
        if !Arc::ptr_eq(&offers.plan, plan) {
            // A reload has replaced the plan since. Two connections that notice at once build the same offers.
            let renewed = OffersOfPlan::new(Arc::clone(plan), &self.announcements.load());
            let offer = renewed.get(protocol, local);
            self.built.store(Arc::new(renewed));
            return offer;
        }
        offers.get(protocol, local)
    }

    /// Returns what the servers have announced.
    pub(crate) fn announcements(&self) -> Arc<Announcements> {
        self.announcements.load_full()
    }

    /// Offers from now on what follows from `announcements`, which replace those known before.
    pub(crate) fn learn(&self, plan: &Arc<ActivePlan>, announcements: Announcements) {
        let built = OffersOfPlan::new(Arc::clone(plan), &announcements);
        built.log_changes(&self.built.load());
        self.announcements.store(Arc::new(announcements));
        self.built.store(Arc::new(built));
    }
}

// === impl OffersOfPlan ===

impl OffersOfPlan {
    fn new(plan: Arc<ActivePlan>, announcements: &Announcements) -> Self {
        let by_protocol = Protocol::ALL.map(|protocol| Arc::new(offer(&plan.plan, protocol, announcements)));
        Self { plan, by_protocol }
    }

    fn log_changes(&self, before: &Self) {
        for protocol in Protocol::ALL {
            let offer = &self.by_protocol[protocol.index()];
            if offer.capabilities != before.by_protocol[protocol.index()].capabilities {
                let capabilities = offer.capabilities.join(", ");
                tracing::info!(protocol = protocol.name(), capabilities, "advertised capabilities changed");
            }
        }
    }

    fn get(&self, protocol: Protocol, local: SocketAddr) -> Arc<Offer> {
        let offer = &self.by_protocol[protocol.index()];
        if self.plan.plan.server.hostname.is_some() {
            return Arc::clone(offer);
        }
        Arc::new(Offer { hostname: self.plan.hostname(local), ..Offer::clone(offer) })
    }
}

/// Returns the offer for `protocol`: what the configuration lists; else what every server has; else the least, as long as a
/// server has not answered.
fn offer(plan: &Plan, protocol: Protocol, announcements: &Announcements) -> Offer {
    let capabilities = plan.capabilities(protocol);
    let mut offer = Offer {
        hostname: plan.server.hostname.clone().unwrap_or_default(),
        banner: capabilities.banner.clone(),
        sasl: capabilities.sasl.clone(),
        capabilities: capabilities.advertise.clone(),
        notify: Vec::new(),
        implementation: capabilities.implementation.clone(),
        cleartext_without_tls: capabilities.cleartext_without_tls,
    };
    if !capabilities.learn {
        return offer;
    }
    if let Some(common) = Common::of(&servers(plan, protocol), announcements) {
        if !capabilities.sasl_is_set {
            offer.sasl = common.usable(&capabilities.sasl);
        }
        if !capabilities.advertise_is_set && protocol != Protocol::Pop3 {
            offer.capabilities = common.words;
        }
        offer.notify = common.notify;
    }
    offer
}
