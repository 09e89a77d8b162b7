//! A plan and everything that is built from it.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use identity::Rules;
use observe::Meters;
use plan::{Listener, Name, Plan};
use tls::{Acceptor, Certificates, PlatformRoots, SetupError, Tickets};
use token_lookup::Resolver;
use types::protocol::Protocol;
use upstream::Backends;

/// A plan and what was built from it. A reload builds a new one; a session keeps the one that it logged in with.
pub struct ActivePlan {
    /// A number that no other plan of this process has.
    pub serial: u64,
    /// The plan.
    pub plan: Arc<Plan>,
    /// The destinations.
    pub backends: Backends,
    /// How a credential names an account.
    pub rules: Rules,
    /// Finds the account of an opaque token, where the plan has a server to query.
    pub resolver: Option<Resolver>,
    /// The counters of this plan's listeners and destinations.
    pub meters: Arc<Meters>,
    /// TLS towards clients of the text protocols.
    mail_acceptor: Acceptor,
    /// TLS towards clients of HTTP.
    http_acceptor: Acceptor,
}

/// The TLS state that outlives plans.
#[derive(Clone)]
pub struct TlsMaterial {
    /// Ticket keys, the same for all listeners and plans.
    pub tickets: Arc<Tickets>,
    /// The platform's root certificates, read once.
    pub roots: PlatformRoots,
}

/// Why a valid plan cannot be put in force.
#[derive(Debug, thiserror::Error)]
pub enum ActivePlanError {
    /// TLS towards clients.
    #[error("tls: {0}")]
    Tls(SetupError),
    /// TLS towards the server that is queried about tokens.
    #[error("oauth.resolve: {0}")]
    Resolver(SetupError),
    /// TLS towards a destination.
    #[error("destination.{0}: {1}")]
    Destination(Name, SetupError),
}

static NEXT_SERIAL: AtomicU64 = AtomicU64::new(1);

/// The protocols that HTTP listeners negotiate (RFC 7301).
const HTTP_ALPN: &[&[u8]] = &[b"h2", b"http/1.1"];

// === impl ActivePlan ===

impl ActivePlan {
    /// Builds what `plan` needs. Health and counters of destinations and listeners that `previous` also has are
    /// taken over.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(
        plan: Arc<Plan>,
        certificates: &Arc<Certificates>,
        material: &TlsMaterial,
        previous: Option<&Self>,
    ) -> Result<Self, ActivePlanError> {
        let acceptor = |alpn| {
            Acceptor::new(&plan.tls, certificates, &material.tickets, alpn).map_err(ActivePlanError::Tls)
        };
        let mail_acceptor = acceptor(&[])?;
        let http_acceptor = acceptor(HTTP_ALPN)?;
        let backends = Backends::new(&plan, &material.roots, previous.map(|previous| &previous.backends))
            .map_err(|(name, error)| ActivePlanError::Destination(name, error))?;
        let rules = Rules::from(&*plan);
        let resolver =
            Resolver::new(&plan, &backends, &rules, &material.roots).map_err(ActivePlanError::Resolver)?;
        let meters = Arc::new(meters(&plan, previous.map(|previous| &*previous.meters)));
        let serial = NEXT_SERIAL.fetch_add(1, Ordering::Relaxed);
        Ok(Self { serial, plan, backends, rules, resolver, meters, mail_acceptor, http_acceptor })
    }

    /// Returns the TLS settings for clients of `listener`.
    #[must_use]
    pub fn acceptor(&self, listener: &Listener) -> &Acceptor {
        match listener.protocol {
            Protocol::Http => &self.http_acceptor,
            _ => &self.mail_acceptor,
        }
    }

    /// Returns our name in greetings: the configured one, else `local`, the address that the client connected to, as
    /// an address literal (RFC 5321 section 4.1.3).
    #[must_use]
    pub fn hostname(&self, local: SocketAddr) -> String {
        if let Some(hostname) = &self.plan.server.hostname {
            return hostname.clone();
        }
        match local.ip().to_canonical() {
            IpAddr::V4(ip) => format!("[{ip}]"),
            IpAddr::V6(ip) => format!("[IPv6:{ip}]"),
        }
    }
}

impl fmt::Debug for ActivePlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ActivePlan").field("plan", &self.plan.path).finish_non_exhaustive()
    }
}

fn meters(plan: &Plan, previous: Option<&Meters>) -> Meters {
    let listeners: Vec<_> = plan
        .listeners
        .iter()
        .map(|listener| (Arc::clone(&listener.name), listener.protocol.name()))
        .collect();
    let mut legs = Vec::new();
    for (name, destination) in &plan.destinations {
        for protocol in Protocol::ALL {
            if destination.leg(protocol).is_some() {
                legs.push((Arc::clone(name), protocol.name()));
            }
        }
    }
    Meters::new(&listeners, &legs, previous)
}
