//! The bridge between real sockets, by copying and by splice(2): the same bytes, the same ends.

#![expect(clippy::unwrap_used, reason = "in tests a panic is the verdict, in their helpers too")]

use std::future::pending;
use std::time::Duration;

use bridge::{
    BridgeEnd, BridgeOutcome, Direction, EndRequest, Follow, Limits, Opening, Position, Watch, run, run_tcp,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

const LIMITS: Limits = Limits::with_idle(Duration::from_secs(60));

/// The ways of moving bytes.
const PATHS: [FastPath; 3] = [FastPath::Copied, FastPath::Spliced, FastPath::SplicedWhereUnseen];

#[derive(Clone, Copy, Debug)]
enum FastPath {
    Copied,
    Spliced,
    SplicedWhereUnseen,
}

/// A watch that inspects 1000 bytes of every million in both directions and counts all of them.
#[derive(Default)]
struct Partly {
    to_backend: u64,
    to_client: u64,
}

impl Follow for Partly {
    fn see(&mut self, direction: Direction, bytes: &[u8]) -> bool {
        *self.at(direction) += bytes.len() as u64;
        true
    }

    fn position(&self) -> Position {
        Position::Boundary
    }

    fn unseen(&self, direction: Direction) -> u64 {
        let at = match direction {
            Direction::ToBackend => self.to_backend,
            Direction::ToClient => self.to_client,
        };
        (1_000_000 - at % 1_000_000).saturating_sub(1000)
    }

    fn skip(&mut self, direction: Direction, count: u64) {
        assert!(count <= self.unseen(direction));
        *self.at(direction) += count;
    }
}

impl Watch for Partly {}

impl Partly {
    fn at(&mut self, direction: Direction) -> &mut u64 {
        match direction {
            Direction::ToBackend => &mut self.to_backend,
            Direction::ToClient => &mut self.to_client,
        }
    }
}

/// A watch that records what has moved.
struct Told(mpsc::UnboundedSender<(u64, u64)>);

impl Follow for Told {
    fn see(&mut self, _: Direction, _: &[u8]) -> bool {
        true
    }

    fn position(&self) -> Position {
        Position::Boundary
    }

    fn unseen(&self, _: Direction) -> u64 {
        u64::MAX
    }

    fn skip(&mut self, _: Direction, _: u64) {}
}

impl Watch for Told {
    fn moved(&mut self, to_backend: u64, to_client: u64) {
        self.0.send((to_backend, to_client)).unwrap();
    }
}

async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (one, other) = tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
    (one.unwrap(), other.unwrap().0)
}

/// Returns the sockets of the client and the backend, and the bridge between them.
async fn begin(path: FastPath, opening: Opening) -> (TcpStream, TcpStream, JoinHandle<BridgeOutcome<()>>) {
    let (client, mut at_client) = pair().await;
    let (backend, mut at_backend) = pair().await;
    let bridge = tokio::spawn(async move {
        let client = &mut at_client;
        let backend = &mut at_backend;
        let end = pending::<EndRequest<'_, ()>>();
        match path {
            FastPath::Copied => run(client, backend, opening, LIMITS, (), end).await,
            FastPath::Spliced => run_tcp(client, backend, opening, LIMITS, (), end).await,
            FastPath::SplicedWhereUnseen => {
                run_tcp(client, backend, opening, LIMITS, Partly::default(), end).await
            }
        }
    });
    (client, backend, bridge)
}

/// Bytes that differ from each other at every distance a lost or doubled buffer could have.
fn pattern(length: usize, seed: u32) -> Vec<u8> {
    let mut state = seed;
    (0..length)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        })
        .collect()
}

