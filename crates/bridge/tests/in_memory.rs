//! The bridge between streams in memory, with a paused clock: order, ends and waits.

#![expect(clippy::unwrap_used, reason = "in tests a panic is the verdict, in their helpers too")]

use std::future::{Future, pending, ready};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bridge::{
    BridgeEnd, BridgeOutcome, Direction, EndRequest, Follow, HALF_CLOSE, Limits, Opening, Position, Watch,
    run,
};
use tokio::io::{
    AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufWriter, DuplexStream, ReadBuf, duplex,
};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, advance, sleep, timeout};

const IDLE: Duration = Duration::from_secs(1800);
const LIMITS: Limits = Limits::with_idle(IDLE);
/// How long an end waits for a boundary.
const PATIENCE: Duration = Duration::from_secs(2);
/// More than the bridge keeps for one direction, which is one read.
const KEPT: usize = 32 * 1024;

/// A session and its two peers.
struct Session {
    client: DuplexStream,
    backend: DuplexStream,
    end: oneshot::Sender<&'static str>,
    bridge: JoinHandle<BridgeOutcome<&'static str>>,
}

/// A watch whose boundaries are line feeds.
#[derive(Default)]
struct Lines {
    inside: bool,
}

impl Follow for Lines {
    fn see(&mut self, direction: Direction, bytes: &[u8]) -> bool {
        if direction == Direction::ToClient
            && let Some(last) = bytes.last()
        {
            self.inside = *last != b'\n';
        }
        true
    }

    fn position(&self) -> Position {
        if self.inside { Position::InResponse } else { Position::Boundary }
    }

    fn unseen(&self, _: Direction) -> u64 {
        0
    }

    fn skip(&mut self, _: Direction, _: u64) {}
}

impl Watch for Lines {}

/// A watch whose position the test sets.
#[derive(Clone)]
struct At(Arc<Mutex<Position>>);

impl Follow for At {
    fn see(&mut self, _: Direction, _: &[u8]) -> bool {
        true
    }

    fn position(&self) -> Position {
        *self.0.lock().unwrap()
    }

    fn unseen(&self, _: Direction) -> u64 {
        0
    }

    fn skip(&mut self, _: Direction, _: u64) {}
}

impl Watch for At {}

/// Returns a request that waits [`PATIENCE`] for a boundary.
fn request<E: Copy + Send + 'static>(by: E) -> EndRequest<'static, E> {
    EndRequest::new(by, async move {
        sleep(PATIENCE).await;
        by
    })
}

fn begin(opening: Opening, watch: impl Watch + Send + 'static, buffer: usize) -> Session {
    let (client, mut at_client) = duplex(buffer);
    let (backend, mut at_backend) = duplex(buffer);
    let (end, ended) = oneshot::channel();
    let bridge = tokio::spawn(async move {
        let end = async { request(ended.await.unwrap_or("nobody can end it")) };
        run(&mut at_client, &mut at_backend, opening, LIMITS, watch, end).await
    });
    Session { client, backend, end, bridge }
}

async fn read(stream: &mut DuplexStream, expected: &str) {
    let mut bytes = vec![0; expected.len()];
    stream.read_exact(&mut bytes).await.unwrap();
    assert_eq!(String::from_utf8_lossy(&bytes), expected);
}

async fn read_to_end(stream: &mut DuplexStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text
}

/// Lets every task run until none can: with the clock paused, time moves only then.
async fn settle() {
    assert!(timeout(Duration::from_nanos(1), pending::<()>()).await.is_err());
}

fn text(text: &str) -> Vec<u8> {
    text.as_bytes().to_vec()
}

