//! A connection to a backend, HTTP/1 or HTTP/2, and one call on it.

use std::future::poll_fn;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use h2::Ping;
use h2::client::{ResponseFuture, SendRequest};
use h2::ext::Protocol;
use http_proto::{ChunkDecoder, Framing, RequestHead, ResponseHead, parse_response, write_request};
use tls::Stream;
use types::fault::Fault;

use crate::body::{Broken, Piece, Sink, Source};
use crate::convert;
use crate::half::{ReadHalf, WriteHalf, split};
use crate::reader::{Body, NoHead, Reader};
use crate::stream::{Incoming, Outgoing};
use crate::writer::Writer;

/// An open connection to a backend.
pub(crate) enum BackendConnection {
    /// HTTP/1: one request at a time.
    H1(Box<H1Connection>),
    /// HTTP/2: many requests at once; clones share the connection.
    H2(SendRequest<Bytes>),
}

/// An HTTP/1 connection.
pub(crate) struct H1Connection {
    reader: Reader<ReadHalf>,
    writer: WriteHalf,
}

/// The request's direction of a call.
pub(crate) enum Upload<'a> {
    H1(Writer<'a, WriteHalf>),
    H2(Outgoing),
}

/// The response's direction of a call.
pub(crate) struct Download<'a> {
    from: DownloadSource<'a>,
    method: &'a [u8],
}

enum DownloadSource<'a> {
    H1(&'a mut Reader<ReadHalf>),
    H2(Option<ResponseFuture>),
}

/// The body of a response.
pub(crate) enum ResponseBody<'a> {
    H1(Body<'a, ReadHalf>),
    H2(Incoming),
}

/// Maximum size of a response head. Larger than that of a request, because a response may set many cookies.
const MAX_HEAD: usize = 128 * 1024;
/// Flow-control windows of a stream and of a connection: how much of a response is held for a slow client.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;

// === impl BackendConnection ===

impl BackendConnection {
    /// Begins HTTP on a new stream, in the version that its TLS handshake agreed on; on a plain stream, `prior_h2` selects
    /// HTTP/2 (RFC 9113 section 3.3). `awaits_settings`: waits until [`can_upgrade`](Self::can_upgrade) is known.
    pub(crate) async fn new(stream: Stream, prior_h2: bool, awaits_settings: bool) -> Result<Self, Fault> {
        let agreed = stream.tls_info().map(|info| info.alpn.as_deref() == Some(b"h2"));
        if !agreed.unwrap_or(prior_h2) {
            let (reader, writer) = split(stream);
            return Ok(Self::H1(Box::new(H1Connection { reader: Reader::new(reader), writer })));
        }
        let (requests, mut connection) = h2::client::Builder::new()
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(u32::try_from(MAX_HEAD).unwrap_or(u32::MAX))
            .enable_push(false)
            .handshake::<_, Bytes>(stream)
            .await
            .map_err(|_| Fault::Protocol)?;
        let pinger = connection.ping_pong().filter(|_| awaits_settings);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "HTTP/2 connection to a backend ended");
            }
        });
        if let Some(mut pinger) = pinger {
            // RFC 9113 section 3.4: SETTINGS is the first frame of the backend, so it has arrived before the reply to a
            // ping. The library cannot wait for it alone.
            pinger.ping(Ping::opaque()).await.map_err(|_| Fault::Protocol)?;
        }
        Ok(Self::H2(requests))
    }

    /// Whether the connection can carry a request: the backend has neither closed it nor sent unexpected data.
    pub(crate) fn is_fresh(&mut self) -> bool {
        match self {
            Self::H1(connection) => connection.reader.is_clear() && connection.reader.io().is_silent(),
            Self::H2(requests) => {
                !matches!(requests.poll_ready(&mut Context::from_waker(Waker::noop())), Poll::Ready(Err(_)))
            }
        }
    }

    /// Sends a head; the body follows through the [`Upload`].
    pub(crate) async fn call<'a>(
        &'a mut self,
        head: &'a RequestHead,
        https: bool,
    ) -> Result<(Upload<'a>, Download<'a>), Broken> {
        match self {
            Self::H1(connection) => {
                let H1Connection { reader, writer } = &mut **connection;
                let mut bytes = Vec::new();
                match &head.upgrade {
                    None => write_request(&mut bytes, head, head.framing),
                    Some(protocol) => {
                        let mut head = head.clone();
                        head.fields.push(&b"Connection"[..], &b"Upgrade"[..]);
                        head.fields.push(&b"Upgrade"[..], protocol.clone());
                        write_request(&mut bytes, &head, head.framing);
                    }
                }
                let writer = Writer::begin(writer, bytes, head.framing, None).await?;
                let download = Download { from: DownloadSource::H1(reader), method: &head.method };
                Ok((Upload::H1(writer), download))
            }
            Self::H2(requests) => {
                let mut request = convert::outgoing(head, if https { "https" } else { "http" })
                    .map_err(|_| Broken::Malformed("a head that HTTP/2 cannot carry"))?;
                if let Some(protocol) = &head.upgrade {
                    let protocol = std::str::from_utf8(protocol).unwrap_or_default();
                    *request.method_mut() = http::Method::CONNECT;
                    request.extensions_mut().insert(Protocol::from(protocol));
                    request.headers_mut().remove("sec-websocket-key");
                }
                poll_fn(|context| requests.poll_ready(context)).await?;
                let ends = head.framing == Framing::None && head.upgrade.is_none();
                let (response, stream) = requests.send_request(request, ends)?;
                let download = Download { from: DownloadSource::H2(Some(response)), method: &head.method };
                Ok((Upload::H2(Outgoing::new(stream, ends, head.framing, &head.fields)), download))
            }
        }
    }

    /// Whether the backend accepts an upgrade on this connection: in HTTP/2 where it has announced it (RFC 8441
    /// section 3). Known after its first response, or from [`new`](Self::new).
    pub(crate) fn can_upgrade(&self) -> bool {
        match self {
            Self::H1(_) => true,
            Self::H2(requests) => requests.is_extended_connect_protocol_enabled(),
        }
    }

    /// Returns the stream and the bytes that were read ahead, after a `101`.
    pub(crate) fn into_stream(self) -> Option<(Stream, Vec<u8>)> {
        match self {
            Self::H1(connection) => {
                let (reader, read_ahead) = connection.reader.into_parts();
                Some((reader.unsplit(connection.writer)?, read_ahead))
            }
            Self::H2(_) => None,
        }
    }

    /// Whether nothing was read ahead, so that the connection can carry another request.
    pub(crate) fn is_clear(&self) -> bool {
        match self {
            Self::H1(connection) => connection.reader.is_clear(),
            Self::H2(_) => true,
        }
    }
}

