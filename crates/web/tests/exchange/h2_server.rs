//! The two ends in HTTP/2, over TLS or in the clear.

use std::future::poll_fn;
use std::net::SocketAddr;

use bytes::{Bytes, BytesMut};
use h2::client::SendRequest;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::Request;
use plan::{Destination, Verify};
use tls::{Acceptor, Certificates, Connector, PlatformRoots, Stream, Tickets};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::support::{Backend, Proxy, SOON};

/// A request that a backend has got, and the way to answer it.
pub(crate) struct ClientEvent {
    pub(crate) request: Request<RecvStream>,
    pub(crate) respond: SendResponse<Bytes>,
}

/// Both ways of a tunnel, or of a body.
pub(crate) struct Ways {
    pub(crate) from: RecvStream,
    pub(crate) to: SendStream<Bytes>,
}

/// Serves HTTP/2 on one connection; what is asked on it comes out here. `takes_websocket`: says so in its SETTINGS.
pub(crate) fn speak(stream: Stream, takes_websocket: bool) -> mpsc::Receiver<ClientEvent> {
    let (sender, asked) = mpsc::channel(8);
    tokio::spawn(async move {
        let mut builder = h2::server::Builder::new();
        if takes_websocket {
            builder.enable_connect_protocol();
        }
        let mut connection = builder.handshake::<_, Bytes>(stream).await.expect("a preface");
        while let Some(Ok((request, respond))) = connection.accept().await {
            if sender.send(ClientEvent { request, respond }).await.is_err() {
                return;
            }
        }
    });
    asked
}

/// What is asked next.
pub(crate) async fn next(asked: &mut mpsc::Receiver<ClientEvent>) -> ClientEvent {
    timeout(SOON, asked.recv()).await.expect("nothing was asked").expect("the connection ended")
}

/// The server's side of TLS, with these versions on offer.
pub(crate) fn acceptor(proxy: &Proxy, alpn: &[&[u8]]) -> Acceptor {
    let certificates = Certificates::self_signed(&["localhost".to_owned()]).expect("a certificate");
    let tickets = Tickets::new().expect("tickets");
    Acceptor::new(&proxy.app.plan().plan.tls, &certificates, &tickets, alpn).expect("an acceptor")
}

impl Backend {
    /// The next connection of the proxy's, as a stream without TLS yet.
    pub(crate) async fn accept_stream(&self) -> Stream {
        let (tcp, _) = timeout(SOON, self.0.accept()).await.expect("nobody came").expect("a connection");
        Stream::plain(tcp, Vec::new())
    }
}

/// An HTTP/2 client of the proxy's.
pub(crate) async fn client(door: SocketAddr) -> SendRequest<Bytes> {
    client_with(door, &h2::client::Builder::new()).await
}

/// A connection to the proxy over TLS, on which HTTP/2 was negotiated and nothing was sent.
pub(crate) async fn connect(door: SocketAddr) -> Stream {
    let tcp = TcpStream::connect(door).await.expect("a connection");
    let proxy = Destination::outside("proxy", "localhost", Verify::Nothing);
    let connector = Connector::new(&proxy, &PlatformRoots::default(), &[b"h2"]).expect("a connector");
    Stream::plain(tcp, Vec::new()).connect(&connector, "localhost").await.expect("TLS")
}

/// An HTTP/2 client of the proxy's, with settings of its own.
pub(crate) async fn client_with(door: SocketAddr, builder: &h2::client::Builder) -> SendRequest<Bytes> {
    let stream = connect(door).await;
    let (requests, mut connection) = builder.handshake(stream).await.expect("HTTP/2");
    let mut pinger = connection.ping_pong().expect("pings");
    tokio::spawn(connection);
    // Behind the answer to it the proxy's settings are known.
    pinger.ping(h2::Ping::opaque()).await.expect("an answer");
    requests.ready().await.expect("a connection")
}

/// Sends it all, as fast as the windows open.
pub(crate) async fn say(to: &mut SendStream<Bytes>, words: impl Into<Bytes>) {
    let mut words = words.into();
    while !words.is_empty() {
        to.reserve_capacity(words.len());
        let room = poll_fn(|context| to.poll_capacity(context)).await.expect("open").expect("room");
        to.send_data(words.split_to(room.min(words.len())), false).expect("send");
    }
}

/// So many bytes.
pub(crate) async fn hear(from: &mut RecvStream, count: usize) -> BytesMut {
    let mut heard = BytesMut::new();
    while heard.len() < count {
        let piece = timeout(SOON, from.data()).await.expect("nothing came");
        let piece =
            piece.unwrap_or_else(|| panic!("the end, behind {} bytes", heard.len())).expect("a piece");
        from.flow_control().release_capacity(piece.len()).expect("capacity");
        heard.extend_from_slice(&piece);
    }
    assert_eq!(heard.len(), count);
    heard
}

/// What a stream ends with: nothing, or the reason of a reset.
pub(crate) async fn end(from: &mut RecvStream) -> Option<Reason> {
    loop {
        match timeout(SOON, from.data()).await.expect("no end came") {
            // The frame that carries the end.
            Some(Ok(piece)) if piece.is_empty() => {}
            Some(Ok(piece)) => panic!("{piece:?} came"),
            Some(Err(error)) => return Some(error.reason().expect("a reset")),
            None => return None,
        }
    }
}
