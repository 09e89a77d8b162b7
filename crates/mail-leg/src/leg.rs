//! Opens a leg: connects to each host in turn and speaks the protocol up to the credential.

use std::time::Duration;

use connection::{Broken, Connection, Next};
use credentials::attempt::ClientInfo;
use mail_proto::step::{BackendEvent, Forward, Replay, ReplayContext};
use plan::{Forwarding, Leg as LegPlan, TlsMode};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use types::fault::Fault;
use types::protocol::Protocol;
use upstream::{Backend, ClientIdentity, Steps};

use crate::protocols;

/// A backend that is ready for a credential.
pub struct Leg {
    /// The connection.
    pub connection: Connection,
    /// Our side of the protocol.
    pub replay: Box<dyn Replay>,
    /// How long each step took.
    pub steps: Steps,
    /// Whether the backend has learnt the client's address, where XCLIENT or ID is configured.
    introduced: bool,
}

/// What a leg is opened for.
#[derive(Debug, Clone, Copy)]
pub struct LegRequest<'a> {
    /// The protocol to speak.
    pub protocol: Protocol,
    /// The client, as far as the backend may learn of it.
    pub client: &'a ClientIdentity,
    /// What the client reported about itself before it logged in.
    pub client_info: &'a ClientInfo,
    /// Our own name, for EHLO.
    pub hostname: &'a str,
    /// When the leg must be ready.
    pub deadline: Instant,
}

/// Longest response of a backend before the login, in bytes.
pub const MAX_RESPONSE: usize = 64 * 1024;

/// Opens a leg to `backend`, with as many attempts as the plan allows.
///
/// # Errors
/// The fault of the last attempt.
pub async fn open(backend: &Backend, request: LegRequest<'_>) -> Result<Leg, Fault> {
    let plan = if request.protocol.carries_credentials() {
        backend.leg(request.protocol)?
    } else {
        backend.passthrough_leg(request.protocol)?
    };
    let mut attempts = backend.attempts(request.protocol, request.client, request.deadline);
    loop {
        let attempt = attempts.next_host()?;
        match open_host(backend, attempt.host, plan, request).await {
            Ok(leg) => {
                attempts.succeeded(attempt, leg.steps.connect + leg.steps.tls + leg.steps.greeting);
                return Ok(leg);
            }
            Err(fault) => attempts.failed(attempt, fault),
        }
    }
}

async fn open_host(
    backend: &Backend,
    host: &str,
    plan: LegPlan,
    request: LegRequest<'_>,
) -> Result<Leg, Fault> {
    let leg = connect(backend, host, plan, request).await?;
    if leg.introduced || request.protocol.carries_credentials() {
        return Ok(leg);
    }
    // The EHLO that asked for XCLIENT may be the only one that the server accepts (OpenSMTPD), and the client sends its own.
    backend.remember_no_xclient(request.protocol);
    let plan = LegPlan { forwarding: Forwarding::None, ..plan };
    connect(backend, host, plan, request).await
}

async fn connect(
    backend: &Backend,
    host: &str,
    plan: LegPlan,
    request: LegRequest<'_>,
) -> Result<Leg, Fault> {
    let (tcp, connect) = backend.dial(host, plan, request.deadline).await?;
    // Boxed: clippy::large_futures; the handshake's state would be part of every session's future.
    let preparing = Box::pin(prepare(backend, host, plan, request, tcp));
    let mut leg = timeout_at(request.deadline, preparing).await.map_err(|_| Fault::TimedOut)??;
    leg.steps.connect = connect;
    Ok(leg)
}

/// From a TCP connection to [`BackendEvent::Ready`].
async fn prepare(
    backend: &Backend,
    host: &str,
    plan: LegPlan,
    request: LegRequest<'_>,
    tcp: TcpStream,
) -> Result<Leg, Fault> {
    let protocol = request.protocol;
    let began = Instant::now();
    let mut tls_took = Duration::ZERO;
    let mut stream = backend.announce(tcp, plan, request.client).await?;
    if plan.tls == TlsMode::Implicit {
        (stream, tls_took) = backend.secure(stream, protocol, host).await?;
    }
    let mut connection = Connection::new(stream, MAX_RESPONSE);
    let mut replay = protocols::replay(protocol, context(plan, request)).ok_or(Fault::NoMechanism)?;
    loop {
        match connection.next(&mut *replay).await.map_err(|broken| fault(&broken))? {
            Next::Event(BackendEvent::Ready { introduced }) => {
                if !introduced {
                    tracing::warn!(
                        destination = %backend.destination().name,
                        "the backend does not accept XCLIENT or ID from us, so it does not learn the client's address: \
                         add the proxy to its trusted networks, or set forwarding = \"none\""
                    );
                }
                let greeting = began.elapsed().saturating_sub(tls_took);
                let steps = Steps { tls: tls_took, greeting, ..Steps::default() };
                return Ok(Leg { connection, replay, steps, introduced });
            }
            Next::StartTls => {
                let (stream, took) = backend.secure(connection.stream, protocol, host).await?;
                tls_took = took;
                connection = Connection::new(stream, MAX_RESPONSE);
                let first = replay.secured();
                connection.write(&first).await.map_err(|_| Fault::Closed)?;
            }
            Next::Event(BackendEvent::Broken(fault)) => return Err(fault),
            Next::Event(_) | Next::Close => return Err(Fault::Protocol),
        }
    }
}

fn context(plan: LegPlan, request: LegRequest<'_>) -> ReplayContext {
    ReplayContext {
        // STARTTLS of a passed-through connection is between the client and the backend.
        starttls: plan.tls == TlsMode::StartTls && request.protocol.carries_credentials(),
        forward: (plan.forwarding == Forwarding::Xclient).then(|| forward(request.client)),
        client_info: request.client_info.clone(),
        hostname: request.hostname.to_owned(),
    }
}

/// Returns `client` in the form in which XCLIENT and ID send it.
#[must_use]
pub fn forward(client: &ClientIdentity) -> Forward {
    Forward {
        client: client.client,
        local: client.local,
        session: client.session.clone(),
        ttl: client.ttl,
        encrypted: client.tls.is_some(),
    }
}

/// Returns a broken connection as a fault of the backend.
#[must_use]
pub fn fault(broken: &Broken) -> Fault {
    match broken {
        Broken::Closed => Fault::Closed,
        Broken::Injected => Fault::StartTlsInjected,
        Broken::Io(error) if error.kind() == std::io::ErrorKind::TimedOut => Fault::TimedOut,
        Broken::Io(_) => Fault::Closed,
    }
}
