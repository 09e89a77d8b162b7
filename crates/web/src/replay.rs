//! What a backend was sent of a request's body, so that the request can be sent again.
//!
//! A pooled connection may be closed by the backend in the moment in which it is used. The body stays whole as long as
//! everything that was read of it is kept; the rest is still at the client. Must never happen: a request is repeated
//! without a part of its body.

use crate::body::{Broken, Piece, Source};

/// Most bytes of a body that are kept. A longer body is not sent again.
const MAX_KEPT: u64 = 64 * 1024;
/// Most pieces that are kept: small ones cost more than their bytes.
const MAX_PIECES: usize = 64;

/// The start of a body.
pub(crate) struct Kept {
    pieces: Vec<Piece>,
    bytes: u64,
    is_whole: bool,
}

/// A source that keeps what is read from it.
pub(crate) struct Keeping<'a, S> {
    pub(crate) source: &'a mut S,
    pub(crate) kept: &'a mut Kept,
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

impl Kept {
    /// Returns an empty record. `keeps`: whether the request may be sent again at all.
    pub(crate) const fn new(keeps: bool) -> Self {
        Self { pieces: Vec::new(), bytes: 0, is_whole: keeps }
    }

    /// Records a piece; shares its memory.
    pub(crate) fn push(&mut self, piece: &Piece) {
        if !self.is_whole {
            return;
        }
        self.bytes += piece.len();
        if self.bytes > MAX_KEPT || self.pieces.len() >= MAX_PIECES {
            *self = Self::new(false);
            return;
        }
        self.pieces.push(piece.clone());
    }

    /// Returns everything that was read, or `None` if a part of it is lost.
    pub(crate) fn into_pieces(self) -> Option<Vec<Piece>> {
        self.is_whole.then_some(self.pieces)
    }
}

// === impl Keeping ===

impl<S: Source> Source for Keeping<'_, S> {
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
    use bytes::Bytes;

    use super::*;

    fn kept(pieces: usize, length: usize) -> Option<usize> {
        let mut kept = Kept::new(true);
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
        assert!(Kept::new(false).into_pieces().is_none());
    }
}
