//! Serves an HTTP/2 client's connection: many requests at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use h2::ext::Protocol;
use h2::server::{Connection, SendResponse};
use h2::{Reason, RecvStream};
use http::Request;
use http_proto::{BadHead, RequestHead};
use tls::Stream;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::after::After;
use crate::body::Source;
use crate::client::H2Client;
use crate::connection::HttpConnection;
use crate::convert;
use crate::memory;
use crate::meter::Metered;
use crate::request;
use crate::stream::{Incoming, Tunnel};
use crate::tunnel;

/// Concurrent streams.
const MAX_STREAMS: u32 = 128;
/// Flow-control windows of a stream and of a connection: how much of an upload is held for a slow backend.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;
/// The same until the first login on the connection; also the least that a connection may have (RFC 9113 section 6.9.2).
const INITIAL_WINDOW: u32 = 65_535;
/// Streams that were reset before they were accepted, and streams that we reset, that the library keeps at once.
const MAX_RESETS: usize = 32;
/// How many streams more than half of the completed ones a client may cancel. More is a rapid-reset attack
/// (CVE-2023-44487): each cancelled stream may cost a connection to a backend.
const MAX_CANCELLED: usize = 100;

/// How the streams of one connection ended.
#[derive(Default)]
struct StreamCounts {
    completed: AtomicUsize,
    cancelled: AtomicUsize,
}

/// Serves a connection to its end. The preface has until `deadline`.
pub(crate) async fn serve(
    client: HttpConnection,
    stream: Stream,
    deadline: Instant,
    draining: CancellationToken,
) {
    let http = &client.plan.plan.http;
    let keepalive = http.keepalive_timeout;
    let max_requests = http.max_keepalive_requests;
    let max_head = u32::try_from(http.max_head_size).unwrap_or(u32::MAX);
    let handshake = builder(max_head).handshake::<_, Bytes>(Metered::new(stream));
    let Ok(Ok(mut connection)) = timeout_at(deadline, handshake).await else {
        return tracing::debug!("no HTTP/2 preface within preauth_timeout");
    };
    let counts = Arc::new(StreamCounts::default());
    let mut requests = Requests {
        connection: &mut connection,
        draining,
        keepalive,
        idle_until: Instant::now() + keepalive,
        is_closing: false,
        logged_in: Arc::clone(&client.logged_in),
        tasks: TaskTracker::new(),
    };
    let mut client = Arc::new(client);
    let mut count = 0;
    while let Some((request, mut respond)) = requests.next().await {
        count += 1;
        if let Some(reason) = counts.abuse(count, max_requests) {
            tracing::warn!(streams = count, reason, "connection closed: the client floods it with requests");
            requests.connection.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
            continue;
        }
        if count > max_requests {
            // The library announces the last stream only after the client has acknowledged a PING, which it may never do.
            // The client may send a refused request again, on another connection (RFC 9113 section 8.7).
            respond.send_reset(Reason::REFUSED_STREAM);
            continue;
        }
        if count == max_requests {
            requests.shut_down();
        }
        if client.is_outdated() {
            Arc::make_mut(&mut client).renew();
        }
        let serving = serve_stream(Arc::clone(&client), Arc::clone(&counts), request, respond);
        requests.tasks.spawn(tracing::Instrument::in_current_span(serving));
    }
    requests.tasks.close();
    // Each request has its own bounds; without a connection they end at their next byte.
    requests.tasks.wait().await;
}

/// The requests of one connection, until it is closed, drained or idle for too long.
struct Requests<'c> {
    connection: &'c mut Connection<Metered<Stream>, Bytes>,
    draining: CancellationToken,
    keepalive: Duration,
    idle_until: Instant,
    /// Whether the client was told to send no more requests.
    is_closing: bool,
    logged_in: Arc<Notify>,
    /// The requests under way.
    tasks: TaskTracker,
}

// === impl Requests ===

