//! The backend's end of a tunnel, once both sides have agreed on an upgrade.

use tls::Stream;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::backend::BackendConnection;
use crate::outcome::H2Halves;
use crate::stream::Tunnel;

/// The backend's end of a tunnel.
pub(crate) enum BackendEnd {
    /// An HTTP/1 connection, with the bytes that were read ahead.
    Stream(Box<Stream>, Vec<u8>),
    /// A stream of an HTTP/2 connection.
    Tunnel(Box<Tunnel>),
}

/// A stream that the bridge can move bytes of.
pub(crate) trait TunnelStream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> TunnelStream for T {}

// === impl BackendEnd ===

impl BackendEnd {
    /// Takes over the backend's connection; `halves` are those of an HTTP/2 stream.
    pub(crate) fn of(connection: BackendConnection, halves: Option<H2Halves>) -> Option<Self> {
        if let Some((incoming, outgoing)) = halves {
            return Some(Self::Tunnel(Box::new(Tunnel::new(incoming, outgoing))));
        }
        let (stream, received) = connection.into_stream()?;
        Some(Self::Stream(Box::new(stream), received))
    }
}
