//! The writing side of an HTTP/1 connection: a head, then a body in the framing that the head announced.

use bytes::{Buf, Bytes};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use wire::http::{CHUNK_END, Framing, write_chunk_header, write_last_chunk};
use zeroize::Zeroize;

use crate::body::{Broken, Piece, Sink};

/// A message that is being written to `io`.
pub(crate) struct Writer<'a, W> {
    io: &'a mut W,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// So many bytes may still come.
    Length(u64),
    Chunked,
    UntilClose,
    Finished,
}

// === impl Writer ===

impl<'a, W: AsyncWrite + Unpin + Send> Writer<'a, W> {
    /// Writes the head, and wipes it: it may carry a credential.
    pub(crate) async fn begin(io: &'a mut W, mut head: Vec<u8>, framing: Framing) -> Result<Self, Broken> {
        let written = io.write_all(&head).await;
        head.zeroize();
        written?;
        io.flush().await?;
        let state = match framing {
            Framing::None | Framing::Length(0) => State::Finished,
            Framing::Length(length) => State::Length(length),
            Framing::Chunked => State::Chunked,
            Framing::UntilClose => State::UntilClose,
        };
        Ok(Self { io, state })
    }

    /// Whether the body is whole.
    pub(crate) fn is_finished(&self) -> bool {
        matches!(self.state, State::Finished | State::UntilClose)
    }

    async fn chunk(&mut self, data: Bytes) -> Result<(), Broken> {
        // One segment for the three parts where the stream takes them so.
        let mut size = Vec::with_capacity(20);
        write_chunk_header(&mut size, data.len());
        let mut all = Bytes::from(size).chain(data).chain(CHUNK_END);
        self.io.write_all_buf(&mut all).await?;
        Ok(())
    }
}

impl<W: AsyncWrite + Unpin + Send> Sink for Writer<'_, W> {
    async fn put(&mut self, piece: Piece) -> Result<(), Broken> {
        match (piece, self.state) {
            (Piece::Data(data), State::Length(left)) => {
                // A source that sends more than it announced: nobody gets to see the surplus.
                let left = left.checked_sub(data.len() as u64);
                let left = left.ok_or(Broken::Malformed("a body longer than its Content-Length"))?;
                self.io.write_all(&data).await?;
                self.state = if left == 0 { State::Finished } else { State::Length(left) };
            }
            (Piece::Data(data), State::Chunked) => self.chunk(data).await?,
            (Piece::Data(data), State::UntilClose) => self.io.write_all(&data).await?,
            (Piece::Data(_), State::Finished) => {
                return Err(Broken::Malformed("a body where there may be none"));
            }
            (Piece::Trailers(fields), State::Chunked) => {
                let mut end = Vec::new();
                write_last_chunk(&mut end, Some(&fields));
                self.io.write_all(&end).await?;
                self.state = State::Finished;
            }
            // The framing has no place for them; they may be dropped (RFC 9110 section 6.5.1).
            (Piece::Trailers(_), _) => {}
        }
        // TLS holds bytes back until it is flushed; a streamed event must not wait for the next one.
        self.io.flush().await?;
        Ok(())
    }

    async fn finish(&mut self) -> Result<(), Broken> {
        match self.state {
            State::Chunked => {
                let mut end = Vec::new();
                write_last_chunk(&mut end, None);
                self.io.write_all(&end).await?;
                self.io.flush().await?;
                self.state = State::Finished;
                Ok(())
            }
            State::Length(_) => Err(Broken::Malformed("a body shorter than its Content-Length")),
            State::UntilClose | State::Finished => Ok(()),
        }
    }
}
