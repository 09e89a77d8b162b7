//! An HTTP/2 stream, on either side: as a source, as a sink, and as both directions of a tunnel.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use h2::{Reason, RecvStream, SendStream};
use http_proto::{Fields, Framing, check_h2_trailers};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::body::{Broken, Piece, Sink, Source};
use crate::convert;

/// The direction of a stream that the peer sends.
pub(crate) struct Incoming {
    stream: RecvStream,
    is_finished: bool,
}

/// The direction of a stream that we send.
pub(crate) struct Outgoing {
    stream: SendStream<Bytes>,
    is_finished: bool,
    /// Bytes that are left, where the length is known and no trailers follow.
    left: Option<u64>,
}

/// Both directions of a stream whose `CONNECT` was answered with 200 (RFC 8441).
pub(crate) struct Tunnel {
    incoming: RecvStream,
    outgoing: SendStream<Bytes>,
    /// The part of the last frame that has not been read.
    unread: Bytes,
    is_shut: bool,
}

/// Send capacity that a tunnel reserves at once.
const TUNNEL_STEP: usize = 16 * 1024;

// === impl Incoming ===

impl Incoming {
    pub(crate) fn new(stream: RecvStream) -> Self {
        let is_finished = stream.is_end_stream();
        Self { stream, is_finished }
    }

    pub(crate) fn into_inner(self) -> RecvStream {
        self.stream
    }
}

impl Source for Incoming {
    async fn piece(&mut self) -> Result<Option<Piece>, Broken> {
        while !self.is_finished {
            match self.stream.data().await {
                Some(Ok(data)) => {
                    // The next piece is read when the sink has accepted this one, so the window bounds the bytes
                    // held here.
                    self.stream.flow_control().release_capacity(data.len())?;
                    if !data.is_empty() {
                        return Ok(Some(Piece::Data(data)));
                    }
                }
                Some(Err(error)) => return Err(error.into()),
                None => {
                    let map = self.stream.trailers().await?;
                    // After the wait, so that a cancelled call loses no trailers.
                    self.is_finished = true;
                    let Some(map) = map else { return Ok(None) };
                    let trailers = check_h2_trailers(convert::fields(&map));
                    let trailers = trailers.map_err(|bad| Broken::Malformed(bad.label()))?;
                    return Ok((!trailers.is_empty()).then_some(Piece::Trailers(trailers)));
                }
            }
        }
        Ok(None)
    }

    fn is_finished(&self) -> bool {
        self.is_finished
    }

    async fn closed(&mut self) -> Result<(), Broken> {
        // Every request closes its direction; a client cancels by a reset.
        std::future::pending().await
    }
}

// === impl Outgoing ===

impl Outgoing {
    /// `is_finished`: the head ends the stream. Where `framing` has a length, the last byte ends the stream, without an
    /// extra empty frame; unless `head` announces trailers after the body.
    pub(crate) fn new(stream: SendStream<Bytes>, is_finished: bool, framing: Framing, head: &Fields) -> Self {
        let left = match framing {
            Framing::Length(length) if length > 0 && head.get("trailer").is_none() => Some(length),
            _ => None,
        };
        Self { stream, is_finished, left }
    }

    pub(crate) fn into_inner(self) -> SendStream<Bytes> {
        self.stream
    }

    /// Whether the peer has reset it.
    pub(crate) fn is_reset(&mut self, context: &mut Context<'_>) -> bool {
        self.stream.poll_reset(context).is_ready()
    }

    /// Ends the stream as one that was cut.
    pub(crate) fn reset(&mut self, reason: Reason) {
        self.stream.send_reset(reason);
    }
}

impl Sink for Outgoing {
    async fn put(&mut self, piece: Piece) -> Result<(), Broken> {
        match piece {
            // They may be discarded (RFC 9110 section 6.5.1).
            Piece::Trailers(_) if self.left == Some(0) => {}
            _ if self.is_finished => return Err(Broken::Malformed("a body where there may be none")),
            Piece::Data(mut data) => {
                if let Some(left) = &mut self.left {
                    let after = left.checked_sub(data.len() as u64);
                    *left = after.ok_or(Broken::Malformed("a body longer than its Content-Length"))?;
                }
                while !data.is_empty() {
                    let room = room(&mut self.stream, data.len()).await?;
                    let part = data.split_to(room.min(data.len()));
                    self.is_finished = self.left == Some(0) && data.is_empty();
                    self.stream.send_data(part, self.is_finished)?;
                }
            }
            Piece::Trailers(fields) => {
                self.stream.send_trailers(convert::map(&fields))?;
                self.is_finished = true;
            }
        }
        Ok(())
    }

    async fn finish(&mut self) -> Result<(), Broken> {
        if self.left.is_some_and(|left| left > 0) && !self.is_finished {
            return Err(Broken::Malformed("a body shorter than its Content-Length"));
        }
        if !std::mem::replace(&mut self.is_finished, true) {
            self.stream.send_data(Bytes::new(), true)?;
        }
        Ok(())
    }
}

/// Waits until the peer's windows have room for at least a byte of `wanted`.
async fn room(stream: &mut SendStream<Bytes>, wanted: usize) -> Result<usize, Broken> {
    stream.reserve_capacity(wanted);
    loop {
        match std::future::poll_fn(|context| stream.poll_capacity(context)).await {
            Some(Ok(0)) => {}
            Some(Ok(room)) => return Ok(room),
            Some(Err(error)) => return Err(error.into()),
            None => return Err(Broken::Closed),
        }
    }
}

// === impl Tunnel ===

impl Tunnel {
    pub(crate) fn new(incoming: RecvStream, outgoing: SendStream<Bytes>) -> Self {
        Self { incoming, outgoing, unread: Bytes::new(), is_shut: false }
    }

    /// Ends the stream in both directions, as one that was cut.
    pub(crate) fn reset(&mut self) {
        self.outgoing.send_reset(Reason::CANCEL);
    }
}

impl AsyncRead for Tunnel {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.unread.is_empty() {
            match ready!(self.incoming.poll_data(context)) {
                Some(Ok(data)) => {
                    let len = data.len();
                    self.incoming.flow_control().release_capacity(len).map_err(io::Error::other)?;
                    self.unread = data;
                }
                Some(Err(error)) => return Poll::Ready(Err(reset(error))),
                None => return Poll::Ready(Ok(())),
            }
        }
        let len = self.unread.len().min(into.remaining());
        into.put_slice(&self.unread[..len]);
        self.unread.advance(len);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Tunnel {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        self.outgoing.reserve_capacity(bytes.len().min(TUNNEL_STEP));
        loop {
            match ready!(self.outgoing.poll_capacity(context)) {
                Some(Ok(0)) => {}
                Some(Ok(room)) => {
                    let len = room.min(bytes.len());
                    let data = Bytes::copy_from_slice(&bytes[..len]);
                    self.outgoing.send_data(data, false).map_err(reset)?;
                    return Poll::Ready(Ok(len));
                }
                Some(Err(error)) => return Poll::Ready(Err(reset(error))),
                None => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The task of the connection writes as fast as the socket accepts.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !std::mem::replace(&mut self.is_shut, true) {
            self.outgoing.send_data(Bytes::new(), true).map_err(reset)?;
        }
        Poll::Ready(Ok(()))
    }
}

/// Converts a stream's error for the bridge, which tells resets from other errors.
fn reset(error: h2::Error) -> io::Error {
    match error.reason() {
        Some(_) => io::Error::new(io::ErrorKind::ConnectionReset, error),
        None => io::Error::other(error),
    }
}
