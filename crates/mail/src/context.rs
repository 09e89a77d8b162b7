//! What a session is given: one plan with everything built from it, and the state that outlives plans.

use std::fmt;
use std::sync::Arc;

use identity::Rules;
use mail_proto::step::Offer;
use mapping::Router;
use observe::{Accounts, Meters};
use plan::{Name, Plan};
use sessions::{LoginThrottle, Registry};
use tls::{Acceptor, Certificates, PlatformRoots, SetupError, Tickets};
use token_lookup::Resolver;
use tokio::sync::Semaphore;
use types::protocol::Protocol;
use upstream::Backends;

/// A plan and what was built from it. A reload makes a new one; a session keeps the one it logged in with.
pub struct Context {
    /// The plan.
    pub plan: Arc<Plan>,
    /// TLS towards clients of the mail protocols.
    pub acceptor: Acceptor,
    /// The destinations.
    pub backends: Backends,
    /// From credentials to identifiers.
    pub rules: Rules,
    /// Whose opaque tokens are, where the plan has somebody to ask.
    pub resolver: Option<Resolver>,
    /// What is counted of this plan's listeners and destinations.
    pub meters: Arc<Meters>,
    /// What is advertised, by [`Protocol::index`].
    offers: Vec<Arc<Offer>>,
    /// State that outlives plans.
    pub live: Live,
}

/// State that outlives plans. A clone is the same state.
#[derive(Clone)]
pub struct Live {
    /// Accounts: sessions, holds, kicks.
    pub registry: Registry,
    /// Failed logins: how long the next verdict of one waits.
    pub throttle: LoginThrottle,
    /// The mapping.
    pub router: Arc<Router>,
    /// How accounts are shown in logs.
    pub accounts: Arc<Accounts>,
    /// Ticket keys, the same for all listeners and plans.
    pub tickets: Arc<Tickets>,
    /// Roots of the platform, read once.
    pub roots: PlatformRoots,
    /// TLS handshakes under way.
    pub handshakes: Arc<Semaphore>,
}

/// What cannot be built from a valid plan.
#[derive(Debug, thiserror::Error)]
pub enum ContextError {
    /// TLS towards clients.
    #[error("tls: {0}")]
    Tls(SetupError),
    /// TLS towards who is asked about tokens.
    #[error("oauth.resolve: {0}")]
    Resolver(SetupError),
    /// TLS towards a destination.
    #[error("destination.{0}: {1}")]
    Destination(Name, SetupError),
}

// === impl Context ===

impl Context {
    /// Builds a plan's context; `previous` hands on the health and the counters of what has the same name.
    ///
    /// # Errors
    /// When TLS cannot be set up; the destination is named.
    pub fn new(
        plan: Arc<Plan>,
        certificates: &Arc<Certificates>,
        live: Live,
        previous: Option<&Self>,
    ) -> Result<Self, ContextError> {
        let acceptor =
            Acceptor::new(&plan.tls, certificates, &live.tickets, &[]).map_err(ContextError::Tls)?;
        let backends = Backends::new(&plan, &live.roots, previous.map(|previous| &previous.backends))
            .map_err(|(name, error)| ContextError::Destination(name, error))?;
        let rules = Rules::from(&*plan);
        let resolver =
            Resolver::new(&plan, &backends, &rules, &live.roots).map_err(ContextError::Resolver)?;
        let offers = Protocol::ALL.into_iter().map(|protocol| Arc::new(offer(&plan, protocol))).collect();
        let meters = Arc::new(meters(&plan, previous.map(|previous| &*previous.meters)));
        Ok(Self { plan, acceptor, backends, rules, resolver, meters, offers, live })
    }

    /// What is advertised for `protocol`. Where no host name is configured, greetings show the address that
    /// the client connected to.
    pub(crate) fn offer(&self, protocol: Protocol, local: std::net::SocketAddr) -> Arc<Offer> {
        let offer = &self.offers[protocol.index()];
        if self.plan.server.hostname.is_some() {
            return Arc::clone(offer);
        }
        Arc::new(Offer { hostname: self.hostname(local), ..Offer::clone(offer) })
    }

    /// Our name in greetings: the configured one, else the address that the client connected to (an address
    /// literal, RFC 5321 section 4.1.3).
    pub(crate) fn hostname(&self, local: std::net::SocketAddr) -> String {
        let literal = || match local.ip().to_canonical() {
            std::net::IpAddr::V4(ip) => format!("[{ip}]"),
            std::net::IpAddr::V6(ip) => format!("[IPv6:{ip}]"),
        };
        self.plan.server.hostname.clone().unwrap_or_else(literal)
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("plan", &self.plan.path).finish_non_exhaustive()
    }
}

fn meters(plan: &Plan, previous: Option<&Meters>) -> Meters {
    let listeners: Vec<_> =
        plan.listeners.iter().map(|one| (Arc::clone(&one.name), one.protocol.name())).collect();
    let mut legs = Vec::new();
    for (name, destination) in &plan.destinations {
        let has = |protocol: &Protocol| destination.leg(*protocol).is_some();
        let protocols = Protocol::ALL.into_iter().filter(has);
        legs.extend(protocols.map(|protocol| (Arc::clone(name), protocol.name())));
    }
    Meters::new(&listeners, &legs, previous)
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