#[tokio::test(start_paused = true)]
async fn the_opening_comes_first_and_once() {
    let opening = Opening { to_backend: text("b SELECT INBOX\r\n"), to_client: text("* 3 EXISTS\r\n") };
    let mut session = begin(opening, (), 64);
    session.client.write_all(b"c NOOP\r\n").await.unwrap();
    session.backend.write_all(b"b OK\r\n").await.unwrap();
    session.client.shutdown().await.unwrap();
    assert_eq!(read_to_end(&mut session.backend).await, "b SELECT INBOX\r\nc NOOP\r\n");
    session.backend.shutdown().await.unwrap();
    assert_eq!(read_to_end(&mut session.client).await, "* 3 EXISTS\r\nb OK\r\n");
    assert_eq!(
        session.bridge.await.unwrap(),
        BridgeOutcome { to_backend: 24, to_client: 18, why: BridgeEnd::ClientClosed }
    );
}

/// A watch that refuses bytes with `!`. Its position does not change.
struct Refusing(Position);

impl Follow for Refusing {
    fn see(&mut self, _: Direction, bytes: &[u8]) -> bool {
        !bytes.contains(&b'!')
    }

    fn position(&self) -> Position {
        self.0
    }

    fn unseen(&self, _: Direction) -> u64 {
        0
    }

    fn skip(&mut self, _: Direction, _: u64) {}
}

impl Watch for Refusing {}

#[tokio::test(start_paused = true)]
async fn refused_bytes_end_the_session_and_never_reach_the_backend() {
    let opening = Opening { to_backend: text("a\r\n"), to_client: text("* OK\r\n") };
    let mut session = begin(opening, Refusing(Position::Boundary), 64);
    session.client.write_all(b"b\r\n").await.unwrap();
    read(&mut session.backend, "a\r\nb\r\n").await;
    session.client.write_all(b"c\r\n!\r\n").await.unwrap();
    let outcome = session.bridge.await.unwrap();
    assert_eq!(outcome.why, BridgeEnd::Refused { may_write: true });
    assert_eq!(read_to_end(&mut session.backend).await, "");
    assert_eq!(read_to_end(&mut session.client).await, "* OK\r\n");

    let opening = Opening { to_backend: text("!\r\n"), to_client: text("* OK\r\n") };
    let mut session = begin(opening, Refusing(Position::Boundary), 64);
    let outcome = session.bridge.await.unwrap();
    assert_eq!(
        outcome,
        BridgeOutcome { to_backend: 0, to_client: 6, why: BridgeEnd::Refused { may_write: true } }
    );
    assert_eq!(read_to_end(&mut session.backend).await, "");
    assert_eq!(read_to_end(&mut session.client).await, "* OK\r\n");
}

#[tokio::test(start_paused = true)]
async fn bytes_of_the_backend_can_be_refused() {
    let opening = Opening { to_backend: text("a\r\n"), to_client: text("!\r\n") };
    let mut session = begin(opening, Refusing(Position::Boundary), 64);
    assert_eq!(session.bridge.await.unwrap().why, BridgeEnd::Refused { may_write: true });
    assert_eq!(read_to_end(&mut session.backend).await, "");
    assert_eq!(read_to_end(&mut session.client).await, "");

    let mut session = begin(Opening::default(), Refusing(Position::Boundary), 64);
    session.backend.write_all(b"!\r\n").await.unwrap();
    assert_eq!(session.bridge.await.unwrap().why, BridgeEnd::Refused { may_write: true });
    assert_eq!(read_to_end(&mut session.client).await, "");
}

