//! The writing side of an HTTP/1 connection: a head, then a body in the framing that the head announced.

use bytes::{Buf, Bytes};
use http_proto::{CHUNK_END, Framing, wipe, write_chunk_header, write_last_chunk};
use tokio::io::{AsyncWrite, AsyncWriteExt};

use crate::body::{Broken, Piece, Sink};

/// A message that is being written to `io`.
pub(crate) struct Writer<'a, W> {
    io: &'a mut W,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The number of bytes that are left.
    Length(u64),
    Chunked,
    UntilClose,
    Finished,
}

/// Maximum size of a chunk's framing.
const CHUNK_ROOM: usize = 24;

// === impl State ===

impl State {
    /// Returns the state after `len` more bytes. Bytes beyond the announced length are never sent.
    fn after(self, len: usize) -> Result<Self, Broken> {
        match self {
            Self::Length(left) => match left.checked_sub(len as u64) {
                Some(0) => Ok(Self::Finished),
                Some(left) => Ok(Self::Length(left)),
                None => Err(Broken::Malformed("a body longer than its Content-Length")),
            },
            Self::Chunked | Self::UntilClose => Ok(self),
            Self::Finished => Err(Broken::Malformed("a body where there may be none")),
        }
    }
}

// === impl Writer ===

impl<'a, W: AsyncWrite + Unpin + Send> Writer<'a, W> {
    /// Writes the head, and wipes it, since it may contain a credential. `first`, the part of the body that is already
    /// there, goes in the same write: one TLS record instead of two.
    pub(crate) async fn begin(
        io: &'a mut W,
        mut head: Vec<u8>,
        framing: Framing,
        first: Option<Bytes>,
    ) -> Result<Self, Broken> {
        let mut state = match framing {
            Framing::None | Framing::Length(0) => State::Finished,
            Framing::Length(length) => State::Length(length),
            Framing::Chunked => State::Chunked,
            Framing::UntilClose => State::UntilClose,
        };
        if let Some(data) = first {
            state = state.after(data.len())?;
            let mut both = Vec::with_capacity(head.len() + data.len() + CHUNK_ROOM);
            both.extend_from_slice(&head);
            wipe(&mut head);
            if state == State::Chunked {
                write_chunk_header(&mut both, data.len());
            }
            both.extend_from_slice(&data);
            if state == State::Chunked {
                both.extend_from_slice(CHUNK_END);
            }
            head = both;
        }
        let written = io.write_all(&head).await;
        wipe(&mut head);
        written?;
        io.flush().await?;
        Ok(Self { io, state })
    }

    /// Whether the body is whole.
    pub(crate) fn is_finished(&self) -> bool {
        matches!(self.state, State::Finished | State::UntilClose)
    }

    async fn chunk(&mut self, data: Bytes) -> Result<(), Broken> {
        // One vectored write for the three parts, where the stream supports it.
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
            (Piece::Data(data), State::Chunked) => self.chunk(data).await?,
            (Piece::Data(data), state) => {
                let state = state.after(data.len())?;
                self.io.write_all(&data).await?;
                self.state = state;
            }
            (Piece::Trailers(fields), State::Chunked) => {
                let mut end = Vec::new();
                write_last_chunk(&mut end, Some(&fields));
                self.io.write_all(&end).await?;
                self.state = State::Finished;
            }
            // This framing has no trailers; they may be discarded (RFC 9110 section 6.5.1).
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

#[cfg(test)]
mod tests {
    use std::io;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use super::*;

    /// The writes, one by one.
    #[derive(Default)]
    struct Writes(Vec<String>);

    impl AsyncWrite for Writes {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.0.push(String::from_utf8_lossy(bytes).into_owned());
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn the_first_part_of_the_body_goes_with_the_head() {
        let hello = || Some(Bytes::from_static(b"hello"));
        for (framing, first, expected, finished) in [
            (Framing::None, None, Some("H:"), true),
            (Framing::Length(5), None, Some("H:"), false),
            (Framing::Length(5), hello(), Some("H:hello"), true),
            (Framing::Length(6), hello(), Some("H:hello"), false),
            (Framing::Length(4), hello(), None, false),
            (Framing::None, hello(), None, false),
            (Framing::Chunked, hello(), Some("H:5\r\nhello\r\n"), false),
            (Framing::UntilClose, hello(), Some("H:hello"), true),
        ] {
            let mut writes = Writes::default();
            let begun = Writer::begin(&mut writes, b"H:".to_vec(), framing, first).await;
            let is_finished = begun.is_ok_and(|writer| writer.is_finished());
            assert_eq!(is_finished, finished, "{framing:?}");
            assert_eq!(writes.0, expected.into_iter().collect::<Vec<_>>(), "{framing:?}");
        }
    }

    #[tokio::test]
    async fn later_parts_of_the_body_are_counted() {
        let mut writes = Writes::default();
        let first = Some(Bytes::from_static(b"hel"));
        let mut writer =
            Writer::begin(&mut writes, Vec::new(), Framing::Length(5), first).await.expect("begun");
        assert!(writer.finish().await.is_err(), "two bytes are missing");
        writer.put(Piece::Data(Bytes::from_static(b"lo"))).await.expect("put");
        assert!(writer.is_finished());
        assert!(writer.put(Piece::Data(Bytes::from_static(b"!"))).await.is_err());
        assert_eq!(writes.0.concat(), "hello");
    }
}
