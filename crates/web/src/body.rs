//! Bodies on their way: one piece at a time, from whoever sends to whoever takes.
//!
//! The two traits are what HTTP/1 and HTTP/2, clients and backends, have in common. A sink that is slow makes
//! its source wait: a piece is asked for only when the one before has been taken.

use std::io;

use bytes::Bytes;
use http_proto::Fields;
use thiserror::Error;

/// A part of a body, in order.
#[derive(Debug, Clone)]
pub(crate) enum Piece {
    /// Content. Never empty.
    Data(Bytes),
    /// What stands behind the content (RFC 9110 section 6.5). The last piece, if it comes at all.
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

/// Where a body comes from.
pub(crate) trait Source: Send {
    /// The next piece; `None` behind the last. Not to be asked again after an error.
    fn piece(&mut self) -> impl Future<Output = Result<Option<Piece>, Broken>> + Send;

    /// Whether everything has been read: then the connection is in step, and may be used again.
    fn is_finished(&self) -> bool;

    /// Resolves when the peer has closed its side behind the whole message, or (an error) broken the connection.
    /// Never, where the stream itself tells when its answer is not wanted any more. Cancel-safe.
    fn closed(&mut self) -> impl Future<Output = Result<(), Broken>> + Send;
}

/// Where a body goes.
pub(crate) trait Sink: Send {
    /// Takes a piece; resolves when there is room for the next.
    fn put(&mut self, piece: Piece) -> impl Future<Output = Result<(), Broken>> + Send;

    /// Ends the body where [`Piece::Trailers`] has not done so.
    fn finish(&mut self) -> impl Future<Output = Result<(), Broken>> + Send;
}
