//! WebSocket where the backend's leg is HTTP/2: an extended CONNECT (RFC 8441) to a backend that has announced it,
//! HTTP/1.1 to one that has not, words where there is neither.

use bytes::Bytes;
use h2::Reason;
use h2::ext::Protocol;
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, Request, Response};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::h2_server::{self, ClientEvent, Ways};
use crate::support::{Backend, Proxy, SOON, Wire};

const CLEAR: &str = "tls = \"plain\"\nversion = \"2\"";
const TLS: &str = "tls = \"implicit\"\nversion = \"2\"";
/// The key and its acceptance are the example of RFC 6455 section 1.3.
const OPEN: &str = "GET /ws?x=1 HTTP/1.1\r\nHost: mail.example.org\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                    Sec-WebSocket-Protocol: jmap\r\n\r\n";
const ACCEPT: &str = "\r\nsec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";
/// More than the windows of a stream and of a connection have room for.
const LARGE: usize = 3 * 1024 * 1024;
const FAILURES: &str = "pointsman_destination_consecutive_failures{destination=\"old\",protocol=\"http\"}";

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: mail.example.org\r\n\r\n")
}

/// Judges an extended CONNECT, and answers it with 200.
fn take(asked: ClientEvent) -> Ways {
    let ClientEvent { request, mut respond } = asked;
    assert_eq!(request.method(), Method::CONNECT);
    assert_eq!(request.extensions().get::<Protocol>().map(Protocol::as_str), Some("websocket"));
    assert_eq!(request.uri().host(), Some("mail.example.org"));
    assert_eq!(request.uri().path_and_query().map(PathAndQuery::as_str), Some("/ws?x=1"));
    let fields = request.headers();
    assert_eq!(fields.get("sec-websocket-version").map(HeaderValue::as_bytes), Some(&b"13"[..]));
    for gone in ["sec-websocket-key", "connection", "upgrade", "host"] {
        assert!(!fields.contains_key(gone), "{gone}");
    }
    let reply = Response::builder().header("sec-websocket-protocol", "jmap").body(()).expect("a reply");
    let to = respond.send_response(reply, false).expect("send");
    Ways { from: request.into_body(), to }
}

fn answer(mut asked: ClientEvent, status: u16) {
    let reply = Response::builder().status(status).body(()).expect("a reply");
    asked.respond.send_response(reply, true).expect("send");
}

/// The answer's head, its names in small letters.
async fn head<S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin>(client: &mut Wire<S>) -> String {
    let head = client.until("\r\n\r\n").await;
    let lower = |line: &str| match line.split_once(':') {
        Some((name, value)) => format!("{}:{value}", name.to_ascii_lowercase()),
        None => line.to_owned(),
    };
    head.split("\r\n").map(lower).collect::<Vec<_>>().join("\r\n")
}

#[tokio::test]
async fn an_upgrade_becomes_a_connect() {
    let backend = Backend::open().await;
    let proxy = Proxy::start(backend.address(), CLEAR, "plain").await;
    let mut client = proxy.client().await;
    // On a new connection, whose SETTINGS nobody has seen yet; and a client that does not wait for its answer.
    client.say(OPEN).await;
    client.say("early").await;
    let mut asked = h2_server::speak(backend.accept_stream().await, true);
    let Ways { mut from, mut to } = take(h2_server::next(&mut asked).await);
    let head = head(&mut client).await;
    assert!(head.starts_with("HTTP/1.1 101 ") && head.contains(ACCEPT), "{head}");
    assert!(
        head.contains("\r\nupgrade: websocket\r\n") && head.contains("\r\nsec-websocket-protocol: jmap\r\n")
    );
    assert_eq!(h2_server::hear(&mut from, 5).await, "early");
    h2_server::say(&mut to, "and back").await;
    assert_eq!(client.until("back").await, "and back");
    // Both ways at once, past every window.
    let (large, mut back) = (Bytes::from(vec![b'x'; LARGE]), vec![0; LARGE]);
    let (mut reader, mut writer) = client.stream.into_split();
    let (written, heard, (), read) = tokio::join!(
        writer.write_all(&large),
        h2_server::hear(&mut from, LARGE),
        h2_server::say(&mut to, large.clone()),
        reader.read_exact(&mut back),
    );
    written.expect("write");
    read.expect("read");
    assert!(heard == large && large == back);
    writer.shutdown().await.expect("shutdown");
    assert_eq!(h2_server::end(&mut from).await, None);
}

#[tokio::test]
async fn the_backend_may_end_it_and_it_shares_a_connection() {
    let backend = Backend::open().await;
    let proxy = Proxy::start(backend.address(), CLEAR, "plain").await;
    let mut client = proxy.client().await;
    client.say(get("/first")).await;
    let mut asked = h2_server::speak(backend.accept_stream().await, true);
    answer(h2_server::next(&mut asked).await, 204);
    client.until("\r\n\r\n").await;
    client.say(OPEN).await;
    let Ways { from: _from, mut to } = take(h2_server::next(&mut asked).await);
    assert!(head(&mut client).await.starts_with("HTTP/1.1 101 "));
    h2_server::say(&mut to, "goodbye").await;
    to.send_data(Bytes::new(), true).expect("send");
    assert_eq!(client.until("goodbye").await, "goodbye");
    client.closed().await;
}

