//! The client's side of one exchange, in HTTP/1 and in HTTP/2.

use std::future::poll_fn;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use h2::Reason;
use h2::server::SendResponse;
use http_proto::{Framing, ResponseHead, Version, write_response};
use tokio::io::{AsyncWrite, AsyncWriteExt};

use crate::body::{Broken, Piece, Sink};
use crate::convert;
use crate::stream::Outgoing;
use crate::writer::Writer;

/// The receiver of a response.
pub(crate) trait Client: Sink {
    /// Passes an interim response (1xx) on, where the client's HTTP version allows it.
    fn interim(&mut self, head: &ResponseHead) -> impl Future<Output = Result<(), Broken>> + Send;

    /// Begins the response. The framing of the head is the backend's, and is translated to the client's HTTP
    /// version. `first`: the part of the body that is already there. `last`: no other request is read from this
    /// connection.
    fn begin(
        &mut self,
        head: ResponseHead,
        first: Option<Bytes>,
        last: bool,
    ) -> impl Future<Output = Result<(), Broken>> + Send;

    /// Whether the response has begun: then no other can be sent.
    fn has_begun(&self) -> bool;

    /// Resolves when the client has cancelled the request; never in HTTP/1, where
    /// [`Source::closed`](crate::body::Source::closed) shows it.
    fn left(&mut self) -> impl Future<Output = ()> + Send;

    /// Abandons a response so that the client cannot take the part that it got for the whole.
    fn cut(&mut self);
}

/// An HTTP/1 client.
pub(crate) struct H1Client<'a, W> {
    state: H1State<'a, W>,
    version: Version,
    /// Whether the connection must be closed after this response.
    pub(crate) closes: bool,
}

enum H1State<'a, W> {
    Waiting(&'a mut W),
    Begun(Writer<'a, W>),
    Lost,
}

/// An HTTP/2 client.
pub(crate) struct H2Client {
    respond: SendResponse<Bytes>,
    stream: Option<Outgoing>,
    /// The request was `HEAD`.
    is_head: bool,
}

// === impl H1Client ===

impl<'a, W: AsyncWrite + Unpin + Send> H1Client<'a, W> {
    /// `closes`: the client, or our bound, has made this the last request.
    pub(crate) fn new(io: &'a mut W, version: Version, closes: bool) -> Self {
        Self { state: H1State::Waiting(io), version, closes }
    }

    /// Whether everything was sent, so that another response can follow.
    pub(crate) fn is_finished(&self) -> bool {
        matches!(&self.state, H1State::Begun(writer) if writer.is_finished())
    }
}

impl<W: AsyncWrite + Unpin + Send> Sink for H1Client<'_, W> {
    async fn put(&mut self, piece: Piece) -> Result<(), Broken> {
        match &mut self.state {
            H1State::Begun(writer) => writer.put(piece).await,
            H1State::Waiting(_) | H1State::Lost => Err(Broken::Closed),
        }
    }

    async fn finish(&mut self) -> Result<(), Broken> {
        match &mut self.state {
            H1State::Begun(writer) => writer.finish().await,
            H1State::Waiting(_) | H1State::Lost => Err(Broken::Closed),
        }
    }
}

