//! The client of a connection: the socket's peer, or the address in a PROXY header that a trusted peer sent.
//!
//! What must never happen: the header of a peer that is not in `proxy_trusted` is believed.

use std::net::SocketAddr;
use std::time::Duration;

use plan::{Listener, ProxyIn};
use proxy_protocol::{Header, MAX_HEADER, Parsed, parse};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// The addresses of a connection, as the rest of the program uses them.
#[derive(Debug)]
pub struct Origin {
    /// The client's address.
    pub client: SocketAddr,
    /// Whether a trusted peer has reported it; otherwise it is the peer's own.
    pub is_reported: bool,
    /// The address that the client connected to.
    pub local: SocketAddr,
    /// Bytes after the header that were read with it.
    pub already_read: Vec<u8>,
}

/// Why a connection is not served. It is closed without a reply: a peer that may not send PROXY learns nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoOrigin {
    /// A header is required, and the peer is not in `proxy_trusted`.
    #[error("the peer is not in proxy_trusted")]
    Untrusted,
    /// A header is required, and the peer sent none.
    #[error("the peer sent no PROXY header")]
    Missing,
    /// The header is malformed.
    #[error("the PROXY header is invalid: {0}")]
    Invalid(&'static str),
    /// The connection ended before the header was complete.
    #[error("the connection ended before the PROXY header was complete")]
    Closed,
}

/// How long a trusted peer of an `optional` listener may be silent before it is served without a header. In a
/// protocol in which the server speaks first, a client that sends no header waits for the greeting.
const OPTIONAL_WAIT: Duration = Duration::from_secs(2);

/// Reads the header, if `listener` accepts one from this peer. The caller limits the time.
///
/// # Errors
/// Returns why the connection must not be served.
pub async fn origin(
    stream: &mut TcpStream,
    listener: &Listener,
    peer: SocketAddr,
    local: SocketAddr,
) -> Result<Origin, NoOrigin> {
    let of_socket = |already_read| Origin {
        client: canonical(peer),
        is_reported: false,
        local: canonical(local),
        already_read,
    };
    let of_header = |source, destination, already_read| Origin {
        client: canonical(source),
        is_reported: true,
        local: canonical(destination),
        already_read,
    };
    match (listener.proxy_protocol, listener.trusts_balancer(peer.ip())) {
        (ProxyIn::Off, _) | (ProxyIn::Optional, false) => Ok(of_socket(Vec::new())),
        (ProxyIn::Required, false) => Err(NoOrigin::Untrusted),
        (ProxyIn::Required, true) => match read(stream).await? {
            (None, _) => Err(NoOrigin::Missing),
            (Some(Header::Local), already_read) => Ok(of_socket(already_read)),
            (Some(Header::Proxy { source, destination, .. }), already_read) => {
                Ok(of_header(source, destination, already_read))
            }
        },
        (ProxyIn::Optional, true) => {
            let mut first = [0; 1];
            if timeout(OPTIONAL_WAIT, stream.peek(&mut first)).await.is_err() {
                return Ok(of_socket(Vec::new()));
            }
            match read(stream).await? {
                (None | Some(Header::Local), already_read) => Ok(of_socket(already_read)),
                (Some(Header::Proxy { source, destination, .. }), already_read) => {
                    Ok(of_header(source, destination, already_read))
                }
            }
        }
    }
}

