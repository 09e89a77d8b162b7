//! Reads the heads and bodies of an HTTP/1 connection, a client's or a backend's, out of one buffer.
//!
//! Heads contain credentials, so the buffer is wiped before it is released. Bytes that follow a message stay for the next
//! one.

use std::ops::{Deref, DerefMut};

use bytes::{Bytes, BytesMut};
use http_proto::{BadBody, ChunkDecoder, Decoded, Framing, head_end, wipe};
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::body::{Broken, Piece, Source};

/// See the module's comment.
pub(crate) struct Reader<R> {
    io: R,
    buffer: Buffer,
}

/// Wiped when it is dropped.
#[derive(Default)]
struct Buffer(BytesMut);

/// A body on a [`Reader`].
pub(crate) struct Body<'a, R> {
    reader: &'a mut Reader<R>,
    state: State,
}

enum State {
    /// The number of bytes that are left.
    Length(u64),
    Chunked(ChunkDecoder),
    UntilClose,
    Finished,
    /// After an error nothing can be read.
    Lost,
}

/// Why there is no head.
#[derive(Debug)]
pub(crate) enum NoHead {
    /// The peer closed the connection between two messages.
    Closed,
    /// The peer closed or broke the connection within a head.
    Broken(Broken),
    /// It is longer than allowed.
    TooLarge,
}

/// A head in its own allocation, wiped when the last slice of it is dropped.
struct Wiped(Vec<u8>);

/// Initial room for a head; doubled as the head grows.
const HEAD_STEP: usize = 2 * 1024;
/// Room for a piece of a body: a TLS record.
const BODY_STEP: usize = 16 * 1024;
/// Bytes that a client may pipeline after its request.
const MAX_AHEAD: usize = 16 * 1024;

// === impl Reader ===

impl<R: AsyncRead + Unpin + Send> Reader<R> {
    pub(crate) fn new(io: R) -> Self {
        Self { io, buffer: Buffer::default() }
    }

    /// Returns the next head, with its empty line, at most `max` bytes. When cancelled, a later call continues with the
    /// bytes that were read.
    pub(crate) async fn head(&mut self, max: usize) -> Result<Bytes, NoHead> {
        let mut searched = 0;
        loop {
            if let Some(end) = head_end(&self.buffer, searched) {
                if end > max {
                    return Err(NoHead::TooLarge);
                }
                let head = Bytes::from_owner(Wiped(self.buffer[..end].to_vec()));
                self.release(end);
                return Ok(head);
            }
            if self.buffer.len() > max {
                return Err(NoHead::TooLarge);
            }
            // The end of the head may be split between two reads.
            searched = self.buffer.len().saturating_sub(3);
            let read = self.fill(HEAD_STEP.max(self.buffer.len())).await;
            match read.map_err(|error| NoHead::Broken(error.into()))? {
                0 if self.buffer.is_empty() => return Err(NoHead::Closed),
                0 => return Err(NoHead::Broken(Broken::Closed)),
                _ => {}
            }
        }
    }

    /// Resolves when at least one byte has been read (`true`) or the peer has closed (`false`). Cancel-safe.
    pub(crate) async fn wait(&mut self) -> bool {
        if !self.buffer.is_empty() {
            return true;
        }
        // An idle connection holds no large buffer.
        self.buffer = Buffer::default();
        matches!(self.fill(HEAD_STEP).await, Ok(read) if read > 0)
    }

    /// Resolves when the peer has closed its side, or broken the connection. Pipelined requests are kept for later; when
    /// they reach [`MAX_AHEAD`], nothing more is read and this never resolves. Cancel-safe.
    async fn closed(&mut self) -> std::io::Result<()> {
        if self.buffer.is_empty() {
            self.buffer = Buffer::default();
        }
        while self.buffer.len() < MAX_AHEAD {
            if self.fill(HEAD_STEP).await? == 0 {
                return Ok(());
            }
        }
        std::future::pending().await
    }

    /// Returns the stream and the bytes that were read ahead, for an upgrade.
    pub(crate) fn into_parts(mut self) -> (R, Vec<u8>) {
        let read_ahead = self.buffer.to_vec();
        let len = read_ahead.len();
        self.release(len);
        (self.io, read_ahead)
    }

