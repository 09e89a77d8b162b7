//! What every connection to a backend begins with: dialling, the PROXY header, TLS.
//!
//! A connection that was announced for one client is never handed to another.

use std::sync::atomic::Ordering;
use std::time::Duration;

use plan::{Forwarding, Leg, TlsMode};
use proxy_protocol::{Outgoing, SslInfo, build_local, build_v2};
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
    /// [`Fault::NoLeg`] when the destination has no leg for it.
    pub fn leg(&self, protocol: Protocol) -> Result<Leg, Fault> {
        // Validation refuses this for mail listeners, but not for HTTP, and an account may be mapped to a destination that
        // exists for pass-through only.
        self.destination().leg(protocol).copied().ok_or(Fault::NoLeg)
    }

    /// Returns the leg for `protocol` as a connection that passes through must use it: without XCLIENT, once the server has
    /// not accepted it.
    ///
    /// # Errors
    /// [`Fault::NoLeg`] when the destination has no leg for it.
    pub fn passthrough_leg(&self, protocol: Protocol) -> Result<Leg, Fault> {
        let leg = self.leg(protocol)?;
        if self.lacks_xclient[protocol.index()].load(Ordering::Relaxed) {
            return Ok(Leg { forwarding: Forwarding::None, ..leg });
        }
        Ok(leg)
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
            stream.write_all(&self.proxy_header(leg, client)).await.map_err(|_| Fault::Closed)?;
        }
        Ok(stream)
    }

    /// Sends the PROXY header of a connection that is the proxy's own (`LOCAL`), where the leg asks for a header.
    ///
    /// # Errors
    /// [`Fault::Closed`] when the connection fails.
    pub async fn announce_own(&self, tcp: TcpStream, leg: Leg) -> Result<Stream, Fault> {
        listen::socket::tune(&tcp).map_err(|_| Fault::Closed)?;
        let mut stream = Stream::plain(tcp, Vec::new());
        if leg.forwarding == Forwarding::Proxy {
            let mut header = Vec::new();
            build_local(&mut header);
            stream.write_all(&header).await.map_err(|_| Fault::Closed)?;
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

    /// Returns whether the PROXY header on the leg for `protocol` reports the TLS of a client.
    ///
    /// On a STARTTLS leg it does not: some servers (Stalwart) take the SSL TLV for their own TLS, and then do not offer
    /// STARTTLS.
    #[must_use]
    pub fn sends_ssl_tlv(&self, protocol: Protocol) -> bool {
        let Some(leg) = self.destination().leg(protocol) else { return false };
        leg.forwarding == Forwarding::Proxy && self.destination().proxy_tlvs && allows_ssl_tlv(*leg)
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

    /// Builds the header that names `client`.
    fn proxy_header(&self, leg: Leg, client: &ClientIdentity) -> Vec<u8> {
        let mut header = Vec::new();
        let tls = client.tls.as_ref();
        let ssl = if allows_ssl_tlv(leg) { tls } else { None };
        let outgoing = Outgoing {
            source: client.client,
            destination: client.local,
            ssl: ssl.map(|tls| SslInfo { version: tls.version.to_owned(), cipher: tls.cipher.clone() }),
            authority: tls.and_then(|tls| tls.sni.clone()),
            unique_id: Some(client.session.clone()),
            // A mail protocol's name is agreed on with the client alone.
            alpn: tls.and_then(|tls| tls.alpn.clone()).filter(|alpn| is_http(alpn)),
            tlvs: self.destination().proxy_tlvs,
        };
        build_v2(&mut header, &outgoing);
        header
    }
}

/// The one place of the rule that [`Backend::sends_ssl_tlv`] states.
fn allows_ssl_tlv(leg: Leg) -> bool {
    leg.tls != TlsMode::StartTls
}

/// Returns whether `alpn` is a version of HTTP.
fn is_http(alpn: &[u8]) -> bool {
    alpn == b"h2" || alpn.starts_with(b"http/")
}

#[cfg(test)]
mod tests {
    use plan::{Destination, Verify};
    use proxy_protocol::{Header, Parsed, parse};
    use tls::{PlatformRoots, TlsInfo};

    use super::*;

    fn backend(tls: TlsMode, proxy_tlvs: bool) -> Backend {
        let mut destination = Destination::outside("old", "mail.test", Verify::Nothing);
        destination.proxy_tlvs = proxy_tlvs;
        destination.legs[Protocol::ManageSieve.index()] =
            Some(Leg { port: 4190, tls, forwarding: Forwarding::Proxy, http2: false });
        Backend::outside(destination, &PlatformRoots::default(), Duration::from_secs(1)).expect("a backend")
    }

    fn client(alpn: &[u8]) -> ClientIdentity {
        ClientIdentity {
            client: "192.0.2.1:4711".parse().expect("address"),
            local: "198.51.100.1:4190".parse().expect("address"),
            tls: Some(TlsInfo {
                version: "TLSv1.3",
                cipher: "TLS_AES_128_GCM_SHA256".to_owned(),
                sni: None,
                alpn: Some(alpn.to_vec()),
                resumed: false,
            }),
            session: "id".to_owned(),
            ttl: 1,
        }
    }

    /// Stalwart takes the TLV for its own TLS and then offers no STARTTLS.
    #[test]
    fn the_ssl_tlv_is_not_sent_on_a_starttls_leg() {
        for (tls, proxy_tlvs, is_sent) in [
            (TlsMode::Plain, true, true),
            (TlsMode::Implicit, true, true),
            (TlsMode::StartTls, true, false),
            (TlsMode::Plain, false, false),
        ] {
            let backend = backend(tls, proxy_tlvs);
            let leg = backend.leg(Protocol::ManageSieve).expect("a leg");
            let Parsed::Header { header: Header::Proxy { tlvs, .. }, .. } =
                parse(&backend.proxy_header(leg, &client(b"managesieve")))
            else {
                panic!("no header that names the client");
            };
            assert_eq!(tlvs.ssl.is_some(), is_sent, "{tls:?}");
            assert_eq!(tlvs.unique_id.is_some(), proxy_tlvs, "{tls:?}");
            assert_eq!(tlvs.alpn, None, "only HTTP's");
            assert_eq!(backend.sends_ssl_tlv(Protocol::ManageSieve), is_sent);
        }
    }
}