/// Returns `address`, with an IPv4 address that is mapped into IPv6 as IPv4.
pub(crate) fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// Reads until the header is complete or there cannot be one. Returns it and the bytes after it.
async fn read(stream: &mut TcpStream) -> Result<(Option<Header>, Vec<u8>), NoOrigin> {
    let mut bytes = vec![0; 512];
    let mut length = 0;
    loop {
        let n = stream.read(&mut bytes[length..]).await.map_err(|_| NoOrigin::Closed)?;
        if n == 0 {
            return Err(NoOrigin::Closed);
        }
        length += n;
        match parse(&bytes[..length]) {
            Parsed::Header { header, length: header_length } => {
                return Ok((Some(header), bytes[header_length..length].to_vec()));
            }
            Parsed::NotProxy => {
                bytes.truncate(length);
                return Ok((None, bytes));
            }
            Parsed::Invalid(why) => return Err(NoOrigin::Invalid(why)),
            // `parse` never returns `Incomplete` for MAX_HEADER bytes, so the buffer stays within that size.
            Parsed::Incomplete if length == bytes.len() => bytes.resize((2 * length).min(MAX_HEADER), 0),
            Parsed::Incomplete => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use plan::TlsMode;
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;
    use types::protocol::Protocol;

    fn listener(proxy_protocol: ProxyIn, trusted: &str) -> Listener {
        Listener {
            name: "imap".into(),
            protocol: Protocol::Imap,
            bind: Vec::new(),
            tls: TlsMode::Plain,
            proxy_protocol,
            proxy_trusted: vec![trusted.parse().expect("network")],
            max_connections: 1,
            max_connections_per_ip: 1,
            max_connections_per_front: 1,
            preauth_timeout: Duration::from_secs(1),
            max_auth_attempts: 1,
            trusted_fronts: Vec::new(),
            trusts_forwarded: false,
        }
    }

    async fn origin_of(listener: &Listener, sent: &[u8]) -> Result<String, NoOrigin> {
        let bound = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let mut client = TcpStream::connect(bound.local_addr().expect("address")).await.expect("connect");
        client.write_all(sent).await.expect("write");
        client.shutdown().await.expect("shutdown");
        let (mut stream, _) = bound.accept().await.expect("accept");
        let peer = "127.0.0.1:1".parse().expect("peer");
        let local = "127.0.0.1:2".parse().expect("local");
        let found = origin(&mut stream, listener, peer, local).await?;
        Ok(format!("{} {} {}", found.client, found.local, found.already_read.escape_ascii()))
    }

    #[tokio::test]
    async fn only_a_trusted_peer_may_name_the_client() {
        const V1: &[u8] = b"PROXY TCP4 203.0.113.7 198.51.100.1 4711 993\r\nNOOP";
        let named = Ok("203.0.113.7:4711 198.51.100.1:993 NOOP".to_owned());
        let own = |rest: &str| Ok(format!("127.0.0.1:1 127.0.0.1:2 {rest}"));
        let us = "127.0.0.0/8";
        let them = "10.0.0.0/8";
        use ProxyIn::{Off, Optional, Required};
        for (mode, trusted, sent, expected) in [
            (Off, us, V1, own("")),
            (Optional, them, V1, own("")),
            (Optional, us, V1, named.clone()),
            (Optional, us, b"NOOP", own("NOOP")),
            (Optional, us, b"PROXY UNKNOWN\r\nx", own("x")),
            (Required, them, V1, Err(NoOrigin::Untrusted)),
            (Required, us, V1, named),
            (Required, us, b"NOOP", Err(NoOrigin::Missing)),
            (Required, us, b"PROXY TCP4 2", Err(NoOrigin::Closed)),
        ] {
            assert_eq!(
                origin_of(&listener(mode, trusted), sent).await,
                expected,
                "{mode:?} {}",
                sent.escape_ascii()
            );
        }
        let bad = origin_of(&listener(Required, us), b"PROXY TCP4 x y 1 2\r\n").await;
        assert!(matches!(bad, Err(NoOrigin::Invalid(_))), "{bad:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_peer_of_an_optional_listener_is_served() {
        let bound = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let _client = TcpStream::connect(bound.local_addr().expect("address")).await.expect("connect");
        let (mut stream, peer) = bound.accept().await.expect("accept");
        let found = origin(&mut stream, &listener(ProxyIn::Optional, "127.0.0.0/8"), peer, peer).await;
        assert_eq!(found.expect("served").client, peer);
    }
}
