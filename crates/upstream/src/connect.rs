//! What every connection to a backend begins with: dialling, the PROXY header, TLS.
//!
//! A connection that was announced for one client is never handed to another.

use std::time::Duration;

use plan::{Forwarding, Leg, TlsMode};
use proxy_protocol::{Outgoing, SslInfo, build_v2};
use tls::{Connector, Stream};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use types::fault::Fault;
use types::protocol::Protocol;

use crate::{Backend, ClientIdentity, Steps};

/// A connection on which nothing of the application protocol was sent or received yet.
#[derive(Debug)]
pub struct Connected {
    /// The stream after the PROXY header and the TLS handshake, where the leg has them.
    pub stream: Stream,
    /// How long it took.
    pub steps: Steps,
}

// === impl Backend ===

impl Backend {
    /// Connects on behalf of `client`, up to the first byte of the application protocol: for protocols without a
    /// dialogue before the login. The caller reports with [`Backend::report`] whether the backend then answers.
    ///
    /// # Errors
    /// The fault of the last attempt.
    pub async fn connect(
        &self,
        protocol: Protocol,
        client: &ClientIdentity,
        deadline: Instant,
    ) -> Result<Connected, Fault> {
        let leg = self.leg(protocol)?;
        let connector = self.connectors[protocol.index()].as_ref();
        let mut attempts = self.attempts(protocol, client, deadline);
        loop {
            let attempt = attempts.next_host()?;
            match self.connect_host(attempt.host, leg, connector, client, deadline).await {
                // Whether it works shows with the first answer: neither a success nor a failure yet.
                Ok(connected) => return Ok(connected),
                Err(fault) => attempts.failed(attempt, fault),
            }
        }
    }

    /// Connects an HTTP leg as [`Backend::connect`] does, but speaks HTTP/1.1 where the leg is for HTTP/2. Returns
    /// `None` when the backend offers no other version there, or when there is no TLS to negotiate one; the backend
    /// is not to blame for that.
    ///
    /// # Errors
    /// The fault of the last attempt.
    pub async fn connect_http1(
        &self,
        client: &ClientIdentity,
        deadline: Instant,
    ) -> Result<Option<Connected>, Fault> {
        let leg = self.leg(Protocol::Http)?;
        let Some(connector) = &self.http1 else { return Ok(None) };
        let mut attempts = self.attempts(Protocol::Http, client, deadline);
        loop {
            let attempt = attempts.next_host()?;
            match self.connect_host(attempt.host, leg, Some(connector), client, deadline).await {
                Ok(connected) => return Ok(Some(connected)),
                // RFC 7301 section 3.2: how a server refuses when it supports none of the offered versions.
                Err(Fault::Tls) => return Ok(None),
                Err(fault) => attempts.failed(attempt, fault),
            }
        }
    }

    /// Returns how the plan wants this backend reached for `protocol`.
    ///
    /// # Errors
    /// [`Fault::NoMechanism`] when the destination has no leg for it.
    pub fn leg(&self, protocol: Protocol) -> Result<Leg, Fault> {
        // Validation checks this for the default destinations of listeners; an account's own may lack the leg.
        self.destination().leg(protocol).copied().ok_or(Fault::NoMechanism)
    }

    /// Connects to one host and returns how long that took.
    ///
    /// # Errors
    /// Why no connection was made.
    pub async fn dial(
        &self,
        host: &str,
        leg: Leg,
        deadline: Instant,
    ) -> Result<(TcpStream, Duration), Fault> {
        let began = Instant::now();
        let connecting = self.dialler.connect(host, leg.port);
        let tcp = timeout_at(deadline, connecting).await.map_err(|_| Fault::ConnectTimeout)??;
        Ok((tcp, began.elapsed()))
    }

    /// Sends the PROXY header that names the client, before any other byte, where the leg asks for one.
    ///
    /// # Errors
    /// [`Fault::Closed`] when the connection fails.
    pub async fn announce(&self, tcp: TcpStream, leg: Leg, client: &ClientIdentity) -> Result<Stream, Fault> {
        listen::socket::tune(&tcp).map_err(|_| Fault::Closed)?;
        let mut stream = Stream::plain(tcp, Vec::new());
        if leg.forwarding == Forwarding::Proxy {
            stream.write_all(&self.proxy_header(client)).await.map_err(|_| Fault::Closed)?;
        }
        Ok(stream)
    }

    /// Does the TLS handshake of the leg for `protocol`, and returns how long it took.
    ///
    /// # Errors
    /// [`Fault::Tls`]; the log has the reason.
    pub async fn secure(
        &self,
        stream: Stream,
        protocol: Protocol,
        host: &str,
    ) -> Result<(Stream, Duration), Fault> {
        self.handshake(stream, self.connector(protocol), host).await
    }

    /// Returns the TLS settings of the leg for `protocol`, where it uses TLS.
    #[must_use]
    pub fn connector(&self, protocol: Protocol) -> Option<&Connector> {
        self.connectors[protocol.index()].as_ref()
    }

    async fn connect_host(
        &self,
        host: &str,
        leg: Leg,
        connector: Option<&Connector>,
        client: &ClientIdentity,
        deadline: Instant,
    ) -> Result<Connected, Fault> {
        let (tcp, connect) = self.dial(host, leg, deadline).await?;
        let handshake = async {
            let stream = self.announce(tcp, leg, client).await?;
            match leg.tls {
                TlsMode::Plain => Ok((stream, Duration::ZERO)),
                // HTTP has no STARTTLS: validation refuses such a leg.
                TlsMode::Implicit | TlsMode::StartTls => self.handshake(stream, connector, host).await,
            }
        };
        // Boxed: clippy::large_futures; the handshake's state would be part of every request's future.
        let (stream, tls) =
            timeout_at(deadline, Box::pin(handshake)).await.map_err(|_| Fault::TimedOut)??;
        Ok(Connected { stream, steps: Steps { connect, tls, ..Steps::default() } })
    }

    async fn handshake(
        &self,
        stream: Stream,
        connector: Option<&Connector>,
        host: &str,
    ) -> Result<(Stream, Duration), Fault> {
        let began = Instant::now();
        let connector = connector.ok_or(Fault::Tls)?;
        let destination = &self.destination().name;
        let stream = match stream.connect(connector, host).await {
            Ok(stream) => stream,
            Err(error) => {
                tracing::warn!(%destination, %error, "TLS handshake with the destination failed");
                return Err(Fault::Tls);
            }
        };
        let resumed = stream.tls_info().is_some_and(|info| info.resumed);
        tracing::debug!(%destination, resumed, "TLS with the destination");
        Ok((stream, began.elapsed()))
    }

    fn proxy_header(&self, client: &ClientIdentity) -> Vec<u8> {
        let mut header = Vec::new();
        let tls = client.tls.as_ref();
        let outgoing = Outgoing {
            source: client.client,
            destination: client.local,
            ssl: tls.map(|tls| SslInfo { version: tls.version.to_owned(), cipher: tls.cipher.clone() }),
            authority: tls.and_then(|tls| tls.sni.clone()),
            unique_id: Some(client.session.clone()),
            alpn: tls.and_then(|tls| tls.alpn.clone()),
            tlvs: self.destination().proxy_tlvs,
        };
        build_v2(&mut header, &outgoing);
        header
    }
}
