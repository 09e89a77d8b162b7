use std::sync::Arc;

use plan::{Destination, Tls, Verify};
use rustls::client::UnbufferedClientConnection;
use rustls::crypto::aws_lc_rs::ALL_CIPHER_SUITES;
use rustls::server::UnbufferedServerConnection;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::{Acceptor, Certificates, Connector, PlatformRoots, Tickets};

impl<E: Engine> Encrypted<E> {
    /// Returns the memory that the stream's own buffers hold, in bytes.
    fn kept(&self) -> usize {
        let plaintext = self.plaintext.as_ref().map_or(0, |plaintext| plaintext.capacity());
        self.incoming.capacity() + plaintext + self.unsent.capacity()
    }
}

/// Returns both sides of a connection after the handshake.
async fn connected() -> (Encrypted<UnbufferedClientConnection>, Encrypted<UnbufferedServerConnection>) {
    let tls = Tls {
        certificates: Vec::new(),
        only_tls13: false,
        ignore_client_order: false,
        cipher_suites: ALL_CIPHER_SUITES.to_vec(),
    };
    let certificates = Certificates::self_signed(&[]).unwrap();
    let acceptor = Acceptor::new(&tls, &certificates, &Tickets::new().unwrap(), &[]).unwrap();
    let destination = Destination::outside("old", "mail.test", Verify::Nothing);
    let connector = Connector::new(&destination, &PlatformRoots::of(Vec::new()), &[]).unwrap();

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap());
    let (client, accepted) = tokio::join!(client, listener.accept());
    let name = connector.server_name("mail.test").unwrap();
    let client_engine = UnbufferedClientConnection::new(Arc::clone(&connector.config), name).unwrap();
    let server_engine = UnbufferedServerConnection::new(Arc::clone(&acceptor.config)).unwrap();
    let (client, server) = tokio::join!(
        Encrypted::handshake(client.unwrap(), client_engine, Vec::new()),
        Encrypted::handshake(accepted.unwrap().0, server_engine, Vec::new()),
    );
    (client.unwrap(), server.unwrap())
}

/// Sends `data`, which the other side reads in parts of `length` bytes.
async fn pass(
    from: &mut (impl AsyncWrite + Unpin),
    to: &mut (impl AsyncRead + Unpin),
    data: &[u8],
    length: usize,
) {
    let send = async {
        from.write_all(data).await.unwrap();
        from.flush().await.unwrap();
    };
    let receive = async {
        let mut received = vec![0; data.len()];
        for part in received.chunks_mut(length) {
            to.read_exact(part).await.unwrap();
        }
        received
    };
    let ((), received) = tokio::join!(send, receive);
    assert!(received == data);
}

#[tokio::test]
async fn a_stream_that_waits_holds_no_buffer() {
    let (mut client, mut server) = connected().await;
    let data = vec![7; 1 << 20];
    for length in [100_000, 32 * 1024, 1000, 1] {
        let data = &data[..data.len().min(length * 2000)];
        pass(&mut server, &mut client, data, length).await;
        pass(&mut client, &mut server, data, length).await;
        assert_eq!((client.kept(), server.kept()), (0, 0), "read in parts of {length} bytes");
    }
}

#[tokio::test]
async fn tickets_are_sent_with_the_first_response() {
    let (mut client, mut server) = connected().await;
    let tickets = server.unsent.rest().len();
    assert!((1..=MAX_UNSENT).contains(&tickets), "{tickets} bytes");
    pass(&mut server, &mut client, b"* OK ready\r\n", 12).await;
    assert_eq!(server.kept(), 0);
}

/// A peer that does not read costs no more than the records of one write, however often the writer tries.
#[tokio::test]
async fn what_a_slow_peer_does_not_read_is_bounded() {
    let (client, mut server) = connected().await;
    let data = vec![7; 1 << 20];
    let mut cx = Context::from_waker(std::task::Waker::noop());
    for _ in 0..1000 {
        let _ = Pin::new(&mut server).poll_write(&mut cx, &data);
        assert!(server.kept() <= MAX_UNSENT + MAX_PLAINTEXT + 1024, "{}", server.kept());
    }
    assert!(server.is_blocked);
    drop(client);
}

#[tokio::test]
async fn slices_become_one_record() {
    let (mut client, mut server) = connected().await;
    let slices = [io::IoSlice::new(b"HTTP/1.1 200 OK\r\n\r\n"), io::IoSlice::new(b"body")];
    let written = server.write_vectored(&slices).await.unwrap();
    assert_eq!(written, 23);
    let mut received = [0; 64];
    assert_eq!(client.read(&mut received).await.unwrap(), 23);
    assert_eq!(&received[..23], b"HTTP/1.1 200 OK\r\n\r\nbody");
}