    /// Returns the body that follows a head; `decoder` is for a chunked one.
    pub(crate) fn body(&mut self, framing: Framing, decoder: ChunkDecoder) -> Body<'_, R> {
        let state = match framing {
            Framing::None | Framing::Length(0) => State::Finished,
            Framing::Length(length) => State::Length(length),
            Framing::Chunked => State::Chunked(decoder),
            Framing::UntilClose => State::UntilClose,
        };
        Body { reader: self, state }
    }

    /// Whether nothing was read ahead.
    pub(crate) fn is_clear(&self) -> bool {
        self.buffer.is_empty()
    }

    /// Returns the stream, for inspection only: bytes read from it would be lost to this reader.
    pub(crate) fn io(&self) -> &R {
        &self.io
    }

    async fn fill(&mut self, room: usize) -> std::io::Result<usize> {
        let spare = self.buffer.capacity() - self.buffer.len();
        if spare < room / 2 || spare == 0 {
            // `reserve` would release the old allocation without wiping it.
            let mut larger = BytesMut::with_capacity(self.buffer.len() + room);
            larger.extend_from_slice(&self.buffer);
            self.buffer = Buffer(larger);
        }
        match self.io.read_buf(&mut *self.buffer).await {
            // TLS without close_notify: for the framing it is an ordinary end.
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(0),
            read => read,
        }
    }

    fn release(&mut self, count: usize) {
        wipe(&mut self.buffer[..count]);
        let _ = self.buffer.split_to(count);
    }
}

// === impl Buffer ===

impl Deref for Buffer {
    type Target = BytesMut;

    fn deref(&self) -> &BytesMut {
        &self.0
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut BytesMut {
        &mut self.0
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

// === impl Body ===

impl<R: AsyncRead + Unpin + Send> Body<'_, R> {
    async fn next(&mut self) -> Result<Option<Piece>, Broken> {
        loop {
            if let State::Finished = self.state {
                return Ok(None);
            }
            if self.reader.buffer.is_empty() && !self.read_more().await? {
                return Ok(None);
            }
            let buffer = &mut self.reader.buffer;
            match &mut self.state {
                State::Length(left) => {
                    let len = usize::try_from(*left).unwrap_or(usize::MAX).min(buffer.len());
                    *left -= len as u64;
                    if *left == 0 {
                        self.state = State::Finished;
                    }
                    return Ok(Some(Piece::Data(buffer.split_to(len).freeze())));
                }
                State::UntilClose => return Ok(Some(Piece::Data(buffer.split().freeze()))),
                State::Chunked(decoder) => match decoder.consume(buffer).map_err(broken)? {
                    Decoded::Data { skip, len } => {
                        let _ = buffer.split_to(skip);
                        return Ok(Some(Piece::Data(buffer.split_to(len).freeze())));
                    }
                    Decoded::NeedMore { consumed } => {
                        let _ = buffer.split_to(consumed);
                        if !self.read_more().await? {
                            return Ok(None);
                        }
                    }
                    Decoded::Trailers { consumed, fields } => {
                        let _ = buffer.split_to(consumed);
                        self.state = State::Finished;
                        return Ok((!fields.is_empty()).then_some(Piece::Trailers(fields)));
                    }
                },
                State::Finished => return Ok(None),
                State::Lost => return Err(Broken::Closed),
            }
        }
    }

    /// Returns `false` when the end of the connection is the end of the body.
    async fn read_more(&mut self) -> Result<bool, Broken> {
        if self.reader.fill(BODY_STEP).await? > 0 {
            return Ok(true);
        }
        if let State::UntilClose = self.state {
            self.state = State::Finished;
            return Ok(false);
        }
        Err(Broken::Closed)
    }
}

impl<R: AsyncRead + Unpin + Send> Source for Body<'_, R> {
    async fn piece(&mut self) -> Result<Option<Piece>, Broken> {
        let piece = self.next().await;
        if piece.is_err() {
            self.state = State::Lost;
        }
        piece
    }

    fn is_finished(&self) -> bool {
        matches!(self.state, State::Finished)
    }

    async fn closed(&mut self) -> Result<(), Broken> {
        Ok(self.reader.closed().await?)
    }
}

fn broken(bad: BadBody) -> Broken {
    Broken::Malformed(bad.label())
}

// === impl Wiped ===

impl AsRef<[u8]> for Wiped {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Wiped {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Waker};

    use tokio::io::AsyncWriteExt;

    use super::*;

    #[tokio::test]
    async fn reading_ahead_is_bounded() {
        let (ours, mut theirs) = tokio::io::duplex(4 * MAX_AHEAD);
        let mut reader = Reader::new(ours);
        theirs.write_all(&vec![b'x'; 3 * MAX_AHEAD]).await.expect("write");
        drop(theirs);
        // The end is not seen, because the bytes before it are not read.
        let polled = pin!(reader.closed()).poll(&mut Context::from_waker(Waker::noop()));
        assert!(polled.is_pending());
        assert!((MAX_AHEAD..MAX_AHEAD + HEAD_STEP).contains(&reader.buffer.len()), "{}", reader.buffer.len());
        let mut body = reader.body(Framing::Length(3 * MAX_AHEAD as u64), ChunkDecoder::for_requests());
        let mut length = 0;
        while let Some(piece) = body.piece().await.expect("a piece") {
            length += piece.len();
        }
        assert_eq!(length, 3 * MAX_AHEAD as u64);
        assert!(reader.closed().await.is_ok());
    }
}