#[tokio::test]
async fn a_backend_may_decline() {
    let backend = Backend::open().await;
    let proxy = Proxy::start(backend.address(), CLEAR, "plain").await;
    let mut client = proxy.client().await;
    client.say(OPEN).await;
    let mut asked = h2_server::speak(backend.accept_stream().await, true);
    answer(h2_server::next(&mut asked).await, 403);
    let head = head(&mut client).await;
    assert!(head.starts_with("HTTP/1.1 403 ") && !head.contains("sec-websocket-accept"), "{head}");
}

#[tokio::test]
async fn where_there_is_no_way_the_client_hears_so_and_the_backend_is_not_blamed() {
    let backend = Backend::open().await;
    let proxy = Proxy::start(backend.address(), CLEAR, "plain").await;
    for _ in 0..5 {
        let mut client = proxy.client().await;
        client.say(OPEN).await;
        let _asked = h2_server::speak(backend.accept_stream().await, false);
        assert!(head(&mut client).await.starts_with("HTTP/1.1 502 "));
        client.until("does not accept WebSocket connections").await;
    }
    assert_eq!(proxy.value(FAILURES), Some(0.0));
    let mut client = proxy.client().await;
    client.say(get("/x")).await;
    answer(h2_server::next(&mut h2_server::speak(backend.accept_stream().await, false)).await, 204);
    assert!(head(&mut client).await.starts_with("HTTP/1.1 204 "));
}

#[tokio::test]
async fn a_backend_that_has_not_announced_it_is_asked_in_http1() {
    let backend = Backend::open().await;
    let proxy = Proxy::start(backend.address(), TLS, "plain").await;
    let acceptor = h2_server::acceptor(&proxy, &[b"h2", b"http/1.1"]);
    let mut client = proxy.client().await;
    client.say(OPEN).await;
    let first = backend.accept_stream().await.accept(&acceptor).await.expect("TLS");
    assert_eq!(first.tls_info().and_then(|it| it.alpn).as_deref(), Some(&b"h2"[..]));
    let _asked = h2_server::speak(first, false);
    let mut heard = Wire::of(backend.accept_stream().await.accept(&acceptor).await.expect("TLS"));
    assert_eq!(heard.stream.tls_info().and_then(|it| it.alpn).as_deref(), Some(&b"http/1.1"[..]));
    let request = head(&mut heard).await;
    assert!(
        request.starts_with("GET /ws?x=1 HTTP/1.1\r\n") && request.contains("\r\nupgrade: websocket\r\n"),
        "{request}"
    );
    heard.say(format!("HTTP/1.1 101 Up\r\nConnection: upgrade\r\nUpgrade: websocket{ACCEPT}\r\nhello")).await;
    assert!(head(&mut client).await.contains(ACCEPT));
    assert_eq!(client.until("hello").await, "hello");
    client.say("and back").await;
    assert_eq!(heard.until("back").await, "and back");
}

#[tokio::test]
async fn a_backend_that_has_no_http1_is_not_blamed_either() {
    let backend = Backend::open().await;
    let proxy = Proxy::start(backend.address(), TLS, "plain").await;
    let acceptor = h2_server::acceptor(&proxy, &[b"h2"]);
    let mut client = proxy.client().await;
    client.say(OPEN).await;
    let _asked = h2_server::speak(backend.accept_stream().await.accept(&acceptor).await.expect("TLS"), false);
    assert!(backend.accept_stream().await.accept(&acceptor).await.is_err(), "a version was agreed on");
    assert!(head(&mut client).await.starts_with("HTTP/1.1 502 "));
    client.until("does not accept WebSocket connections").await;
    assert_eq!(proxy.value(FAILURES), Some(0.0));
}

#[tokio::test]
async fn a_connect_stays_one() {
    let backend = Backend::open().await;
    let proxy = Proxy::start(backend.address(), CLEAR, "implicit").await;
    let mut requests = h2_server::client(proxy.door).await;
    assert!(requests.is_extended_connect_protocol_enabled());
    let request = Request::builder()
        .method(Method::CONNECT)
        .uri("https://mail.example.org/ws?x=1")
        .extension(Protocol::from("websocket"))
        .header("sec-websocket-version", "13")
        .body(())
        .expect("a request");
    let (response, mut to) = requests.send_request(request, false).expect("send");
    let mut asked = h2_server::speak(backend.accept_stream().await, true);
    let mut far = take(h2_server::next(&mut asked).await);
    let response = timeout(SOON, response).await.expect("no answer").expect("an answer");
    assert_eq!(response.status(), 200);
    assert_eq!(
        response.headers().get("sec-websocket-protocol").map(HeaderValue::as_bytes),
        Some(&b"jmap"[..])
    );
    assert!(!response.headers().contains_key("sec-websocket-accept"));
    let mut from = response.into_body();
    let large = Bytes::from(vec![b'x'; LARGE]);
    let ((), (), up, down) = tokio::join!(
        h2_server::say(&mut to, large.clone()),
        h2_server::say(&mut far.to, large.clone()),
        h2_server::hear(&mut far.from, LARGE),
        h2_server::hear(&mut from, LARGE),
    );
    assert!(up == large && down == large);
    // A client that gives up is no client that has ended.
    to.send_reset(Reason::CANCEL);
    assert_eq!(h2_server::end(&mut far.from).await, Some(Reason::CANCEL));
}
