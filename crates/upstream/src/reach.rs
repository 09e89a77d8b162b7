//! What every connection to a backend begins with: hosts tried in turn, dialling, the PROXY header, TLS.

use std::slice;
use std::time::Duration;

use plan::{Forwarding, Leg as LegPlan, TlsMode};
use proxy_protocol::{Outgoing, SslInfo, build_v2};
use tls::{Connector, Stream};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use types::fault::Fault;
use types::protocol::Protocol;

use crate::health::Permit;
use crate::{Backend, ClientIdentity, Steps};

/// A connection on which nothing of the application protocol has been said.
#[derive(Debug)]
pub struct Connected {
    /// Behind the PROXY header and TLS, where the plan has them.
    pub stream: Stream,
    /// How long it took.
    pub steps: Steps,
}

/// The tries of one connection: each host in turn, as often as the plan allows, until the deadline.
pub(crate) struct Tries<'a> {
    backend: &'a Backend,
    protocol: Protocol,
    client_identity: &'a ClientIdentity,
    deadline: Instant,
    hosts: slice::Iter<'a, String>,
    rounds_left: u32,
    is_first: bool,
    /// The last try's fault.
    pub(crate) last: Fault,
}

// === impl Backend ===

impl Backend {
    /// Connects for `client_identity`, up to the first byte of the application protocol: for protocols without a
    /// dialogue before the login. Whether the backend then answers is the caller's to report, with
    /// [`Backend::judge`].
    ///
    /// # Errors
    /// The last try's fault.
    pub async fn connect(
        &self,
        protocol: Protocol,
        client_identity: &ClientIdentity,
        deadline: Instant,
    ) -> Result<Connected, Fault> {
        let plan = *self.destination().leg(protocol).ok_or(Fault::NoMechanism)?;
        let connector = self.connectors[protocol.index()].as_ref();
        let mut tries = Tries::new(self, protocol, client_identity, deadline);
        while let Some(host) = tries.next() {
            let permit = self.health(protocol).permit()?;
            match self.reach(host, (plan, connector), client_identity, deadline).await {
                // Neither success nor failure yet: see above.
                Ok(connected) => return Ok(connected),
                Err(fault) => tries.failed(permit, fault),
            }
        }
        Err(tries.last)
    }

    /// As [`Backend::connect`] for HTTP, but speaks HTTP/1.1 on a leg that is for HTTP/2. `None`: the backend has no
    /// other version there, or there is no TLS to agree on one; that is no fault of its.
    ///
    /// # Errors
    /// The last try's fault.
    pub async fn connect_http1(
        &self,
        client_identity: &ClientIdentity,
        deadline: Instant,
    ) -> Result<Option<Connected>, Fault> {
        let protocol = Protocol::Http;
        let plan = *self.destination().leg(protocol).ok_or(Fault::NoMechanism)?;
        let Some(connector) = &self.http1 else { return Ok(None) };
        let mut tries = Tries::new(self, protocol, client_identity, deadline);
        while let Some(host) = tries.next() {
            let permit = self.health(protocol).permit()?;
            match self.reach(host, (plan, Some(connector)), client_identity, deadline).await {
                Ok(connected) => return Ok(Some(connected)),
                // RFC 7301 section 3.2: so a server refuses when it has none of the versions on offer.
                Err(Fault::Tls) => return Ok(None),
                Err(fault) => tries.failed(permit, fault),
            }
        }
        Err(tries.last)
    }

    async fn reach(
        &self,
        host: &str,
        (plan, connector): (LegPlan, Option<&Connector>),
        client_identity: &ClientIdentity,
        deadline: Instant,
    ) -> Result<Connected, Fault> {
        let (tcp, connect) = self.dial(host, plan, deadline).await?;
        let preparing = Box::pin(async {
            let stream = self.announce(tcp, plan, client_identity).await?;
            match plan.tls {
                TlsMode::Plain => Ok((stream, Duration::ZERO)),
                // HTTP knows no STARTTLS: validation lets no such leg through.
                TlsMode::Implicit | TlsMode::StartTls => self.secure(stream, connector, host).await,
            }
        });
        let (stream, tls) = timeout_at(deadline, preparing).await.map_err(|_| Fault::TimedOut)??;
        Ok(Connected { stream, steps: Steps { connect, tls, ..Steps::default() } })
    }

    /// Connects to one host.
    pub(crate) async fn dial(
        &self,
        host: &str,
        plan: LegPlan,
        deadline: Instant,
    ) -> Result<(TcpStream, Duration), Fault> {
        let began = Instant::now();
        let connecting = self.dialler.connect(host, plan.port);
        let tcp = timeout_at(deadline, connecting).await.map_err(|_| Fault::ConnectTimeout)??;
        Ok((tcp, began.elapsed()))
    }

