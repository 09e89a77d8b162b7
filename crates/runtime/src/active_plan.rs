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
    /// TLS towards clients, by [`Protocol::index`].
    acceptors: Vec<Acceptor>,
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
        let mut acceptors = Vec::with_capacity(Protocol::ALL.len());
        for protocol in Protocol::ALL {
            let acceptor = Acceptor::new(&plan.tls, certificates, &material.tickets, alpn(protocol));
            acceptors.push(acceptor.map_err(ActivePlanError::Tls)?);
        }
        let backends = Backends::new(&plan, &material.roots, previous.map(|previous| &previous.backends))
            .map_err(|(name, error)| ActivePlanError::Destination(name, error))?;
        let rules = Rules::from(&*plan);
        let resolver =
            Resolver::new(&plan, &backends, &rules, &material.roots).map_err(ActivePlanError::Resolver)?;
        let meters = Arc::new(meters(&plan, previous.map(|previous| &*previous.meters)));
        let serial = NEXT_SERIAL.fetch_add(1, Ordering::Relaxed);
        Ok(Self { serial, plan, backends, rules, resolver, meters, acceptors })
    }

    /// Returns the TLS settings for clients of `listener`.
    #[must_use]
    pub fn acceptor(&self, listener: &Listener) -> &Acceptor {
        &self.acceptors[listener.protocol.index()]
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

/// Returns the names by which clients may ask for `protocol` (RFC 7301), in order of preference. A client that asks for
/// others is refused: it means to talk to another service, and its credentials or cookies are not for this one (the ALPACA
/// attack). The IANA registry has no name for SMTP and LMTP; these are the ones that Exim and Dovecot use.
const fn alpn(protocol: Protocol) -> &'static [&'static [u8]] {
    match protocol {
        Protocol::Imap => &[b"imap"],
        Protocol::Pop3 => &[b"pop3"],
        Protocol::ManageSieve => &[b"managesieve"],
        Protocol::Submission => &[b"submission", b"smtp", b"esmtp"],
        Protocol::Smtp => &[b"smtp", b"esmtp"],
        Protocol::Lmtp => &[b"lmtp"],
        Protocol::Http => &[b"h2", b"http/1.1"],
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