impl Requests<'_> {
    async fn next(&mut self) -> Option<(Request<RecvStream>, SendResponse<Bytes>)> {
        loop {
            tokio::select! {
                accepted = self.connection.accept() => {
                    self.idle_until = Instant::now() + self.keepalive;
                    return match accepted? {
                        Ok(request) => Some(request),
                        Err(error) => {
                            tracing::debug!(%error, "HTTP/2 connection ended");
                            None
                        }
                    };
                }
                () = self.logged_in.notified() => self.raise_windows(),
                () = self.draining.cancelled(), if !self.is_closing => self.shut_down(),
                () = sleep_until(self.idle_until) => {
                    self.idle_until = Instant::now() + self.keepalive;
                    if self.tasks.is_empty() {
                        if self.is_closing {
                            return None;
                        }
                        self.shut_down();
                    }
                }
            }
        }
    }

    /// Lets a client that has logged in send more ahead.
    fn raise_windows(&mut self) {
        self.connection.set_target_window_size(CONNECTION_WINDOW);
        if let Err(error) = self.connection.set_initial_window_size(STREAM_WINDOW) {
            tracing::debug!(%error, "the windows of an HTTP/2 client stay small");
        }
    }

    /// Tells the client to send no more requests; those under way are served.
    fn shut_down(&mut self) {
        if !self.is_closing {
            self.is_closing = true;
            self.connection.graceful_shutdown();
        }
    }
}

/// Returns the limits of a client's connection; `max_head` is `http.max_head_size`.
fn builder(max_head: u32) -> h2::server::Builder {
    let mut builder = h2::server::Builder::new();
    builder
        .max_concurrent_streams(MAX_STREAMS)
        .initial_window_size(INITIAL_WINDOW)
        .initial_connection_window_size(INITIAL_WINDOW)
        .max_header_list_size(max_head)
        .max_concurrent_reset_streams(MAX_RESETS)
        .max_pending_accept_reset_streams(MAX_RESETS)
        .max_local_error_reset_streams(Some(MAX_RESETS))
        .enable_connect_protocol();
    builder
}

async fn serve_stream(
    connection: Arc<HttpConnection>,
    counts: Arc<StreamCounts>,
    stream_request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
) {
    let (mut parts, body) = stream_request.into_parts();
    let is_head = parts.method == http::Method::HEAD;
    let memory = match connection.memory.claim(memory::h2_head_size(&parts)) {
        Ok(memory) => memory,
        Err(full) => {
            // Not counted as cancelled: other clients of the network may hold the memory. `http.max_keepalive_requests`
            // bounds how many streams are refused.
            connection.log_full(full);
            respond.send_reset(Reason::REFUSED_STREAM);
            return;
        }
    };
    let mut client = H2Client::new(respond, is_head);
    let mut source = Incoming::new(body);
    let head = match head(&mut parts, &source) {
        Ok(head) => head,
        Err(bad) => {
            request::reject(&connection, &bad, &mut client).await;
            return;
        }
    };
    match Box::pin(request::serve(&connection, memory, head, &mut source, &mut client, false)).await {
        After::InStep => counts.note(true),
        After::OutOfStep => counts.note(!client.is_cancelled()),
        After::Tunnel(opened) => {
            counts.note(true);
            if let Some(outgoing) = client.into_stream() {
                let tunnel = Tunnel::new(source.into_inner(), outgoing);
                Box::pin(tunnel::bridge_h2(&connection, tunnel, *opened)).await;
            }
        }
    }
}

/// The head, with an extended `CONNECT` (RFC 8441) as the upgrade that it stands for.
fn head(parts: &mut http::request::Parts, source: &Incoming) -> Result<RequestHead, BadHead> {
    match parts.extensions.get::<Protocol>() {
        None => convert::request(parts, !source.is_finished()),
        Some(protocol) if protocol.as_str() == "websocket" => {
            parts.method = http::Method::GET;
            let mut head = convert::request(parts, false)?;
            head.upgrade = Some(Bytes::from_static(b"websocket"));
            Ok(head)
        }
        Some(_) => Err(BadHead::ConnectRefused),
    }
}

// === impl StreamCounts ===

impl StreamCounts {
    fn note(&self, is_completed: bool) {
        let counter = if is_completed { &self.completed } else { &self.cancelled };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns why a client that has sent `count` requests is not served any longer. A client that reads what it is sent
    /// has at most [`MAX_STREAMS`] requests under way when it learns which was the last.
    fn abuse(&self, count: u64, max_requests: u64) -> Option<&'static str> {
        let cancelled = self.cancelled.load(Ordering::Relaxed);
        if cancelled > MAX_CANCELLED + self.completed.load(Ordering::Relaxed) / 2 {
            return Some("it cancels them as fast as it sends them");
        }
        (count > max_requests.saturating_add(MAX_STREAMS.into())).then_some("it sends them after GOAWAY")
    }
}
