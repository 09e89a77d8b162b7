//! The one stream type of the program: a TCP connection, in the clear or inside TLS.
//!
//! It exists so that no other crate uses the TLS engine: dialogues, replays and the bridge read and write a [`Stream`].
//! A stream must never fall back from TLS to cleartext, and bytes that were received in the clear must never be taken
//! for bytes that were received inside TLS: the caller discards what it has read before it starts TLS after a STARTTLS
//! command (RFC 2595, RFC 3207 section 4.2).

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use rustls::client::UnbufferedClientConnection;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::UnbufferedServerConnection;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::acceptor::Acceptor;
use crate::connector::Connector;
use crate::encrypted::Encrypted;
use crate::error::TlsError;
use crate::handshake_info::TlsInfo;
use crate::prefixed::Prefixed;

/// A client's or a backend's connection. See the module's comment.
///
/// When the peer closes TLS without `close_notify`, reading fails with [`io::ErrorKind::UnexpectedEof`]: the reader
/// decides whether the data is truncated.
pub struct Stream(Inner);

/// The TLS variants are boxed: the engine's state is large, and a task holds a stream across awaits.
enum Inner {
    Plain(Prefixed<TcpStream>),
    Server(Box<Encrypted<UnbufferedServerConnection>>),
    Client(Box<ClientTls>),
}

struct ClientTls {
    stream: Encrypted<UnbufferedClientConnection>,
    /// The SNI that was sent, if the host is not an address (RFC 6066 section 3).
    sni: Option<Box<str>>,
}

// === impl Stream ===

impl Stream {
    /// Returns a connection in the clear. `prefix` was already read from it and is returned first.
    #[must_use]
    pub fn plain(tcp: TcpStream, prefix: Vec<u8>) -> Self {
        Self(Inner::Plain(Prefixed::new(tcp, prefix)))
    }

    /// Waits until there is a byte to read, or the connection has ended.
    ///
    /// # Errors
    /// The socket's error.
    pub async fn readable(&self) -> io::Result<()> {
        match &self.0 {
            Inner::Plain(plain) if plain.has_prefix() => Ok(()),
            Inner::Server(tls) if tls.has_plaintext() => Ok(()),
            Inner::Client(tls) if tls.stream.has_plaintext() => Ok(()),
            _ => self.tcp().readable().await,
        }
    }