async fn exchange(mut stream: TcpStream, sent: Vec<u8>) -> Vec<u8> {
    let (mut reader, mut writer) = stream.split();
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_megabytes_both_ways() {
    const LENGTH: usize = 50_000_000;
    let up = pattern(LENGTH, 1);
    let down = pattern(LENGTH, 2);
    for path in PATHS {
        let opening = Opening { to_backend: up[..1000].to_vec(), to_client: down[..999].to_vec() };
        let (client, backend, bridge) = begin(path, opening).await;
        let client = tokio::spawn(exchange(client, up[1000..].to_vec()));
        let backend = tokio::spawn(exchange(backend, down[999..].to_vec()));
        assert!(client.await.unwrap() == down, "{path:?}: the client's bytes");
        assert!(backend.await.unwrap() == up, "{path:?}: the backend's bytes");
        let outcome = bridge.await.unwrap();
        assert_eq!((outcome.to_backend, outcome.to_client), (LENGTH as u64, LENGTH as u64), "{path:?}");
        assert!(
            matches!(outcome.why, BridgeEnd::ClientClosed | BridgeEnd::BackendClosed),
            "{path:?}: {outcome:?}"
        );
    }
}

#[tokio::test]
async fn moved_bytes_are_reported_and_add_up_to_the_outcome() {
    for spliced in [false, true] {
        let (mut client, mut at_client) = pair().await;
        let (backend, mut at_backend) = pair().await;
        let (tell, mut told) = mpsc::unbounded_channel();
        let bridge = tokio::spawn(async move {
            let client = &mut at_client;
            let backend = &mut at_backend;
            let watch = Told(tell);
            let opening = Opening { to_backend: Vec::new(), to_client: b"in\r\n".to_vec() };
            if spliced {
                run_tcp(client, backend, opening, LIMITS, watch, pending::<EndRequest<'_, ()>>()).await
            } else {
                run(client, backend, opening, LIMITS, watch, pending::<EndRequest<'_, ()>>()).await
            }
        });
        assert_eq!(told.recv().await, Some((0, 4)), "the opening; spliced: {spliced}");
        client.write_all(b"NOOP\r\n").await.unwrap();
        assert_eq!(told.recv().await, Some((6, 0)), "spliced: {spliced}");
        client.shutdown().await.unwrap();
        let backend = tokio::spawn(exchange(backend, pattern(1_000_000, 5)));
        client.read_to_end(&mut Vec::new()).await.unwrap();
        backend.await.unwrap();
        let outcome = bridge.await.unwrap();
        let mut sum = (6, 4);
        while let Some((up, down)) = told.recv().await {
            sum = (sum.0 + up, sum.1 + down);
        }
        assert_eq!(sum, (outcome.to_backend, outcome.to_client), "spliced: {spliced}");
        assert_eq!(sum, (6, 1_000_004), "spliced: {spliced}");
    }
}

#[tokio::test]
async fn a_slow_reader_gets_everything() {
    let sent = pattern(6_000_000, 3);
    for path in PATHS {
        let (mut client, mut backend, bridge) = begin(path, Opening::default()).await;
        let expected = sent.clone();
        let backend = tokio::spawn(async move {
            backend.write_all(&expected).await.unwrap();
            backend.shutdown().await.unwrap();
            backend
        });
        let mut received = Vec::new();
        let mut piece = vec![0; 1500];
        loop {
            // The bridge and the sender block before each small read.
            for _ in 0..4 {
                tokio::task::yield_now().await;
            }
            match client.read(&mut piece).await.unwrap() {
                0 => break,
                length => received.extend_from_slice(&piece[..length]),
            }
        }
        assert!(received == sent, "{path:?}");
        client.shutdown().await.unwrap();
        assert_eq!(bridge.await.unwrap().why, BridgeEnd::BackendClosed, "{path:?}");
        drop(backend.await.unwrap());
    }
}

#[tokio::test]
async fn a_half_close_is_passed_on() {
    for path in PATHS {
        let (mut client, mut backend, bridge) = begin(path, Opening::default()).await;
        client.write_all(b"a LOGOUT\r\n").await.unwrap();
        client.shutdown().await.unwrap();
        let mut heard = String::new();
        backend.read_to_string(&mut heard).await.unwrap();
        assert_eq!(heard, "a LOGOUT\r\n");
        backend.write_all(b"* BYE\r\na OK\r\n").await.unwrap();
        drop(backend);
        heard.clear();
        client.read_to_string(&mut heard).await.unwrap();
        assert_eq!(heard, "* BYE\r\na OK\r\n");
        assert_eq!(
            bridge.await.unwrap(),
            BridgeOutcome { to_backend: 10, to_client: 13, why: BridgeEnd::ClientClosed },
            "{path:?}"
        );
    }
}

/// Drops `stream` so that its peer is reset.
fn reset(stream: TcpStream) {
    socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
    drop(stream);
}

#[tokio::test]
async fn a_reset_differs_from_a_close() {
    for path in PATHS {
        let (client, _backend, bridge) = begin(path, Opening::default()).await;
        reset(client);
        assert_eq!(bridge.await.unwrap().why, BridgeEnd::ClientReset, "{path:?}");
        let (_client, backend, bridge) = begin(path, Opening::default()).await;
        reset(backend);
        assert_eq!(bridge.await.unwrap().why, BridgeEnd::BackendReset, "{path:?}");
    }
}

#[tokio::test]
async fn a_reset_amid_bulk_is_seen() {
    for path in PATHS {
        let (mut client, mut backend, bridge) = begin(path, Opening::default()).await;
        let sender = tokio::spawn(async move {
            let flood = vec![b'x'; 64 * 1024];
            while backend.write_all(&flood).await.is_ok() {}
        });
        let mut taken = vec![0; 5_000_000];
        client.read_exact(&mut taken).await.unwrap();
        reset(client);
        let outcome = bridge.await.unwrap();
        assert_eq!(outcome.why, BridgeEnd::ClientReset, "{path:?}");
        assert!(outcome.to_client >= 5_000_000);
        sender.await.unwrap();
    }
}

#[tokio::test]
async fn many_sessions_share_one_worker() {
    let mut sessions = Vec::new();
    for session in 0..50 {
        let (client, backend, bridge) = begin(FastPath::Spliced, Opening::default()).await;
        let up = pattern(300_000, session);
        let down = pattern(400_000, !session);
        let client = tokio::spawn(exchange(client, up.clone()));
        let backend = tokio::spawn(exchange(backend, down.clone()));
        sessions.push((client, backend, bridge, up, down));
    }
    for (client, backend, bridge, up, down) in sessions {
        assert!(client.await.unwrap() == down && backend.await.unwrap() == up);
        assert_eq!(bridge.await.unwrap().to_client, down.len() as u64);
    }
}
