//! Bodies, piece by piece, from a source to a sink.
//!
//! The two traits are common to HTTP/1 and HTTP/2, clients and backends. A slow sink slows down its source: a piece is
//! read only when the sink has accepted the piece before it. What must never happen here: a body is collected whole.

use std::io;

use bytes::Bytes;
use http_proto::Fields;
use thiserror::Error;

use crate::memory;

/// A part of a body, in order.
#[derive(Debug, Clone)]
pub(crate) enum Piece {
    /// Content. Never empty.
    Data(Bytes),
    /// The trailer section (RFC 9110 section 6.5). Always the last piece.
    Trailers(Fields),
}

// === impl Piece ===

impl Piece {
    /// Bytes of content.
    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::Data(data) => data.len() as u64,
            Self::Trailers(_) => 0,
        }
    }

    /// Returns what the piece counts as memory of its request.
    pub(crate) fn memory(&self) -> usize {
        match self {
            Self::Data(data) => data.len(),
            Self::Trailers(fields) => memory::fields_size(fields),
        }
    }
}

/// Why a message could not be read or written to its end.
#[derive(Debug, Error)]
pub(crate) enum Broken {
    /// The connection or the stream ended before its message did.
    #[error("closed before the end of the message")]
    Closed,
    /// The peer's framing is wrong; what follows on the connection cannot be trusted.
    #[error("{0}")]
    Malformed(&'static str),
    /// The socket failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The HTTP/2 stream failed.
    #[error(transparent)]
    Stream(#[from] h2::Error),
}

/// The sender of a body.
pub(crate) trait Source: Send {
    /// Returns the next piece, `None` after the last. Must not be called again after an error.
    fn piece(&mut self) -> impl Future<Output = Result<Option<Piece>, Broken>> + Send;

    /// Whether the body has been read to its end, so that the connection can carry another message.
    fn is_finished(&self) -> bool;

    /// Resolves when the peer has closed its side after the whole message, with an error when it has broken the
    /// connection. Never in HTTP/2, where a client cancels by a reset. Cancel-safe.
    fn closed(&mut self) -> impl Future<Output = Result<(), Broken>> + Send;
}

/// The receiver of a body.
pub(crate) trait Sink: Send {
    /// Sends a piece; resolves when there is room for the next.
    fn put(&mut self, piece: Piece) -> impl Future<Output = Result<(), Broken>> + Send;

    /// Ends the body, unless [`Piece::Trailers`] has.
    fn finish(&mut self) -> impl Future<Output = Result<(), Broken>> + Send;
}