    /// Says who the client is, before any other byte, where the leg wants it said so.
    pub(crate) async fn announce(
        &self,
        tcp: TcpStream,
        plan: LegPlan,
        client_identity: &ClientIdentity,
    ) -> Result<Stream, Fault> {
        connection::socket::tune(&tcp).map_err(|_| Fault::Closed)?;
        let mut stream = Stream::plain(tcp, Vec::new());
        if plan.forwarding == Forwarding::Proxy {
            stream.write_all(&self.header(client_identity)).await.map_err(|_| Fault::Closed)?;
        }
        Ok(stream)
    }

    /// The client's side of a handshake, and how long it took.
    pub(crate) async fn secure(
        &self,
        stream: Stream,
        connector: Option<&Connector>,
        host: &str,
    ) -> Result<(Stream, Duration), Fault> {
        let began = Instant::now();
        let connector = connector.ok_or(Fault::Tls)?;
        let stream = stream.connect(connector, host).await.map_err(|error| {
            tracing::warn!(destination = %self.destination().name, %error, "TLS with the destination failed");
            Fault::Tls
        })?;
        let resumed = stream.tls_info().is_some_and(|info| info.resumed);
        tracing::debug!(destination = %self.destination().name, resumed, "TLS with the destination");
        Ok((stream, began.elapsed()))
    }

    fn header(&self, client_identity: &ClientIdentity) -> Vec<u8> {
        let mut header = Vec::new();
        let tls = client_identity.tls.as_ref();
        let outgoing = Outgoing {
            source: client_identity.client,
            destination: client_identity.local,
            ssl: tls.map(|tls| SslInfo { version: tls.version.to_owned(), cipher: tls.cipher.clone() }),
            authority: tls.and_then(|tls| tls.sni.clone()),
            unique_id: Some(client_identity.session.clone()),
            alpn: tls.and_then(|tls| tls.alpn.clone()),
            tlvs: self.destination().proxy_tlvs,
        };
        build_v2(&mut header, &outgoing);
        header
    }
}

// === impl Tries ===

impl<'a> Tries<'a> {
    pub(crate) fn new(
        backend: &'a Backend,
        protocol: Protocol,
        client_identity: &'a ClientIdentity,
        deadline: Instant,
    ) -> Self {
        let hosts = backend.destination().hosts.iter();
        let rounds_left = backend.retries;
        let last = Fault::Unreachable;
        Self { backend, protocol, client_identity, deadline, hosts, rounds_left, is_first: true, last }
    }

    /// The host to try next.
    pub(crate) fn next(&mut self) -> Option<&'a str> {
        if !std::mem::take(&mut self.is_first) && Instant::now() >= self.deadline {
            return None;
        }
        if let Some(host) = self.hosts.next() {
            return Some(host);
        }
        if self.rounds_left == 0 || !self.last.is_retryable() {
            return None;
        }
        self.rounds_left -= 1;
        self.hosts = self.backend.destination().hosts.iter();
        self.hosts.next().map(String::as_str)
    }

    pub(crate) fn succeeded(&self, permit: Permit<'_>, took: Duration) {
        if permit.succeeded(took) {
            self.backend.log_back(self.protocol);
        }
    }

    pub(crate) fn failed(&mut self, permit: Permit<'_>, fault: Fault) {
        self.last = fault;
        if permit.failed(fault, self.client_identity.client.ip()) {
            self.backend.log_down(self.protocol, fault);
        }
    }
}

// === impl Backend ===

impl Backend {
    /// Reports what became of a connection that [`Backend::connect`] gave: an answer (and how long it
    /// took to be connected), or a fault of the backend's that `client` met.
    pub fn judge(&self, protocol: Protocol, client: std::net::IpAddr, verdict: Result<Duration, Fault>) {
        match verdict {
            Ok(took) if self.health(protocol).succeeded(took) => self.log_back(protocol),
            Ok(_) => {}
            Err(fault) if self.health(protocol).failed(fault, client) => self.log_down(protocol, fault),
            Err(_) => {}
        }
    }

    fn log_back(&self, protocol: Protocol) {
        tracing::info!(destination = %self.destination().name, %protocol, "destination is back");
    }

    fn log_down(&self, protocol: Protocol, fault: Fault) {
        let destination = &self.destination().name;
        tracing::warn!(%destination, %protocol, fault = fault.label(), "destination is marked down");
    }
}
