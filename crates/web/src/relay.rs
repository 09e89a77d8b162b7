//! H1Client exchange on its way: the request's body up, the response down, both at once.
//!
//! A response may come before the request is whole (a refusal, or an answer that streams), so neither way
//! waits for the other. What must never happen: a cut response that looks whole; a connection that is used
//! again after either side was left in the middle of a message.

use std::fmt;
use std::sync::atomic::Ordering;
use std::time::Duration;

use http_proto::{Framing, RequestHead, ResponseHead};
use sessions::EndReason;

use crate::backend::{Answer, Connection, Download, Next, Upload};
use crate::body::{Broken, Piece, Sink, Source};
use crate::client::Client;
use crate::watch::{Shared, Watch};

/// How an exchange ended.
pub(crate) enum Ended {
    /// The response is whole. Whether the backend's connection is in step is `reusable`.
    Whole {
        status: u16,
        reusable: bool,
        /// The request's body was not read to its end: the client's connection is out of step.
        unread: bool,
    },
    /// The backend upgrades: both connections belong together from now on.
    Upgraded(Box<ResponseHead>, Option<Halves>),
    /// Nothing was sent to the client yet.
    Failed(Failure),
    /// The response had begun, or the client is gone: only closing is left.
    Cut(&'static str),
    /// An event stream was ended from outside, in an orderly way.
    Parted(EndReason),
}

/// Both ways of a backend's HTTP/2 stream that became a tunnel.
pub(crate) type Halves = (h2::RecvStream, h2::SendStream<bytes::Bytes>);

/// Why there is no response to pass on.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The backend closed, or broke, the connection before an answer. `unprocessed`: it says that it has not
    /// looked at the request.
    NoAnswer { unprocessed: bool },
    /// What it answered is none.
    BadAnswer(&'static str),
    /// It was silent for `http.relay_idle`.
    Silent,
    /// The client's body cannot be read.
    BadBody(&'static str),
}

/// Interim responses before the real one.
const MAX_INTERIM: usize = 16;

/// How the response's way ended.
enum Down<'a> {
    Whole { status: u16, keeps_alive: bool },
    Upgraded(ResponseHead, Answer<'a>),
    Failed(Failure),
    Cut(&'static str),
}

/// How long an answer is still waited for when the client has closed its side behind a whole request.
///
/// RFC 9112 section 9.6: that does not imply that it is no longer interested. But nearly every client that does it
/// is gone (a socket that is closed looks the same until something is written to it), and nginx, by default, takes
/// it so at once. This is long enough for the few that close only the one side to get the usual answer, and short
/// enough that nobody keeps backends busy by asking and leaving. What is being written to it is waited for as to any
/// other client: one that is gone answers that with a reset, and one that does not is slow.
const HALF_CLOSED: Duration = Duration::from_secs(5);

/// How the request's way ended.
enum Up {
    /// The backend takes no more.
    Refused,
    /// The client's body is broken, or the client gone.
    Client(Broken),
}

/// Why an exchange is stopped before its response is whole.
enum Stop {
    Failure(Failure),
    ClientLeft,
    Parted(EndReason),
}

/// Carries one exchange. `prefix` is what was read of the body before.
pub(crate) async fn exchange<S: Source, C: Client>(
    connection: &mut Connection,
    head: &RequestHead,
    https: bool,
    prefix: Vec<Piece>,
    source: &mut S,
    client: &mut C,
    watch: &Watch<'_>,
) -> Ended {
    let (mut up, down) = match connection.call(head, https).await {
        Ok(call) => call,
        Err(broken) => return Ended::Failed(no_answer(&broken)),
    };
    let shared = Shared::begin();
    // An upgrade keeps its way open; there is no body.
    let is_upgrade = head.upgrade.is_some();
    let ended = {
        let mut upload = std::pin::pin!(upload((&shared, watch), prefix, source, &mut up, is_upgrade));
        let mut download = std::pin::pin!(download((&shared, watch), down, client, is_upgrade));
        let mut is_refused = false;
        loop {
            tokio::select! {
                // The request first: an answer that comes with the end of it finds it sent.
                biased;
                up = &mut upload, if !is_refused => match up {
                    Up::Client(Broken::Malformed(what)) => break Err(Stop::Failure(Failure::BadBody(what))),
                    Up::Client(_) => break Err(Stop::ClientLeft),
                    Up::Refused => is_refused = true,
                },
                down = &mut download => break Ok(down),
                () = shared.silence(watch.idle) => break Err(Stop::Failure(Failure::Silent)),
                reason = shared.parted(watch.ticket) => break Err(Stop::Parted(reason)),
            }
        }
    };
    match ended {
        Err(Stop::Parted(reason)) => part(client, reason).await,
        Err(Stop::Failure(failure)) if client.has_begun() => {
            client.cut();
            Ended::Cut(failure.label())
        }
        Err(Stop::Failure(failure)) => Ended::Failed(failure),
        Err(Stop::ClientLeft) => {
            client.cut();
            Ended::Cut("the client left")
        }
        Ok(Down::Failed(failure)) => Ended::Failed(failure),
        Ok(Down::Cut(why)) => {
            client.cut();
            Ended::Cut(why)
        }
        Ok(Down::Upgraded(head, answer)) => {
            let halves = answer.into_stream().zip(up.into_stream());
            Ended::Upgraded(Box::new(head), halves)
        }
        Ok(Down::Whole { status, keeps_alive }) => {
            let is_sent = shared.is_sent.load(Ordering::Acquire) && up.is_finished();
            drop(up);
            let reusable = is_sent && keeps_alive && connection.is_clear();
            Ended::Whole { status, reusable, unread: !source.is_finished() }
        }
    }
}

/// Sends the request; then resolves when the client is gone, else never.
async fn upload<S: Source>(
    (shared, watch): (&Shared, &Watch<'_>),
    prefix: Vec<Piece>,
    source: &mut S,
    up: &mut Upload<'_>,
    is_upgrade: bool,
) -> Up {
    for piece in prefix {
        watch.moved(piece.len(), 0);
        if up.put(piece).await.is_err() {
            return Up::Refused;
        }
        shared.note();
    }
    loop {
        match source.piece().await {
            Ok(Some(piece)) => {
                shared.note();
                watch.moved(piece.len(), 0);
                if up.put(piece).await.is_err() {
                    return Up::Refused;
                }
                shared.note();
            }
            Ok(None) if is_upgrade => break,
            Ok(None) => match up.finish().await {
                Ok(()) => break,
                Err(Broken::Malformed(what)) => return Up::Client(Broken::Malformed(what)),
                Err(_) => return Up::Refused,
            },
            Err(broken) => return Up::Client(broken),
        }
    }
    shared.is_sent.store(true, Ordering::Release);
    // From here on this way only watches.
    if source.closed().await.is_ok() {
        shared.note();
        shared.unanswered(HALF_CLOSED).await;
    }
    Up::Client(Broken::Closed)
}

async fn download<'a, C: Client>(
    (shared, watch): (&Shared, &Watch<'_>),
    mut down: Download<'a>,
    client: &mut C,
    is_upgrade: bool,
) -> Down<'a> {
    let mut interim = 0;
    let (head, mut answer) = loop {
        let told = tokio::select! {
            told = down.head() => told,
            // Else whoever gives up what he asks for keeps a backend busy until it answers, as often as he likes.
            () = client.left() => return Down::Cut("the client left"),
        };
        match told {
            Err(broken) => return Down::Failed(no_answer(&broken)),
            Ok((head, Next::Body(answer))) => break (head, answer),
            Ok((head, Next::Another(again))) => {
                interim += 1;
                if interim > MAX_INTERIM {
                    return Down::Failed(Failure::BadAnswer("too many interim responses"));
                }
                shared.note();
                if shared.giving(client.interim(&stripped(head))).await.is_err() {
                    return Down::Cut("the client left");
                }
                down = again;
            }
        }
    };
    shared.note();
    let is_opened = head.status == 101 || (head.status == 200 && matches!(answer, Answer::H2Client(_)));
    if is_upgrade && is_opened {
        return Down::Upgraded(head, answer);
    }
    if head.status == 101 {
        return Down::Failed(Failure::BadAnswer("101 without an upgrade"));
    }
    let (status, keeps_alive) = (head.status, head.keeps_alive);
    let delay = (watch.verdict)(status);
    if !delay.is_zero() {
        tokio::select! {
            () = tokio::time::sleep(delay) => shared.note(),
            () = client.left() => return Down::Cut("the client left"),
        }
    }
    let is_cuttable = head.framing != Framing::UntilClose;
    let streams = is_event_stream(&head);
    // A refusal that does not wait for the request ends the connection, and the client may as well know.
    let last = status >= 400 && !shared.is_sent.load(Ordering::Acquire);
    // What of the body has come with the head goes with the head.
    let mut ready = tokio::select! {
        biased;
        piece = answer.piece() => Some(piece),
        () = std::future::ready(()) => None,
    };
    let first = match ready {
        Some(Ok(Some(Piece::Data(data)))) => {
            ready = None;
            Some(data)
        }
        _ => None,
    };
    watch.moved(0, first.as_ref().map_or(0, |data| data.len() as u64));
    match shared.giving(client.begin(stripped(head), first, last)).await {
        Ok(()) => shared.note(),
        Err(Broken::Malformed(_)) => return Down::Cut("the backend's body is longer than it announced"),
        Err(_) => return Down::Cut("the client left"),
    }
    if streams {
        shared.streams.notify_one();
    }
    loop {
        let piece = match ready.take() {
            Some(piece) => piece,
            None => tokio::select! {
                piece = answer.piece() => piece,
                () = client.left() => return Down::Cut("the client left"),
            },
        };
        match piece {
            Ok(Some(piece)) => {
                shared.note();
                watch.moved(0, piece.len());
                if shared.giving(client.put(piece)).await.is_err() {
                    return Down::Cut("the client left");
                }
                shared.note();
            }
            Ok(None) => break,
            Err(_) => return Down::Cut("the backend closed inside of its response"),
        }
    }
    match shared.giving(client.finish()).await {
        Ok(()) => Down::Whole { status, keeps_alive: keeps_alive && is_cuttable },
        Err(Broken::Malformed(_)) => Down::Cut("the backend's body is shorter than it announced"),
        Err(_) => Down::Cut("the client left"),
    }
}

/// What is meant for the backend's connection stays there.
fn stripped(mut head: ResponseHead) -> ResponseHead {
    head.fields.strip_hop_by_hop();
    // RFC 9110 section 8.6: a length where there is never a body, which some clients would wait for.
    if head.status < 200 || head.status == 204 {
        head.fields.remove("content-length");
    }
    head
}

/// Server-sent events: a response that does not end by itself.
fn is_event_stream(head: &ResponseHead) -> bool {
    head.fields.get("content-type").is_some_and(|value| {
        let kind = value.split(|&byte| byte == b';').next().unwrap_or_default();
        kind.trim_ascii().eq_ignore_ascii_case(b"text/event-stream")
    })
}

/// Ends an event stream as if the backend had: its client knows to come again.
async fn part<C: Client>(client: &mut C, reason: EndReason) -> Ended {
    const GOODBYE: Duration = Duration::from_secs(2);
    if !matches!(tokio::time::timeout(GOODBYE, client.finish()).await, Ok(Ok(()))) {
        client.cut();
    }
    Ended::Parted(reason)
}

fn no_answer(broken: &Broken) -> Failure {
    match broken {
        Broken::Malformed(what) => Failure::BadAnswer(what),
        Broken::Stream(error) => Failure::NoAnswer {
            unprocessed: error.reason() == Some(h2::Reason::REFUSED_STREAM)
                || (error.is_go_away() && error.reason() == Some(h2::Reason::NO_ERROR)),
        },
        Broken::Closed | Broken::Io(_) => Failure::NoAnswer { unprocessed: false },
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadAnswer(what) | Self::BadBody(what) => write!(f, "{}: {what}", self.label()),
            Self::NoAnswer { .. } | Self::Silent => f.write_str(self.label()),
        }
    }
}

// === impl Ended ===

impl Ended {
    /// Name in metrics.
    pub(crate) const fn label(&self) -> &'static str {
        match self {
            Self::Whole { .. } => "whole",
            Self::Upgraded(..) => "upgraded",
            Self::Failed(failure) => failure.label(),
            Self::Cut(_) => "cut",
            Self::Parted(reason) => reason.label(),
        }
    }
}

// === impl Failure ===

impl Failure {
    /// Name in logs and metrics.
    pub(crate) const fn label(&self) -> &'static str {
        match self {
            Self::NoAnswer { .. } => "no_answer",
            Self::BadAnswer(_) => "bad_answer",
            Self::Silent => "silent",
            Self::BadBody(_) => "bad_body",
        }
    }
}
