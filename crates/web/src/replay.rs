//! What a backend was sent of a request's body, so that the request can be sent again.
//!
//! A pooled connection may be closed by the backend in the moment in which it is used. The body stays whole as long as
//! everything that was read of it is kept; the rest is still at the client. Must never happen: a request is repeated
//! without a part of its body; what is kept is not counted as memory of the client's network.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::body::{Broken, Piece, Source};
use crate::memory::Claim;

/// Most bytes of a body that are kept. A longer body is not sent again.
const MAX_KEPT: usize = 64 * 1024;
/// Most pieces that are kept: small ones cost more than their bytes.
const MAX_PIECES: usize = 64;

/// The start of a body, and the memory of the request that it is counted with. Both directions of the exchange use it:
/// the upload adds to it, and the head of the response releases it.
pub(crate) struct Kept<'a> {
    memory: &'a Claim,
    /// `None` when the request is not sent again, or a part of its body is lost.
    body: Mutex<Option<KeptBody>>,
}

/// Everything that was read of a body.
#[derive(Default)]
struct KeptBody {
    pieces: Vec<Piece>,
    bytes: usize,
}

/// A source that keeps what is read from it.
pub(crate) struct Keeping<'a, 'k, S> {
    pub(crate) source: &'a mut S,
    pub(crate) kept: &'a Kept<'k>,
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
    pub(crate) fn new(memory: &'a Claim, keeps: bool) -> Self {
        Self { memory, body: Mutex::new(keeps.then(KeptBody::default)) }
    }

    /// Records a piece that is counted as memory of the request already; shares its memory.
    pub(crate) fn push_counted(&self, piece: &Piece) {
        let mut body = self.lock();
        if body.as_mut().is_some_and(|body| !body.push(piece)) {
            *body = None;
        }
    }

    /// Records a piece that was read from the client, unless it would hold more memory than such pieces may.
    fn push(&self, piece: &Piece) {
        let mut body = self.lock();
        if body.as_mut().is_some_and(|body| !self.memory.grow_optional(piece.memory()) || !body.push(piece)) {
            *body = None;
        }
    }

    /// Takes everything that was read, or returns `None` if a part of it is lost.
    pub(crate) fn take(&self) -> Option<Vec<Piece>> {
        Some(self.lock().take()?.pieces)
    }

    /// Drops what is kept, and ends the count of the request's memory: a backend has answered the request.
    pub(crate) fn release(&self) {
        *self.lock() = None;
        self.memory.release();
    }

    fn lock(&self) -> MutexGuard<'_, Option<KeptBody>> {
        self.body.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl KeptBody ===

impl KeptBody {
    /// Returns `false` when the body is too long to be kept.
    fn push(&mut self, piece: &Piece) -> bool {
        self.bytes += piece.memory();
        if self.bytes > MAX_KEPT || self.pieces.len() >= MAX_PIECES {
            return false;
        }
        self.pieces.push(piece.clone());
        true
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
    use http_proto::Fields;

    use super::*;
    use crate::memory::{ConnectionMemory, MemoryLimiter};

    fn kept(pieces: usize, length: usize) -> Option<usize> {
        let connection = ConnectionMemory::new(Arc::default(), None, 256 * 1024, 64 * 1024);
        let claim = Arc::new(connection).claim(0).expect("memory");
        let kept = Kept::new(&claim, true);
        for _ in 0..pieces {
            kept.push(&Piece::Data(Bytes::from(vec![b'x'; length])));
        }
        Some(kept.take()?.len())
    }

    #[test]
    fn a_body_is_kept_whole_or_not_at_all() {
        assert_eq!(kept(4, 16 * 1024), Some(4));
        assert_eq!(kept(5, 16 * 1024), None);
        assert_eq!(kept(MAX_PIECES, 1), Some(MAX_PIECES));
        assert_eq!(kept(MAX_PIECES + 1, 1), None);
    }

    #[test]
    fn nothing_is_kept_that_is_not_counted() {
        let connection = ConnectionMemory::new(Arc::default(), None, 64 * 1024, 64 * 1024);
        let claim = Arc::new(connection).claim(1).expect("memory");
        let kept = Kept::new(&claim, true);
        let data = Bytes::from(vec![b'x'; 16 * 1024]);
        kept.push(&Piece::Data(data.clone()));
        assert!(!data.is_unique());
        kept.release();
        kept.push(&Piece::Data(data.clone()));
        assert!(data.is_unique(), "a piece is held after the count has ended");
        assert!(kept.take().is_none());
    }

    #[test]
    fn trailers_are_counted() {
        let mut fields = Fields::default();
        for _ in 0..MAX_PIECES {
            fields.push(&b"x-trailer"[..], vec![b'x'; 1_000]);
        }
        let connection = ConnectionMemory::new(Arc::default(), None, 1024, 1024);
        let claim = Arc::new(connection).claim(1).expect("memory");
        let kept = Kept::new(&claim, true);
        kept.push(&Piece::Trailers(fields));
        assert!(kept.take().is_none(), "66 KiB");
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
                let kept = Kept::new(&claim, true);
                kept.push(&piece);
                if kept.take().is_some() {
                    kept_bytes += 32 * 1024;
                }
            }
            claims.push((connection, claim));
        }
        // 64 KiB of the 148 KiB of a connection, and half of the network's share of 256 MiB.
        assert!(kept_bytes > 1024 * 1024 && kept_bytes <= 4 * 1024 * 1024, "{kept_bytes}");
    }
}
