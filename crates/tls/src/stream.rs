//! The one stream type of the program: a TCP connection, in the clear or inside TLS.
//!
//! It exists so that no other room meets the TLS engine: a dialogue, a replay and the bridge read and write
//! a [`Stream`], whatever is below. A stream must never fall back from TLS to cleartext, and bytes that were
//! read in the clear must never be taken for bytes that came inside TLS: whoever starts TLS after a
//! STARTTLS command throws its own leftovers away first (RFC 2595, RFC 3207 section 4.2).

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::acceptor::Acceptor;
use crate::connector::Connector;
use crate::error::TlsError;
use crate::info::TlsInfo;
use crate::prefixed::Prefixed;

/// A client's or a backend's connection. See the module's comment.
///
/// A peer that closes TLS without `close_notify` shows as an error of kind
/// [`io::ErrorKind::UnexpectedEof`]: whether that is a plain end or a truncation is the reader's to judge.
pub struct Stream(Inner);

/// The TLS variants are boxed: most of their size is the engine's, and a task holds a stream across awaits.
enum Inner {
    Plain(Prefixed<TcpStream>),
    Server(Box<tokio_rustls::server::TlsStream<Prefixed<TcpStream>>>),
    Client(Box<ClientTls>),
}

struct ClientTls {
    stream: tokio_rustls::client::TlsStream<Prefixed<TcpStream>>,
    /// What was sent as SNI; addresses are not sent (RFC 6066 section 3).
    sni: Option<String>,
}

/// Plaintext that TLS may hold while the peer does not read, in bytes: one full record.
const BUFFER_LIMIT: usize = 16 * 1024;

// === impl Stream ===

impl Stream {
    /// A connection in the clear. `prefix` was already read from it, and is served before anything else.
    #[must_use]
    pub fn plain(tcp: TcpStream, prefix: Vec<u8>) -> Self {
        Self(Inner::Plain(Prefixed::new(tcp, prefix)))
    }

    /// Does the server's side of a TLS handshake. There is no time limit here: the caller has one.
    ///
    /// # Errors
    /// When the stream is encrypted already, when the peer closes or breaks the connection, and when the
    /// handshake fails; the last is of kind [`io::ErrorKind::InvalidData`] and says in words what was wrong.
    /// The connection is closed then.
    pub async fn accept(self, acceptor: &Acceptor) -> io::Result<Self> {
        let Inner::Plain(plain) = self.0 else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, TlsError::AlreadyEncrypted));
        };
        // Boxed: the handshake's state is large, and would be part of the session's task for good.
        let mut tls = Box::pin(acceptor.tls.accept(plain)).await.map_err(crate::error::of_client)?;
        tls.get_mut().1.set_buffer_limit(Some(BUFFER_LIMIT));
        Ok(Self(Inner::Server(Box::new(tls))))
    }

    /// Does the client's side of a TLS handshake with `host`, the name or address that was connected to (the
    /// destination's `tls_server_name` wins over it). There is no time limit here: the caller has one.
    ///
    /// # Errors
    /// When the stream is encrypted already, and when the handshake or the verification fails. The connection
    /// is closed then.
    pub async fn connect(self, connector: &Connector, host: &str) -> Result<Self, TlsError> {
        let Inner::Plain(plain) = self.0 else {
            return Err(TlsError::AlreadyEncrypted);
        };
        let name = connector.server_name(host)?;
        let sni = match &name {
            ServerName::DnsName(name) => Some(name.as_ref().to_owned()),
            _ => None,
        };
        let mut stream = Box::pin(connector.tls.connect(name, plain)).await.map_err(TlsError::of_backend)?;
        stream.get_mut().1.set_buffer_limit(Some(BUFFER_LIMIT));
        Ok(Self(Inner::Client(Box::new(ClientTls { stream, sni }))))
    }

    /// Whether TLS is on.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        !matches!(self.0, Inner::Plain(_))
    }

    /// What was agreed on; `None` in the clear.
    #[must_use]
    pub fn tls_info(&self) -> Option<TlsInfo> {
        match &self.0 {
            Inner::Plain(_) => None,
            Inner::Server(tls) => {
                let connection = tls.get_ref().1;
                Some(TlsInfo::of(connection, connection.server_name().map(str::to_owned)))
            }
            Inner::Client(tls) => Some(TlsInfo::of(tls.stream.get_ref().1, tls.sni.clone())),
        }
    }

    /// The leaf that a backend has shown, in DER: for those who have to tell about it. `None` towards clients
    /// and in the clear.
    #[must_use]
    pub fn peer_certificate(&self) -> Option<CertificateDer<'static>> {
        match &self.0 {
            Inner::Client(tls) => tls.stream.get_ref().1.peer_certificates()?.first().cloned(),
            Inner::Plain(_) | Inner::Server(_) => None,
        }
    }

    /// The socket, for its addresses and options. Never read or write through it.
    #[must_use]
    pub fn tcp(&self) -> &TcpStream {
        match &self.0 {
            Inner::Plain(plain) => plain.get_ref(),
            Inner::Server(tls) => tls.get_ref().0.get_ref(),
            Inner::Client(tls) => tls.stream.get_ref().0.get_ref(),
        }
    }

    /// The bare socket, to be spliced.
    ///
    /// # Errors
    /// Gives the stream back when it is encrypted or when bytes of its prefix are still to be served.
    pub fn into_plain_tcp(self) -> Result<TcpStream, Self> {
        match self.0 {
            Inner::Plain(plain) => plain.into_inner().map_err(|plain| Self(Inner::Plain(plain))),
            other @ (Inner::Server(_) | Inner::Client(_)) => Err(Self(other)),
        }
    }

    /// From now on dropping the stream sends RST and throws unsent bytes away (`SO_LINGER` of 0 seconds).
    ///
    /// # Errors
    /// What the system says.
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

    /// Ends our direction: `close_notify` inside TLS, then FIN.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.0 {
            Inner::Plain(plain) => Pin::new(plain).poll_shutdown(cx),
            Inner::Server(tls) => Pin::new(&mut **tls).poll_shutdown(cx),
            Inner::Client(tls) => Pin::new(&mut tls.stream).poll_shutdown(cx),
        }
    }
}
