//! The stream itself: prefixes, ends, and what it returns.

use std::io::ErrorKind;

use plan::Verify;
use tls::{Stream, TlsError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::*;

#[tokio::test]
async fn a_prefix_is_part_of_the_handshake() {
    let (acceptor, root) = backend();
    let connector = connector(Verify::Roots(vec![root]));
    for prefix in [1, 5, 17, 200] {
        let (client, mut server) = sockets().await;
        let accept = async {
            let mut read = vec![0; prefix];
            server.read_exact(&mut read).await.unwrap();
            Stream::plain(server, read).accept(&acceptor).await
        };
        let (client, server) =
            tokio::join!(Stream::plain(client, Vec::new()).connect(&connector, "mail.test"), accept);
        pass(&mut client.unwrap(), &mut server.unwrap(), b"behind the handshake").await;
    }
}

#[tokio::test]
async fn in_the_clear_a_prefix_comes_first_and_keeps_the_socket() {
    let (mut client, server) = sockets().await;
    client.write_all(b" world").await.unwrap();
    let stream = Stream::plain(server, b"hello".to_vec());
    assert!(!stream.is_encrypted());
    assert_eq!(stream.tls_info(), None);
    assert_eq!(stream.tcp().peer_addr().unwrap(), client.local_addr().unwrap());

    let mut stream = stream.into_plain_tcp().unwrap_err();
    let mut received = [0; 11];
    stream.read_exact(&mut received).await.unwrap();
    assert_eq!(&received, b"hello world");
    let tcp = stream.into_plain_tcp().unwrap();
    assert_eq!(tcp.peer_addr().unwrap(), client.local_addr().unwrap());
}

#[tokio::test]
async fn an_encrypted_stream_is_never_returned_as_plain_nor_encrypted_twice() {
    let (acceptor, root) = backend();
    let connector = connector(Verify::Roots(vec![root]));
    let (client, server) = connected(&connector, "mail.test", &acceptor).await;
    assert!(client.is_encrypted() && server.is_encrypted());
    let client = client.into_plain_tcp().unwrap_err();
    let server = server.into_plain_tcp().unwrap_err();
    let error = client.connect(&connector, "mail.test").await.unwrap_err();
    assert!(matches!(error, TlsError::AlreadyEncrypted), "{error}");
    let error = server.accept(&acceptor).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.to_string().as_str()),
        (ErrorKind::InvalidInput, "the connection is already encrypted")
    );
}

#[tokio::test]
async fn a_close_notify_differs_from_a_truncation() {
    let (acceptor, root) = backend();
    let connector = connector(Verify::Roots(vec![root]));
    let (mut client, mut server) = connected(&connector, "mail.test", &acceptor).await;
    client.shutdown().await.unwrap();
    assert_eq!(server.read(&mut [0; 8]).await.unwrap(), 0);
    // A half-close: our direction still works.
    pass(&mut server, &mut client, b"goodbye").await;

    let (client, mut server) = connected(&connector, "mail.test", &acceptor).await;
    drop(client);
    assert_eq!(server.read(&mut [0; 8]).await.unwrap_err().kind(), ErrorKind::UnexpectedEof);
}

#[tokio::test]
async fn a_reset_is_sent_as_such() {
    let (acceptor, root) = backend();
    let (client, mut server) = connected(&connector(Verify::Roots(vec![root])), "mail.test", &acceptor).await;
    client.set_linger_reset().unwrap();
    drop(client);
    assert_eq!(server.read(&mut [0; 8]).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn large_transfers_pass_in_both_directions() {
    let (acceptor, root) = backend();
    let (client, server) = connected(&connector(Verify::Roots(vec![root])), "mail.test", &acceptor).await;
    // More than the buffers of both sides: 16 KiB of plaintext each, and the kernel's.
    let data: Vec<u8> = (0..8_u32 << 20).map(|n| n.to_le_bytes()[1]).collect();
    let (mut from_client, mut to_client) = tokio::io::split(client);
    let (mut from_server, mut to_server) = tokio::io::split(server);
    let mut up = Vec::new();
    let mut down = Vec::new();
    let up_sent = async {
        to_client.write_all(&data).await.unwrap();
        to_client.shutdown().await.unwrap();
    };
    let down_sent = async {
        to_server.write_all(&data).await.unwrap();
        to_server.shutdown().await.unwrap();
    };
    let (.., read_up, read_down) = tokio::join!(
        up_sent,
        down_sent,
        from_server.read_to_end(&mut up),
        from_client.read_to_end(&mut down)
    );
    assert_eq!((read_up.unwrap(), read_down.unwrap()), (data.len(), data.len()));
    assert!(up == data && down == data);
}

#[tokio::test]
async fn an_idle_session_is_small_and_needs_no_default_provider() {
    let (acceptor, root) = backend();
    let connector = connector(Verify::Roots(vec![root]));
    assert!(size_of::<Stream>() <= 64, "{}", size_of::<Stream>());
    let (client, server) = sockets().await;
    let connect = Stream::plain(client, Vec::new()).connect(&connector, "mail.test");
    let accept = Stream::plain(server, Vec::new()).accept(&acceptor);
    for size in [size_of_val(&connect), size_of_val(&accept)] {
        assert!(size <= 512, "a task would hold {size} bytes for a handshake that is long over");
    }
    let (client, server) = tokio::join!(connect, accept);
    client.unwrap();
    server.unwrap();
    assert!(rustls::crypto::CryptoProvider::get_default().is_none());
}