    /// Performs the server's side of a TLS handshake. The caller limits the time.
    ///
    /// # Errors
    /// When the stream is already encrypted, when the connection ends, and when the handshake fails; the last has the
    /// kind [`io::ErrorKind::InvalidData`] and a description. The connection is closed then.
    pub async fn accept(self, acceptor: &Acceptor) -> io::Result<Self> {
        let Inner::Plain(plain) = self.0 else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, TlsError::AlreadyEncrypted));
        };
        let config = Arc::clone(&acceptor.config);
        // Boxed: the handshake's state is large and would be part of the session's task until its end.
        let handshake = Box::pin(async move {
            let engine = UnbufferedServerConnection::new(config).map_err(io::Error::other)?;
            let (tcp, prefix) = plain.into_parts();
            Ok(Box::new(Encrypted::handshake(tcp, engine, prefix).await?))
        });
        Ok(Self(Inner::Server(handshake.await.map_err(crate::error::of_client)?)))
    }

    /// Performs the client's side of a TLS handshake with `host`, the name or address of the connection (the
    /// destination's `tls_server_name` overrides it). The caller limits the time.
    ///
    /// # Errors
    /// When the stream is already encrypted, and when the handshake or the verification fails. The connection is
    /// closed then.
    pub async fn connect(self, connector: &Connector, host: &str) -> Result<Self, TlsError> {
        let Inner::Plain(plain) = self.0 else {
            return Err(TlsError::AlreadyEncrypted);
        };
        let name = connector.server_name(host)?;
        let sni = match &name {
            ServerName::DnsName(name) => Some(Box::from(name.as_ref())),
            _ => None,
        };
        let config = Arc::clone(&connector.config);
        // Boxed as in `accept`.
        let handshake = Box::pin(async move {
            let engine = UnbufferedClientConnection::new(config, name).map_err(io::Error::other)?;
            let (tcp, prefix) = plain.into_parts();
            let stream = Encrypted::handshake(tcp, engine, prefix).await?;
            Ok(Box::new(ClientTls { stream, sni }))
        });
        Ok(Self(Inner::Client(handshake.await.map_err(TlsError::of_backend)?)))
    }

    /// Returns whether the stream uses TLS.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        !matches!(self.0, Inner::Plain(_))
    }

    /// Returns what the handshake negotiated; `None` in the clear.
    #[must_use]
    pub fn tls_info(&self) -> Option<TlsInfo> {
        match &self.0 {
            Inner::Plain(_) => None,
            Inner::Server(tls) => Some(TlsInfo::of(tls.common(), tls.sni().map(str::to_owned))),
            Inner::Client(tls) => {
                Some(TlsInfo::of(tls.stream.common(), tls.sni.as_deref().map(str::to_owned)))
            }
        }
    }

    /// Returns the leaf certificate of a backend in DER, to be reported. `None` towards clients and in the clear.
    #[must_use]
    pub fn peer_certificate(&self) -> Option<CertificateDer<'static>> {
        match &self.0 {
            Inner::Client(tls) => tls.stream.common().peer_certificates()?.first().cloned(),
            Inner::Plain(_) | Inner::Server(_) => None,
        }
    }

    /// Returns the socket, for its addresses and options. Never read or write through it.
    #[must_use]
    pub fn tcp(&self) -> &TcpStream {
        match &self.0 {
            Inner::Plain(plain) => plain.get_ref(),
            Inner::Server(tls) => tls.tcp(),
            Inner::Client(tls) => tls.stream.tcp(),
        }
    }

    /// Returns the socket, to be spliced.
    ///
    /// # Errors
    /// Returns the stream when it is encrypted or when a part of its prefix was not read yet.
    pub fn into_plain_tcp(self) -> Result<TcpStream, Self> {
        match self.0 {
            Inner::Plain(plain) => plain.into_inner().map_err(|plain| Self(Inner::Plain(plain))),
            other @ (Inner::Server(_) | Inner::Client(_)) => Err(Self(other)),
        }
    }

    /// Makes the drop of the stream send RST and discard unsent bytes (`SO_LINGER` of 0 seconds).
    ///
    /// # Errors
    /// The system's error.
    pub fn set_linger_reset(&self) -> io::Result<()> {
        self.tcp().set_zero_linger()
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").field("tcp", self.tcp()).field("tls", &self.tls_info()).finish()
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.0 {
            Inner::Plain(plain) => Pin::new(plain).poll_read(cx, buf),
            Inner::Server(tls) => Pin::new(&mut **tls).poll_read(cx, buf),
            Inner::Client(tls) => Pin::new(&mut tls.stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.0 {
            Inner::Plain(plain) => Pin::new(plain).poll_write(cx, buf),
            Inner::Server(tls) => Pin::new(&mut **tls).poll_write(cx, buf),
            Inner::Client(tls) => Pin::new(&mut tls.stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.0 {
            Inner::Plain(plain) => Pin::new(plain).poll_write_vectored(cx, bufs),
            Inner::Server(tls) => Pin::new(&mut **tls).poll_write_vectored(cx, bufs),
            Inner::Client(tls) => Pin::new(&mut tls.stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.0 {
            Inner::Plain(plain) => plain.is_write_vectored(),
            Inner::Server(tls) => tls.is_write_vectored(),
            Inner::Client(tls) => tls.stream.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.0 {
            Inner::Plain(plain) => Pin::new(plain).poll_flush(cx),
            Inner::Server(tls) => Pin::new(&mut **tls).poll_flush(cx),
            Inner::Client(tls) => Pin::new(&mut tls.stream).poll_flush(cx),
        }
    }

    /// Closes our direction: `close_notify` inside TLS, then FIN.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.0 {
            Inner::Plain(plain) => Pin::new(plain).poll_shutdown(cx),
            Inner::Server(tls) => Pin::new(&mut **tls).poll_shutdown(cx),
            Inner::Client(tls) => Pin::new(&mut tls.stream).poll_shutdown(cx),
        }
    }
}
