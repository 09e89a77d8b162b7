//! The bridge between streams inside TLS: records that arrive in any pieces, stalls, half-closes and resets.

use std::future::pending;
use std::io;
use std::time::Duration;

use bridge::{BridgeEnd, BridgeOutcome, EndRequest, Limits, Opening};
use plan::Verify;
use proptest::collection::vec;
use proptest::prelude::*;
use tls::{Acceptor, Connector, Stream};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::*;

const LIMITS: Limits = Limits::with_idle(Duration::from_secs(60));

/// Returns both ends of a connection that passes bytes on in pieces of the lengths of `script`, over and over; 0 lets
/// other tasks run first.
async fn chopped(script: &[usize]) -> (TcpStream, TcpStream) {
    let (near, near_inner) = sockets().await;
    let (far_inner, far) = sockets().await;
    for socket in [&near, &near_inner, &far_inner, &far] {
        socket.set_nodelay(true).unwrap();
        // Small, so that writes are accepted in part.
        socket2::SockRef::from(socket).set_send_buffer_size(4096).unwrap();
    }
    let (near_read, near_write) = near_inner.into_split();
    let (far_read, far_write) = far_inner.into_split();
    tokio::spawn(chop(near_read, far_write, script.to_vec()));
    tokio::spawn(chop(far_read, near_write, script.to_vec()));
    (near, far)
}

async fn chop(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    script: Vec<usize>,
) -> io::Result<()> {
    let mut buffer = vec![0; 70_000];
    for length in script.iter().copied().cycle() {
        if length == 0 {
            tokio::task::yield_now().await;
            continue;
        }
        match from.read(&mut buffer[..length]).await? {
            0 => break,
            read => to.write_all(&buffer[..read]).await?,
        }
    }
    to.shutdown().await
}

/// Returns both ends of a connection, after the handshake where it is inside TLS: client, server.
async fn leg(tls: Option<&(Acceptor, Connector)>, script: &[usize]) -> (Stream, Stream) {
    let (client, server) = chopped(script).await;
    let client = Stream::plain(client, Vec::new());
    let server = Stream::plain(server, Vec::new());
    let Some((acceptor, connector)) = tls else { return (client, server) };
    let (client, server) = tokio::join!(client.connect(connector, "mail.test"), server.accept(acceptor));
    (client.unwrap(), server.unwrap())
}

/// One peer: sends everything in writes of `length` bytes and closes, while it receives until the other has.
async fn exchange(stream: Stream, sent: &[u8], length: usize) -> Vec<u8> {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let mut received = Vec::new();
    let send = async {
        for part in sent.chunks(length) {
            writer.write_all(part).await?;
            writer.flush().await?;
        }
        writer.shutdown().await
    };
    let (written, read) = tokio::join!(send, reader.read_to_end(&mut received));
    written.unwrap();
    read.unwrap();
    received
}

/// Bridges a client and a backend that send `up` and `down`. Returns what the backend and the client have received.
async fn bridged(
    tls: [bool; 2],
    script: &[usize],
    length: usize,
    up: &[u8],
    down: &[u8],
) -> (Vec<u8>, Vec<u8>, BridgeOutcome<()>) {
    let (acceptor, root) = backend();
    let both = (acceptor, connector(Verify::Roots(vec![root])));
    let (client, mut at_client) = leg(tls[0].then_some(&both), script).await;
    let (mut at_backend, backend) = leg(tls[1].then_some(&both), script).await;
    let end = pending::<EndRequest<'_, ()>>();
    let (outcome, at_client_end, at_backend_end) = tokio::join!(
        bridge::run(&mut at_client, &mut at_backend, Opening::default(), LIMITS, (), end),
        exchange(client, up, length),
        exchange(backend, down, length),
    );
    (at_backend_end, at_client_end, outcome)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn every_byte_arrives_in_order(
        client_tls in any::<bool>(),
        mut script in vec(0_usize..3000, 0..6),
        last in 1_usize..70_000,
        length in 1_usize..70_000,
        up in vec(any::<u8>(), 0..200_000),
        down in vec(any::<u8>(), 0..200_000),
    ) {
        script.push(last);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        // One byte a record takes long and proves no more than a hundred.
        let length = length.max(up.len().max(down.len()) / 500);
        let (at_backend, at_client, outcome) =
            runtime.block_on(bridged([client_tls, true], &script, length, &up, &down));
        prop_assert!(at_backend == up && at_client == down);
        prop_assert_eq!((outcome.to_backend, outcome.to_client), (up.len() as u64, down.len() as u64));
        prop_assert!(matches!(outcome.why, BridgeEnd::ClientClosed | BridgeEnd::BackendClosed));
    }
}

#[tokio::test]
async fn a_reset_ends_the_session_after_what_was_read() {
    let (acceptor, root) = backend();
    let connector = connector(Verify::Roots(vec![root]));
    for client_resets in [true, false] {
        let (mut client, mut at_client) = connected(&connector, "mail.test", &acceptor).await;
        let (mut at_backend, mut backend) = connected(&connector, "mail.test", &acceptor).await;
        let bridge = tokio::spawn(async move {
            let end = pending::<EndRequest<'_, ()>>();
            bridge::run(&mut at_client, &mut at_backend, Opening::default(), LIMITS, (), end).await
        });
        let (resetting, other) =
            if client_resets { (&mut client, &mut backend) } else { (&mut backend, &mut client) };
        pass(resetting, other, &[7; 40_000]).await;
        pass(other, resetting, b"received").await;
        resetting.set_linger_reset().unwrap();
        drop(if client_resets { client } else { backend });
        let why = bridge.await.unwrap().why;
        let expected = if client_resets { BridgeEnd::ClientReset } else { BridgeEnd::BackendReset };
        assert_eq!(why, expected);
    }
}