// === impl Upload ===

impl Upload<'_> {
    pub(crate) fn is_finished(&self) -> bool {
        match self {
            Self::H1(writer) => writer.is_finished(),
            Self::H2(_) => true,
        }
    }

    /// Returns the request's direction of a tunnel.
    pub(crate) fn into_stream(self) -> Option<h2::SendStream<Bytes>> {
        match self {
            Self::H1(_) => None,
            Self::H2(outgoing) => Some(outgoing.into_inner()),
        }
    }
}

impl Sink for Upload<'_> {
    async fn put(&mut self, piece: Piece) -> Result<(), Broken> {
        match self {
            Self::H1(writer) => writer.put(piece).await,
            Self::H2(stream) => stream.put(piece).await,
        }
    }

    async fn finish(&mut self) -> Result<(), Broken> {
        match self {
            Self::H1(writer) => writer.finish().await,
            Self::H2(stream) => stream.finish().await,
        }
    }
}

// === impl Download ===

impl<'a> Download<'a> {
    /// Returns the next head, with the body if it is the final one. An interim head (1xx) has no body and is followed by
    /// another head.
    pub(crate) async fn head(mut self) -> Result<(ResponseHead, NextHead<'a>), Broken> {
        let head = match &mut self.from {
            DownloadSource::H1(reader) => {
                let bytes = reader.head(MAX_HEAD).await.map_err(no_head)?;
                parse_response(&bytes, self.method).map_err(|bad| Broken::Malformed(bad.label()))?
            }
            DownloadSource::H2(response) => {
                let waiting = response.as_mut().ok_or(Broken::Closed)?;
                if let Some(interim) = poll_fn(|context| waiting.poll_informational(context)).await {
                    let head = interim_head(interim?)?;
                    return Ok((head, NextHead::Interim(self)));
                }
                let response = waiting.await?;
                let (parts, body) = response.into_parts();
                let has_body = !body.is_end_stream() && self.method != b"HEAD";
                let head = convert::response(&parts, has_body);
                http_proto::check_h2_response(head.status, &head.fields)
                    .map_err(|bad| Broken::Malformed(bad.label()))?;
                return Ok((head, NextHead::Final(ResponseBody::H2(Incoming::new(body)))));
            }
        };
        if (100..200).contains(&head.status) && head.status != 101 {
            return Ok((head, NextHead::Interim(self)));
        }
        let framing = head.framing;
        match self.from {
            DownloadSource::H1(reader) => Ok((
                head,
                NextHead::Final(ResponseBody::H1(reader.body(framing, ChunkDecoder::for_responses()))),
            )),
            DownloadSource::H2(_) => Err(Broken::Closed),
        }
    }
}

/// An interim response on an HTTP/2 stream.
fn interim_head(response: http::Response<()>) -> Result<ResponseHead, Broken> {
    let (parts, ()) = response.into_parts();
    let head = convert::response(&parts, false);
    http_proto::check_h2_response(head.status, &head.fields).map_err(|bad| Broken::Malformed(bad.label()))?;
    // RFC 9113 section 8.6.
    if head.status == 101 {
        return Err(Broken::Malformed("a 101 in HTTP/2"));
    }
    Ok(head)
}

/// What follows a response head.
pub(crate) enum NextHead<'a> {
    /// Another head: this one was interim.
    Interim(Download<'a>),
    /// Its body.
    Final(ResponseBody<'a>),
}

fn no_head(error: NoHead) -> Broken {
    match error {
        NoHead::Closed => Broken::Closed,
        NoHead::Broken(broken) => broken,
        NoHead::TooLarge => Broken::Malformed("a head that is too large"),
    }
}

// === impl ResponseBody ===

impl ResponseBody<'_> {
    /// Returns the response's direction of a tunnel.
    pub(crate) fn into_stream(self) -> Option<h2::RecvStream> {
        match self {
            Self::H1(_) => None,
            Self::H2(incoming) => Some(incoming.into_inner()),
        }
    }
}

impl Source for ResponseBody<'_> {
    async fn piece(&mut self) -> Result<Option<Piece>, Broken> {
        match self {
            Self::H1(body) => body.piece().await,
            Self::H2(incoming) => incoming.piece().await,
        }
    }

    fn is_finished(&self) -> bool {
        match self {
            Self::H1(body) => body.is_finished(),
            Self::H2(incoming) => incoming.is_finished(),
        }
    }

    async fn closed(&mut self) -> Result<(), Broken> {
        match self {
            Self::H1(body) => body.closed().await,
            Self::H2(incoming) => incoming.closed().await,
        }
    }
}
