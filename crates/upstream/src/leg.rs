//! One connection to a backend, up to the point where a credential may be sent.

use std::net::SocketAddr;
use std::time::Duration;

use connection::{Broken, Connection, Next};
use mail_proto::step::{BackendEvent, Forward, Replay};
use plan::{Forwarding, Leg as LegPlan, TlsMode};
use tls::TlsInfo;
use tokio::time::{Instant, timeout_at};
use types::fault::Fault;
use types::protocol::Protocol;

use crate::Backend;
use crate::reach::Tries;

/// A backend that is ready for a credential.
pub struct Leg {
    /// The conversation.
    pub connection: Connection,
    /// Our side of it.
    pub replay: Box<dyn Replay>,
    /// How long it took.
    pub steps: Steps,
}

/// How long the steps to a leg took.
#[derive(Debug, Default, Clone, Copy)]
pub struct Steps {
    /// Name and connection, all tries included.
    pub connect: Duration,
    /// The TLS handshake, implicit or by STARTTLS.
    pub tls: Duration,
    /// From connected to ready, TLS not counted.
    pub greeting: Duration,
}

/// The client, as far as a backend may learn of it.
#[derive(Debug, Clone)]
pub struct ClientIdentity {
    /// Its address: behind a trusted front or PROXY header, the real one.
    pub client: SocketAddr,
    /// What it connected to.
    pub local: SocketAddr,
    /// The encryption of its connection.
    pub tls: Option<TlsInfo>,
    /// The session's id.
    pub session: String,
    /// Hops that are left.
    pub ttl: u8,
}

/// Longest response of a backend before the login.
const INBOX: usize = 64 * 1024;

// === impl Backend ===

impl Backend {
    /// Opens a leg for `client_identity`: until `deadline`, with as many tries as the plan allows, at each host in
    /// turn. `replay` makes the machine for one try.
    ///
    /// # Errors
    /// The last try's fault.
    pub async fn open(
        &self,
        protocol: Protocol,
        client_identity: &ClientIdentity,
        deadline: Instant,
        replay: impl Fn(Option<Forward>, bool) -> Box<dyn Replay>,
    ) -> Result<Leg, Fault> {
        // Validation has made sure of the leg for listeners' default destinations; an account's own may lack it.
        let plan = *self.destination().leg(protocol).ok_or(Fault::NoMechanism)?;
        let mut tries = Tries::new(self, protocol, client_identity, deadline);
        while let Some(host) = tries.next() {
            let permit = self.health(protocol).permit()?;
            match self.attempt(host, (protocol, plan), client_identity, deadline, &replay).await {
                Ok(leg) => {
                    let steps = leg.steps;
                    tries.succeeded(permit, steps.connect + steps.tls + steps.greeting);
                    return Ok(leg);
                }
                Err(fault) => tries.failed(permit, fault),
            }
        }
        Err(tries.last)
    }

    async fn attempt(
        &self,
        host: &str,
        (protocol, plan): (Protocol, LegPlan),
        client_identity: &ClientIdentity,
        deadline: Instant,
        replay: &impl Fn(Option<Forward>, bool) -> Box<dyn Replay>,
    ) -> Result<Leg, Fault> {
        let (tcp, connect) = self.dial(host, plan, deadline).await?;
        let preparing = Box::pin(self.prepare(host, (protocol, plan), client_identity, tcp, replay));
        let mut leg = timeout_at(deadline, preparing).await.map_err(|_| Fault::TimedOut)??;
        leg.steps.connect = connect;
        Ok(leg)
    }

    async fn prepare(
        &self,
        host: &str,
        (protocol, plan): (Protocol, LegPlan),
        client_identity: &ClientIdentity,
        tcp: tokio::net::TcpStream,
        replay: &impl Fn(Option<Forward>, bool) -> Box<dyn Replay>,
    ) -> Result<Leg, Fault> {
        let began = Instant::now();
        let mut connection = Connection::new(self.announce(tcp, plan, client_identity).await?, INBOX);
        let mut steps = Steps::default();
        if plan.tls == TlsMode::Implicit {
            connection = self.encrypt(connection, protocol, host, &mut steps).await?;
        }
        let forward = (plan.forwarding == Forwarding::Xclient).then(|| client_identity.forward());
        let mut replay = replay(forward, plan.tls == TlsMode::StartTls);
        loop {
            match connection.next(&mut *replay).await.map_err(|broken| fault(&broken))? {
                Next::Event(BackendEvent::Ready { introduced }) => {
                    if !introduced {
                        tracing::warn!(
                            destination = %self.destination().name,
                            "the backend does not take XCLIENT or ID from us, so it does not learn the client's \
                             address: add the proxy to its trusted networks, or set forwarding = \"none\""
                        );
                    }
                    steps.greeting = began.elapsed().saturating_sub(steps.tls);
                    return Ok(Leg { connection, replay, steps });
                }
                Next::StartTls => {
                    connection = self.encrypt(connection, protocol, host, &mut steps).await?;
                    let first = replay.secured();
                    connection.write(&first).await.map_err(|_| Fault::Closed)?;
                }
                Next::Event(BackendEvent::Broken(fault)) => return Err(fault),
                Next::Event(_) | Next::Close => return Err(Fault::Protocol),
            }
        }
    }

    async fn encrypt(
        &self,
        connection: Connection,
        protocol: Protocol,
        host: &str,
        steps: &mut Steps,
    ) -> Result<Connection, Fault> {
        let connector = self.connectors[protocol.index()].as_ref();
        let (stream, took) = self.secure(connection.stream, connector, host).await?;
        steps.tls = took;
        Ok(Connection::new(stream, INBOX))
    }
}

// === impl ClientIdentity ===

impl ClientIdentity {
    fn forward(&self) -> Forward {
        Forward {
            client: self.client,
            local: self.local,
            session: self.session.clone(),
            ttl: self.ttl,
            encrypted: self.tls.is_some(),
        }
    }
}

/// A broken conversation as a fault of the backend's.
pub(crate) fn fault(broken: &Broken) -> Fault {
    match broken {
        Broken::Closed => Fault::Closed,
        Broken::Injected => Fault::StartTlsInjected,
        Broken::Io(error) if error.kind() == std::io::ErrorKind::TimedOut => Fault::TimedOut,
        Broken::Io(_) => Fault::Closed,
    }
}
