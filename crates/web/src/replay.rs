//! What a backend was sent of a request's body, so that the request can be sent again.
//!
//! A pooled connection may be closed by the backend in the moment in which it is used. The body stays whole as long as
//! everything that was read of it is kept; the rest is still at the client. Must never happen: a request is repeated
//! without a part of its body; what is kept is not counted as memory of the client's network.

use crate::body::{Broken, Piece, Source};
use crate::memory::Claim;

/// Most bytes of a body that are kept. A longer body is not sent again.
const MAX_KEPT: u64 = 64 * 1024;
/// Most pieces that are kept: small ones cost more than their bytes.
const MAX_PIECES: usize = 64;

/// The start of a body.
pub(crate) struct Kept<'a> {
    /// The memory of the request, which what is kept is added to.
    memory: &'a Claim,
    pieces: Vec<Piece>,
    bytes: u64,
    is_whole: bool,
}

/// A source that keeps what is read from it.
pub(crate) struct Keeping<'a, 'k, S> {
    pub(crate) source: &'a mut S,
    pub(crate) kept: &'a mut Kept<'k>,
}

/// Returns whether a request may be sent a second time without harm: the methods of RFC 9110 section 9.2.2, RFC 4918,
/// RFC 3253 section 3.6 and RFC 5323 section 2.
pub(crate) fn is_idempotent(method: &[u8]) -> bool {
    let methods: [&[u8]; 10] = [
        b"GET",
        b"HEAD",
        b"OPTIONS",
        b"TRACE",
        b"PUT",
        b"DELETE",
        b"PROPFIND",
        b"PROPPATCH",
        b"REPORT",
        b"SEARCH",
    ];
    methods.contains(&method)
}

// === impl Kept ===

impl<'a> Kept<'a> {
    /// Returns an empty record of a request that holds `memory`. `keeps`: whether the request may be sent again at all.
    pub(crate) const fn new(memory: &'a Claim, keeps: bool) -> Self {
        Self { memory, pieces: Vec::new(), bytes: 0, is_whole: keeps }
    }

    /// Records a piece that is counted as memory of the request already; shares its memory.
    pub(crate) fn push_counted(&mut self, piece: &Piece) {
        self.bytes += piece.len();
        if self.bytes > MAX_KEPT || self.pieces.len() >= MAX_PIECES {
            *self = Self::new(self.memory, false);
        }
        if self.is_whole {
            self.pieces.push(piece.clone());
        } else {
            self.pieces = Vec::new();
        }
    }

    /// Records a piece that was read from the client, unless it would hold more memory than such pieces may.
    fn push(&mut self, piece: &Piece) {
        if self.is_whole {
            let bytes = usize::try_from(piece.len()).unwrap_or(usize::MAX);
            self.is_whole = self.memory.grow_optional(bytes);
            self.push_counted(piece);
        }
    }

    /// Returns everything that was read, or `None` if a part of it is lost.
    pub(crate) fn into_pieces(self) -> Option<Vec<Piece>> {
        self.is_whole.then_some(self.pieces)
    }
}

// === impl Keeping ===

impl<S: Source> Source for Keeping<'_, '_, S> {
    async fn piece(&mut self) -> Result<Option<Piece>, Broken> {
        let piece = self.source.piece().await?;
        if let Some(piece) = &piece {
            self.kept.push(piece);
        }
        Ok(piece)
    }

    fn is_finished(&self) -> bool {
        self.source.is_finished()
    }

    async fn closed(&mut self) -> Result<(), Broken> {
        self.source.closed().await
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::sync::Arc;

    use bytes::Bytes;

    use super::*;
    use crate::memory::{ConnectionMemory, MemoryLimiter};

    fn kept(pieces: usize, length: usize) -> Option<usize> {
        let connection = ConnectionMemory::new(Arc::default(), None, 256 * 1024, 64 * 1024);
        let claim = Arc::new(connection).claim(0).expect("memory");
        let mut kept = Kept::new(&claim, true);
        for _ in 0..pieces {
            kept.push(&Piece::Data(Bytes::from(vec![b'x'; length])));
        }
        Some(kept.into_pieces()?.len())
    }

    #[test]
    fn a_body_is_kept_whole_or_not_at_all() {
        assert_eq!(kept(4, 16 * 1024), Some(4));
        assert_eq!(kept(5, 16 * 1024), None);
        assert_eq!(kept(MAX_PIECES, 1), Some(MAX_PIECES));
        assert_eq!(kept(MAX_PIECES + 1, 1), None);
    }

    /// Bodies that are kept must not take the room for the heads of other requests, nor more than a network's share.
    #[test]
    fn what_is_kept_is_memory_of_the_client() {
        let network = Some(IpAddr::from([192, 0, 2, 7]));
        let limiter = Arc::<MemoryLimiter>::default();
        let open = || Arc::new(ConnectionMemory::new(Arc::clone(&limiter), network, 64 * 1024, 64 * 1024));
        let piece = Piece::Data(Bytes::from(vec![b'x'; 32 * 1024]));
        let mut kept_bytes = 0;
        let mut claims = Vec::new();
        for _ in 0..1_000 {
            let connection = open();
            let claim = connection.claim(1).expect("room for the head of a request");
            for _ in 0..4 {
                let mut kept = Kept::new(&claim, true);
                kept.push(&piece);
                if kept.into_pieces().is_some() {
                    kept_bytes += 32 * 1024;
                }
            }
            claims.push((connection, claim));
        }
        // 64 KiB of the 148 KiB of a connection, and half of the network's share of 256 MiB.
        assert!(kept_bytes > 1024 * 1024 && kept_bytes <= 4 * 1024 * 1024, "{kept_bytes}");
    }
}