#[tokio::test(start_paused = true)]
async fn after_a_refusal_nothing_is_written_into_a_response() {
    for (position, may_write) in [
        (Position::Boundary, true),
        (Position::InCommand, true),
        (Position::InResponse, false),
        (Position::Opaque, false),
    ] {
        let mut session = begin(Opening::default(), Refusing(position), 64);
        session.client.write_all(b"!\r\n").await.unwrap();
        let outcome = session.bridge.await.unwrap();
        assert_eq!(outcome.why, BridgeEnd::Refused { may_write }, "{position:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_half_close_leaves_the_other_direction_open() {
    let mut session = begin(Opening::default(), (), 64);
    session.backend.write_all(b"* BYE\r\n").await.unwrap();
    session.backend.shutdown().await.unwrap();
    assert_eq!(read_to_end(&mut session.client).await, "* BYE\r\n");
    session.client.write_all(b"late\r\n").await.unwrap();
    read(&mut session.backend, "late\r\n").await;
    session.client.shutdown().await.unwrap();
    assert_eq!(session.bridge.await.unwrap().why, BridgeEnd::BackendClosed);
}

#[tokio::test(start_paused = true)]
async fn a_half_closed_session_ends_in_time() {
    for client_closes in [true, false] {
        let mut session = begin(Opening::default(), (), 64);
        advance(Duration::from_secs(100)).await;
        let start = Instant::now();
        let (closing, other) = if client_closes {
            (&mut session.client, &mut session.backend)
        } else {
            (&mut session.backend, &mut session.client)
        };
        closing.shutdown().await.unwrap();
        assert_eq!(read_to_end(other).await, "");
        // Bytes do not extend it.
        advance(HALF_CLOSE - Duration::from_secs(1)).await;
        other.write_all(b"x").await.unwrap();
        assert_eq!(session.bridge.await.unwrap().why, BridgeEnd::HalfCloseTimeout);
        assert_eq!(start.elapsed().as_secs(), HALF_CLOSE.as_secs());
    }
}

#[tokio::test(start_paused = true)]
async fn silence_ends_a_session_and_bytes_extend_it() {
    let mut session = begin(Opening::default(), (), 64);
    let start = Instant::now();
    settle().await;
    advance(IDLE - Duration::from_secs(1)).await;
    session.client.write_all(b"x").await.unwrap();
    read(&mut session.backend, "x").await;
    advance(IDLE - Duration::from_secs(1)).await;
    session.backend.write_all(b"y").await.unwrap();
    read(&mut session.client, "y").await;
    assert_eq!(
        session.bridge.await.unwrap(),
        BridgeOutcome { to_backend: 1, to_client: 1, why: BridgeEnd::Idle }
    );
    assert_eq!(start.elapsed().as_secs(), 3 * IDLE.as_secs() - 2);
}

#[tokio::test(start_paused = true)]
async fn an_overflowing_limit_never_expires() {
    let (mut client, _client) = duplex(64);
    let (mut backend, _backend) = duplex(64);
    let limits = Limits::with_idle(Duration::MAX);
    let end = async {
        sleep(Duration::from_secs(10_000_000)).await;
        request(())
    };
    let outcome = run(&mut client, &mut backend, Opening::default(), limits, (), end).await;
    assert_eq!(outcome.why, BridgeEnd::Ended { by: (), at_boundary: true });
}

#[tokio::test(start_paused = true)]
async fn bytes_that_are_not_accepted_count_as_silence() {
    let mut session = begin(Opening::default(), (), 64);
    let start = Instant::now();
    session.client.write_all(&[b'x'; 150]).await.unwrap();
    assert_eq!(
        session.bridge.await.unwrap(),
        BridgeOutcome { to_backend: 64, to_client: 0, why: BridgeEnd::Idle }
    );
    assert_eq!(start.elapsed().as_secs(), IDLE.as_secs());
}

#[tokio::test(start_paused = true)]
async fn an_end_comes_at_once_between_lines() {
    let mut session = begin(Opening::default(), Lines::default(), 64);
    session.backend.write_all(b"* 1 EXISTS\r\n").await.unwrap();
    read(&mut session.client, "* 1 EXISTS\r\n").await;
    let start = Instant::now();
    session.end.send("kick").unwrap();
    assert_eq!(session.bridge.await.unwrap().why, BridgeEnd::Ended { by: "kick", at_boundary: true });
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn an_end_waits_for_the_end_of_the_line() {
    let opening = Opening { to_client: text("* 1 EX"), ..Opening::default() };
    let mut session = begin(opening, Lines::default(), 64);
    read(&mut session.client, "* 1 EX").await;
    session.end.send("move").unwrap();
    settle().await;
    // Nothing more is sent to the backend.
    session.client.write_all(b"a NOOP\r\n").await.unwrap();
    advance(PATIENCE - Duration::from_secs(1)).await;
    session.backend.write_all(b"ISTS\r\n").await.unwrap();
    let outcome = session.bridge.await.unwrap();
    let why = BridgeEnd::Ended { by: "move", at_boundary: true };
    assert_eq!(outcome, BridgeOutcome { to_backend: 0, to_client: 12, why });
    read(&mut session.client, "ISTS\r\n").await;
}

#[tokio::test(start_paused = true)]
async fn an_end_does_not_wait_for_ever() {
    for (backend_says, client_buffer) in [("no line end", 64), ("more than the client takes\r\n", 4)] {
        let (_client, mut at_client) = duplex(client_buffer);
        let (mut backend, mut at_backend) = duplex(64);
        backend.write_all(backend_says.as_bytes()).await.unwrap();
        let start = Instant::now();
        let end = async {
            sleep(Duration::from_secs(5)).await;
            request(())
        };
        let outcome =
            run(&mut at_client, &mut at_backend, Opening::default(), LIMITS, Lines::default(), end).await;
        assert_eq!(outcome.why, BridgeEnd::Ended { by: (), at_boundary: false });
        assert_eq!(start.elapsed().as_secs(), 5 + PATIENCE.as_secs());
    }
}

/// A message that the client has begun is sent to its end, and its reply awaited; nothing after it is read.
#[tokio::test(start_paused = true)]
async fn an_end_lets_a_command_and_its_response_pass() {
    let at = At(Arc::new(Mutex::new(Position::InCommand)));
    let mut session = begin(Opening::default(), at.clone(), 64);
    session.end.send("drain").unwrap();
    settle().await;
    session.client.write_all(b"the rest of a message\r\n").await.unwrap();
    read(&mut session.backend, "the rest of a message\r\n").await;
    *at.0.lock().unwrap() = Position::InResponse;
    session.client.write_all(b"QUIT\r\n").await.unwrap();
    settle().await;
    *at.0.lock().unwrap() = Position::Boundary;
    // The position changes only with bytes that pass.
    session.backend.write_all(b"250 queued\r\n").await.unwrap();
    assert_eq!(session.bridge.await.unwrap().why, BridgeEnd::Ended { by: "drain", at_boundary: true });
    assert_eq!(read_to_end(&mut session.backend).await, "");
}

#[tokio::test(start_paused = true)]
async fn an_opaque_session_ends_at_once_and_in_silence() {
    let session = begin(Opening::default(), At(Arc::new(Mutex::new(Position::Opaque))), 64);
    let start = Instant::now();
    session.end.send("drain").unwrap();
    assert_eq!(session.bridge.await.unwrap().why, BridgeEnd::Ended { by: "drain", at_boundary: false });
    assert_eq!(start.elapsed(), Duration::ZERO);
}

/// A kick during a drain does not wait as the drain does.
#[tokio::test(start_paused = true)]
async fn a_stronger_request_ends_the_wait() {
    let (_client, mut at_client) = duplex(64);
    let (_backend, mut at_backend) = duplex(64);
    let at = At(Arc::new(Mutex::new(Position::InCommand)));
    let end = ready(EndRequest { by: "drain", ..request("kick") });
    let start = Instant::now();
    let outcome = run(&mut at_client, &mut at_backend, Opening::default(), LIMITS, at, end).await;
    assert_eq!(outcome.why, BridgeEnd::Ended { by: "kick", at_boundary: false });
    assert_eq!(start.elapsed(), PATIENCE);
}

#[tokio::test(start_paused = true)]
async fn an_end_after_the_backend_closed_is_not_at_a_boundary() {
    let mut session = begin(Opening::default(), (), 64);
    session.backend.shutdown().await.unwrap();
    assert_eq!(read_to_end(&mut session.client).await, "");
    session.end.send("drain").unwrap();
    assert_eq!(session.bridge.await.unwrap().why, BridgeEnd::Ended { by: "drain", at_boundary: false });
}

#[tokio::test(start_paused = true)]
async fn an_end_that_is_ready_at_the_start_still_writes_the_opening() {
    let (mut client, mut at_client) = duplex(64);
    let (mut backend, mut at_backend) = duplex(64);
    let opening = Opening { to_backend: text("up"), to_client: text("down") };
    let outcome = run(&mut at_client, &mut at_backend, opening, LIMITS, (), ready(request(7))).await;
    let why = BridgeEnd::Ended { by: 7, at_boundary: true };
    assert_eq!(outcome, BridgeOutcome { to_backend: 2, to_client: 4, why });
    read(&mut client, "down").await;
    read(&mut backend, "up").await;
}

#[tokio::test(start_paused = true)]
async fn buffering_streams_are_flushed() {
    let (mut client, at_client) = duplex(64);
    let (mut backend, at_backend) = duplex(64);
    tokio::spawn(async move {
        let mut client = BufWriter::new(at_client);
        let mut backend = BufWriter::new(at_backend);
        run(&mut client, &mut backend, Opening::default(), LIMITS, (), pending::<EndRequest<'_, ()>>()).await
    });
    client.write_all(b"a NOOP\r\n").await.unwrap();
    read(&mut backend, "a NOOP\r\n").await;
    backend.write_all(b"a OK\r\n").await.unwrap();
    read(&mut client, "a OK\r\n").await;
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_holds_back_the_sender() {
    const BUFFER: usize = 1000;
    let mut session = begin(Opening::default(), (), BUFFER);
    let flood = vec![b'x'; 10 * KEPT];
    let mut accepted = 0;
    while let Ok(written) = timeout(Duration::from_millis(1), session.backend.write(&flood[accepted..])).await
    {
        accepted += written.unwrap();
    }
    // The two buffers of the test, and at most one read between them.
    assert!((2 * BUFFER..=2 * BUFFER + KEPT).contains(&accepted), "{accepted}");
    let mut received = vec![0; accepted];
    session.client.read_exact(&mut received).await.unwrap();
    assert_eq!(received, flood[..accepted]);
}

/// Fails in the ways that sockets and TLS do.
struct Failing {
    says: &'static [u8],
    reads: Option<io::ErrorKind>,
    writes: Option<io::ErrorKind>,
}

impl AsyncRead for Failing {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.says.is_empty() {
            buffer.put_slice(std::mem::take(&mut self.says));
            return Poll::Ready(Ok(()));
        }
        self.reads.map_or(Poll::Pending, |kind| Poll::Ready(Err(kind.into())))
    }
}

impl AsyncWrite for Failing {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(self.writes.map_or(Ok(bytes.len()), |kind| Err(kind.into())))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.writes.map_or(Ok(()), |kind| Err(kind.into())))
    }
}

#[tokio::test(start_paused = true)]
async fn failures_name_their_side() {
    use io::ErrorKind::{
        BrokenPipe, ConnectionAborted, ConnectionReset, InvalidData, TimedOut, UnexpectedEof,
    };
    for (reads, writes, client, backend) in [
        (Some(ConnectionReset), None, BridgeEnd::ClientReset, BridgeEnd::BackendReset),
        (Some(ConnectionAborted), None, BridgeEnd::ClientReset, BridgeEnd::BackendReset),
        (None, Some(BrokenPipe), BridgeEnd::ClientReset, BridgeEnd::BackendReset),
        (Some(TimedOut), None, BridgeEnd::ClientError(TimedOut), BridgeEnd::BackendError(TimedOut)),
        (None, Some(TimedOut), BridgeEnd::ClientError(TimedOut), BridgeEnd::BackendError(TimedOut)),
        (Some(InvalidData), None, BridgeEnd::ClientError(InvalidData), BridgeEnd::BackendError(InvalidData)),
        (Some(UnexpectedEof), None, BridgeEnd::HalfCloseTimeout, BridgeEnd::HalfCloseTimeout),
    ] {
        for (expected, is_client) in [(client, true), (backend, false)] {
            let (mut peer, mut at_peer) = duplex(64);
            let mut failing = Failing { says: b"last words", reads, writes };
            peer.write_all(b"x").await.unwrap();
            let end = pending::<EndRequest<'_, ()>>();
            let outcome = if is_client {
                run(&mut failing, &mut at_peer, Opening::default(), LIMITS, (), end).await
            } else {
                run(&mut at_peer, &mut failing, Opening::default(), LIMITS, (), end).await
            };
            assert_eq!(outcome.why, expected, "{reads:?} {writes:?}");
            drop(at_peer);
            if !is_client {
                assert_eq!(read_to_end(&mut peer).await, "last words", "{reads:?} {writes:?}");
            }
        }
    }
}

/// Reads and writes the numbers of bytes that a script lists, repeatedly; 0 means `Pending`.
struct Choppy {
    inner: DuplexStream,
    script: Vec<usize>,
    at: usize,
}

impl Choppy {
    /// Returns the next number of bytes; wakes the task for 0.
    fn next(&mut self, cx: &Context<'_>) -> usize {
        self.at = (self.at + 1) % self.script.len();
        if self.script[self.at] == 0 {
            cx.waker().wake_by_ref();
        }
        self.script[self.at]
    }
}

impl AsyncRead for Choppy {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let most = self.next(cx);
        if most == 0 {
            return Poll::Pending;
        }
        let mut part = buffer.take(most);
        std::task::ready!(Pin::new(&mut self.inner).poll_read(cx, &mut part))?;
        let read = part.filled().len();
        buffer.advance(read);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Choppy {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let most = self.next(cx).min(bytes.len());
        if most == 0 {
            return Poll::Pending;
        }
        Pin::new(&mut self.inner).poll_write(cx, &bytes[..most])
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

/// One peer: sends everything and closes, while it receives until the other has.
async fn exchange(stream: DuplexStream, sent: Vec<u8>) -> Vec<u8> {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let mut received = Vec::new();
    let (written, read) = tokio::join!(
        async {
            writer.write_all(&sent).await?;
            writer.shutdown().await
        },
        reader.read_to_end(&mut received)
    );
    written.unwrap();
    read.unwrap();
    received
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
}

mod property {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// At least one length above 0, or nothing would ever move.
    fn scripts() -> impl Strategy<Value = Vec<usize>> {
        (vec(0_usize..2000, 0..8), 1_usize..70_000).prop_map(|(mut script, last)| {
            script.push(last);
            script
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

        #[test]
        fn every_byte_arrives_in_order(
            up in vec(any::<u8>(), 0..100_000),
            down in vec(any::<u8>(), 0..100_000),
            opened in 0_usize..40_000,
            client_script in scripts(),
            backend_script in scripts(),
            buffer in 1_usize..70_000,
        ) {
            let (up_opening, up_rest) = up.split_at(opened.min(up.len()));
            let (down_opening, down_rest) = down.split_at(opened.min(down.len()));
            let opening = Opening { to_backend: up_opening.to_vec(), to_client: down_opening.to_vec() };
            let (client, at_client) = duplex(buffer);
            let (backend, at_backend) = duplex(buffer);
            let mut at_client = Choppy { inner: at_client, script: client_script, at: 0 };
            let mut at_backend = Choppy { inner: at_backend, script: backend_script, at: 0 };
            let (outcome, at_client_end, at_backend_end) = block_on(async {
                tokio::join!(
                    run(&mut at_client, &mut at_backend, opening, LIMITS, (), pending::<EndRequest<'_, ()>>()),
                    exchange(client, up_rest.to_vec()),
                    exchange(backend, down_rest.to_vec()),
                )
            });
            prop_assert!(at_client_end == down && at_backend_end == up);
            prop_assert_eq!((outcome.to_backend, outcome.to_client), (up.len() as u64, down.len() as u64));
            prop_assert!(matches!(outcome.why, BridgeEnd::ClientClosed | BridgeEnd::BackendClosed));
        }
    }
}
