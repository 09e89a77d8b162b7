//! What a client that has not logged in may hold: memory, time, and connections to backends.

use std::time::Duration;

use bytes::Bytes;
use h2::Reason;
use http::{Request, StatusCode};
use tls::Stream;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::h2_server;
use crate::support::{Backend, Proxy, SOON, Setup};

/// A route whose account is in the body, before the one for everything.
const BODY_ROUTE: &str =
    "[[http.route]]\nmatch = \"/login\"\nextract = { from = \"body\", regex = \"user=([^&]+)\" }\n";

const HTTP: Setup<'static> = Setup { leg: "tls = \"plain\"", tls: "plain", listener: "", routes: BODY_ROUTE };
const HTTPS: Setup<'static> = Setup { tls: "implicit", ..HTTP };

fn post() -> Request<()> {
    Request::post("https://mail.example.org/login").body(()).expect("a request")
}

#[tokio::test]
async fn waiting_heads_of_a_connection_hold_no_more_than_one_request_may() {
    let backend = Backend::open().await;
    let proxy = Proxy::with(backend.address(), &HTTPS).await;
    let mut requests = h2_server::client(proxy.door).await;
    // 58 KiB decoded each; the limit is 148 KiB. More are refused than a client may cancel: the connection stays open.
    let value = "x".repeat(3900);
    let mut waiting = Vec::new();
    for _ in 0..150 {
        let mut request = post();
        for _ in 0..15 {
            request.headers_mut().append("x-filler", value.parse().expect("a value"));
        }
        requests = requests.ready().await.expect("a connection");
        waiting.push(requests.send_request(request, false).expect("send"));
    }
    let mut refused = 0;
    let mut held = Vec::new();
    for (mut response, body) in waiting {
        match timeout(Duration::from_secs(2), &mut response).await {
            Ok(Err(error)) => {
                assert_eq!(error.reason(), Some(Reason::REFUSED_STREAM));
                refused += 1;
            }
            Ok(Ok(response)) => panic!("{response:?}"),
            Err(_) => held.push((response, body)),
        }
    }
    assert_eq!((refused, held.len()), (148, 2));
    // The memory is free again with the requests that held it.
    drop(held);
    let again = async {
        loop {
            requests = requests.clone().ready().await.expect("a connection");
            let (response, mut body) = requests.send_request(post(), false).expect("send");
            body.send_data(Bytes::from_static(b"user="), true).expect("send");
            if let Ok(response) = response.await {
                return response.status();
            }
        }
    };
    let answering = async {
        let mut wire = backend.accept().await;
        wire.until("\r\n\r\n").await;
        wire.say("HTTP/1.1 204 No Content\r\n\r\n").await;
        wire
    };
    let (status, _wire) = timeout(SOON, async { tokio::join!(again, answering) }).await.expect("an answer");
    assert_eq!(status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn a_body_that_stalls_on_an_extract_route_is_answered_in_time() {
    let backend = Backend::open().await;
    let setup = Setup { listener: "preauth_timeout = \"1s\"\n", ..HTTP };
    let proxy = Proxy::with(backend.address(), &setup).await;
    let mut client = proxy.client().await;
    client.say("POST /login HTTP/1.1\r\nHost: mail.example.org\r\nContent-Length: 100\r\n\r\nuser=").await;
    assert!(client.until("\r\n").await.starts_with("HTTP/1.1 408 "));

    let proxy = Proxy::with(backend.address(), &Setup { tls: "implicit", ..setup }).await;
    let mut requests = h2_server::client(proxy.door).await;
    let (response, mut body) = requests.send_request(post(), false).expect("send");
    body.send_data(Bytes::from_static(b"user="), false).expect("send");
    let response = timeout(SOON, response).await.expect("no answer").expect("an answer");
    assert_eq!(response.status(), StatusCode::REQUEST_TIMEOUT);
}

#[tokio::test]
async fn a_client_that_opens_no_window_for_our_401_is_reset() {
    let backend = Backend::open().await;
    let setup = Setup { listener: "preauth_timeout = \"1s\"\n", ..HTTPS };
    let proxy = Proxy::with(backend.address(), &setup).await;
    let mut builder = h2::client::Builder::new();
    builder.initial_window_size(0);
    let mut requests = h2_server::client_with(proxy.door, &builder).await;
    let request = Request::get("https://mail.example.org/").header("authorization", "Basic !");
    let (response, _) = requests.send_request(request.body(()).expect("a request"), true).expect("send");
    let response = timeout(SOON, response).await.expect("no answer").expect("an answer");
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert!(h2_server::end(&mut response.into_body()).await.is_some());
}

#[tokio::test]
async fn requests_in_progress_are_limited_like_connections() {
    let backend = Backend::open().await;
    let setup = Setup { listener: "max_connections_per_ip = 4\n", ..HTTPS };
    let proxy = Proxy::with(backend.address(), &setup).await;
    // Over two connections: the limit is the client network's.
    let mut first = h2_server::client(proxy.door).await;
    let mut second = h2_server::client(proxy.door).await;
    let mut responses = Vec::new();
    let mut wires = Vec::new();
    for n in 0..10 {
        let requests = if n % 2 == 0 { &mut first } else { &mut second };
        let request = Request::get("https://mail.example.org/x").body(()).expect("a request");
        let (response, _) = requests.send_request(request, true).expect("send");
        if n < 4 {
            wires.push(backend.accept().await);
            responses.push(response);
        } else {
            let response = timeout(SOON, response).await.expect("no answer").expect("an answer");
            assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE, "request {n}");
        }
    }
    for (mut wire, response) in wires.into_iter().zip(responses) {
        wire.until("\r\n\r\n").await;
        wire.say("HTTP/1.1 204 No Content\r\n\r\n").await;
        let response = timeout(SOON, response).await.expect("no answer").expect("an answer");
        assert_eq!(response.status(), StatusCode::NO_CONTENT);
    }
}

/// An HTTP/2 client that sends its frames by hand and acknowledges nothing.
async fn by_hand(proxy: &Proxy) -> Stream {
    const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
    let mut stream = h2_server::connect(proxy.door).await;
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.expect("write");
    stream.write_all(SETTINGS).await.expect("write");
    stream
}

/// HEADERS with END_STREAM and END_HEADERS: GET, https, /, and the authority a.
fn get(stream: u8, high: u8) -> [u8; 15] {
    [0, 0, 6, 1, 5, 0, 0, high, stream, 0x82, 0x87, 0x84, 0x41, 0x01, b'a']
}

/// The next frame: its type, its stream's last byte, and its payload.
async fn frame(stream: &mut Stream) -> Option<(u8, u8, Vec<u8>)> {
    let mut head = [0; 9];
    timeout(SOON, stream.read_exact(&mut head)).await.expect("no frame came").ok()?;
    let mut payload = vec![0; usize::from(head[1]) << 8 | usize::from(head[2])];
    stream.read_exact(&mut payload).await.ok()?;
    Some((head[3], head[8], payload))
}

const RST_STREAM: u8 = 3;
const GOAWAY: u8 = 7;

#[tokio::test]
async fn max_keepalive_requests_holds_for_a_client_that_acknowledges_no_ping() {
    let backend = Backend::open().await;
    let setup = Setup { routes: "[http]\nmax_keepalive_requests = 2\n", ..HTTPS };
    let proxy = Proxy::with(backend.address(), &setup).await;
    let mut stream = by_hand(&proxy).await;
    for id in [1, 3, 5, 7] {
        stream.write_all(&get(id, 0)).await.expect("write");
    }
    // RST_STREAM with REFUSED_STREAM for the third request and the fourth.
    let mut refused = Vec::new();
    while refused.len() < 2 {
        let (kind, id, payload) = frame(&mut stream).await.expect("a frame");
        if kind == RST_STREAM {
            assert_eq!(payload, [0, 0, 0, 7]);
            refused.push(id);
        }
    }
    assert_eq!(refused, [5, 7]);
}

/// The proxy refused them, so they are not counted as cancelled by the client; but there is an end to them.
#[tokio::test]
async fn a_client_may_send_as_many_requests_after_the_last_one_as_it_may_have_under_way() {
    let backend = Backend::open().await;
    let setup = Setup { routes: "[http]\nmax_keepalive_requests = 1\n", ..HTTPS };
    let proxy = Proxy::with(backend.address(), &setup).await;
    let mut stream = by_hand(&proxy).await;
    stream.write_all(&get(1, 0)).await.expect("write");
    let mut wire = backend.accept().await;
    wire.until("\r\n\r\n").await;
    let mut refused = 0;
    for id in 1..=128_u16 {
        let [high, low] = (2 * id + 1).to_be_bytes();
        stream.write_all(&get(low, high)).await.expect("write");
        while refused < id {
            let (kind, _, payload) = frame(&mut stream).await.expect("a frame");
            if kind == RST_STREAM {
                assert_eq!(payload, [0, 0, 0, 7]);
                refused += 1;
            }
        }
    }
    // The connection is open, and its one request is answered.
    wire.say("HTTP/1.1 204 No Content\r\n\r\n").await;
    while frame(&mut stream).await.expect("a frame").1 != 1 {}
    stream.write_all(&get(3, 1)).await.expect("write");
    loop {
        let (kind, _, payload) = frame(&mut stream).await.expect("GOAWAY");
        if kind == GOAWAY && payload[7] == 11 {
            break;
        }
    }
}