impl<W: AsyncWrite + Unpin + Send> Client for H1Client<'_, W> {
    async fn interim(&mut self, head: &ResponseHead) -> Result<(), Broken> {
        let H1State::Waiting(io) = &mut self.state else { return Ok(()) };
        // RFC 9110 section 15.2: never to HTTP/1.0.
        if self.version == Version::Http11 {
            let mut bytes = Vec::new();
            write_response(&mut bytes, head, Framing::None);
            io.write_all(&bytes).await?;
            io.flush().await?;
        }
        Ok(())
    }

    async fn begin(
        &mut self,
        mut head: ResponseHead,
        first: Option<Bytes>,
        last: bool,
    ) -> Result<(), Broken> {
        let H1State::Waiting(io) = std::mem::replace(&mut self.state, H1State::Lost) else {
            return Err(Broken::Closed);
        };
        let framing = match head.framing {
            Framing::Chunked | Framing::UntilClose if self.version == Version::Http11 => Framing::Chunked,
            Framing::Chunked | Framing::UntilClose => Framing::UntilClose,
            framing => framing,
        };
        self.closes |= last || framing == Framing::UntilClose;
        if head.status == 101 {
            let upgrade = head.upgrade.clone().unwrap_or_default();
            head.fields.push(&b"Connection"[..], &b"Upgrade"[..]);
            head.fields.push(&b"Upgrade"[..], upgrade);
        } else if self.closes {
            head.fields.push(&b"Connection"[..], &b"close"[..]);
        } else if self.version == Version::Http10 {
            head.fields.push(&b"Connection"[..], &b"keep-alive"[..]);
        }
        let mut bytes = Vec::new();
        write_response(&mut bytes, &head, framing);
        self.state = H1State::Begun(Writer::begin(io, bytes, framing, first).await?);
        Ok(())
    }

    fn has_begun(&self) -> bool {
        !matches!(self.state, H1State::Waiting(_))
    }

    async fn left(&mut self) {
        std::future::pending::<()>().await;
    }

    fn cut(&mut self) {
        self.closes = true;
        self.state = H1State::Lost;
    }
}

// === impl H2Client ===

impl H2Client {
    pub(crate) fn new(respond: SendResponse<Bytes>, is_head: bool) -> Self {
        Self { respond, stream: None, is_head }
    }

    /// Whether the client has reset the stream, or the connection is gone; wakes when that happens.
    fn is_reset(&mut self, context: &mut Context<'_>) -> bool {
        match &mut self.stream {
            Some(stream) => stream.is_reset(context),
            None => !self.respond.poll_reset(context).is_pending(),
        }
    }

    /// Whether the client has cancelled the request.
    pub(crate) fn is_cancelled(&mut self) -> bool {
        self.is_reset(&mut Context::from_waker(Waker::noop()))
    }

    /// Returns the response's direction of a tunnel, after the head that opened it.
    pub(crate) fn into_stream(self) -> Option<h2::SendStream<Bytes>> {
        self.stream.map(Outgoing::into_inner)
    }
}

impl Sink for H2Client {
    async fn put(&mut self, piece: Piece) -> Result<(), Broken> {
        self.stream.as_mut().ok_or(Broken::Closed)?.put(piece).await
    }

    async fn finish(&mut self) -> Result<(), Broken> {
        self.stream.as_mut().ok_or(Broken::Closed)?.finish().await
    }
}

impl Client for H2Client {
    async fn interim(&mut self, head: &ResponseHead) -> Result<(), Broken> {
        let reply = convert::reply(head).ok_or(Broken::Malformed("a status that does not exist"))?;
        Ok(self.respond.send_informational(reply)?)
    }

    async fn begin(&mut self, head: ResponseHead, first: Option<Bytes>, _: bool) -> Result<(), Broken> {
        let reply = convert::reply(&head).ok_or(Broken::Malformed("a status that does not exist"))?;
        let opens = head.upgrade.is_some() && head.status == 200;
        let ends = !opens && (self.is_head || matches!(head.framing, Framing::None | Framing::Length(0)));
        let stream = self.respond.send_response(reply, ends)?;
        let stream = self.stream.insert(Outgoing::new(stream, ends, head.framing, &head.fields));
        match first {
            Some(data) => stream.put(Piece::Data(data)).await,
            None => Ok(()),
        }
    }

    fn has_begun(&self) -> bool {
        self.stream.is_some()
    }

    async fn left(&mut self) {
        poll_fn(|context| if self.is_reset(context) { Poll::Ready(()) } else { Poll::Pending }).await;
    }

    fn cut(&mut self) {
        match &mut self.stream {
            Some(stream) => stream.reset(Reason::INTERNAL_ERROR),
            None => self.respond.send_reset(Reason::INTERNAL_ERROR),
        }
    }
}
