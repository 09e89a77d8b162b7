//! Interim responses, in all four combinations of versions: the client waits for the backend's 100, and gets its 103.

use std::future::poll_fn;

use bytes::Bytes;
use h2::client::ResponseFuture;
use http::{Request, Response, StatusCode};
use tokio::time::timeout;

use crate::h2_server::{self, ClientEvent};
use crate::support::{Backend, Proxy, SOON, Wire};

const H1: &str = "tls = \"plain\"";
const H2: &str = "tls = \"plain\"\nversion = \"2\"";
const PUT: &str =
    "PUT /x HTTP/1.1\r\nHost: mail.example.org\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n";
const HINTS: &str = "HTTP/1.1 103 Early Hints\r\nLink: </s.css>\r\n\r\n";

async fn interim(response: &mut ResponseFuture) -> Response<()> {
    let found = timeout(SOON, poll_fn(|context| response.poll_informational(context))).await;
    found.expect("no interim response came").expect("the final response came").expect("a response")
}

/// An HTTP/2 client that waits for the 100, gets it and then the 103.
async fn h2_client(proxy: &Proxy, backend: impl Future<Output = ()> + Send + 'static) {
    let mut requests = h2_server::client(proxy.door).await;
    let request = Request::builder()
        .method("PUT")
        .uri("https://mail.example.org/x")
        .header("expect", "100-continue")
        .header("content-length", "5")
        .body(())
        .expect("a request");
    let (mut response, mut body) = requests.send_request(request, false).expect("send");
    let backend = tokio::spawn(backend);
    assert_eq!(interim(&mut response).await.status(), StatusCode::CONTINUE);
    body.send_data(Bytes::from_static(b"hello"), true).expect("send");
    let hints = interim(&mut response).await;
    assert_eq!(hints.status(), StatusCode::EARLY_HINTS);
    assert_eq!(hints.headers()["link"], "</s.css>");
    assert_eq!(timeout(SOON, response).await.expect("no response").expect("a response").status(), 201);
    backend.await.expect("the backend");
}

async fn h1_client(proxy: &Proxy, backend: impl Future<Output = ()> + Send + 'static) {
    let mut client = proxy.client().await;
    client.say(PUT).await;
    let backend = tokio::spawn(backend);
    assert!(client.until("\r\n\r\n").await.starts_with("HTTP/1.1 100 Continue\r\n"));
    client.say("hello").await;
    let hints = client.until("\r\n\r\n").await;
    assert!(hints.starts_with("HTTP/1.1 103 ") && hints.contains("ink: </s.css>\r\n"), "{hints}");
    assert!(client.until("\r\n\r\n").await.starts_with("HTTP/1.1 201 "));
    backend.await.expect("the backend");
}

async fn h1_backend(backend: Backend) {
    let mut heard: Wire = backend.accept().await;
    assert!(heard.until("\r\n\r\n").await.to_ascii_lowercase().contains("\r\nexpect: 100-continue\r\n"));
    heard.say("HTTP/1.1 100 Continue\r\n\r\n").await;
    heard.until("hello").await;
    heard.say(HINTS).await;
    heard.say("HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n").await;
}

async fn h2_backend(backend: Backend) {
    let stream = backend.accept_stream().await;
    let mut asked = h2_server::speak(stream, false);
    let ClientEvent { request, mut respond } = h2_server::next(&mut asked).await;
    assert_eq!(request.headers()["expect"], "100-continue");
    let reply = |status: u16| Response::builder().status(status);
    respond.send_informational(reply(100).body(()).expect("a head")).expect("send");
    let mut body = request.into_body();
    assert_eq!(&*h2_server::hear(&mut body, 5).await, b"hello");
    let hints = reply(103).header("link", "</s.css>").body(()).expect("a head");
    respond.send_informational(hints).expect("send");
    respond.send_response(reply(201).body(()).expect("a head"), true).expect("send");
    // The connection stays open until the proxy has relayed the response.
    asked.recv().await;
}

#[tokio::test]
async fn from_http1_to_http1() {
    let backend = Backend::open().await;
    let proxy = Proxy::start(backend.address(), H1, "plain").await;
    h1_client(&proxy, h1_backend(backend)).await;
}

#[tokio::test]
async fn from_http1_to_http2() {
    let backend = Backend::open().await;
    let proxy = Proxy::start(backend.address(), H1, "implicit").await;
    h2_client(&proxy, h1_backend(backend)).await;
}

#[tokio::test]
async fn from_http2_to_http1() {
    let backend = Backend::open().await;
    let proxy = Proxy::start(backend.address(), H2, "plain").await;
    let serving = async move { timeout(SOON, h2_backend(backend)).await.unwrap_or_default() };
    let serving = tokio::spawn(serving);
    h1_client(&proxy, async {}).await;
    serving.abort();
}

#[tokio::test]
async fn from_http2_to_http2() {
    let backend = Backend::open().await;
    let proxy = Proxy::start(backend.address(), H2, "implicit").await;
    let serving = tokio::spawn(h2_backend(backend));
    h2_client(&proxy, async {}).await;
    serving.abort();
}

/// Endless ones are an invalid response, in HTTP/2 as in HTTP/1.
#[tokio::test]
async fn interim_responses_are_bounded() {
    let backend = Backend::open().await;
    let proxy = Proxy::start(backend.address(), H2, "plain").await;
    let mut client = proxy.client().await;
    client.say("GET /x HTTP/1.1\r\nHost: mail.example.org\r\n\r\n").await;
    let mut asked = h2_server::speak(backend.accept_stream().await, false);
    let ClientEvent { mut respond, .. } = h2_server::next(&mut asked).await;
    for _ in 0..20 {
        respond.send_informational(Response::builder().status(103).body(()).expect("a head")).expect("send");
    }
    for _ in 0..18 {
        let head = client.until("\r\n\r\n").await;
        if head.starts_with("HTTP/1.1 502 ") {
            return;
        }
        assert!(head.starts_with("HTTP/1.1 103 "), "{head}");
    }
    panic!("no 502 came");
}
