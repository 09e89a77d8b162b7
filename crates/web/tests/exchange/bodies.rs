//! What an HTTP/2 client gets of an HTTP/1 backend's body, by what its head has announced.

use bytes::Bytes;
use h2::RecvStream;
use http::Request;
use tokio::time::timeout;

use crate::h2_server;
use crate::support::{Backend, Proxy, SOON, Wire};

/// What the client gets of an answer, and the backend's end of the connection.
async fn got(answer: &str) -> (RecvStream, Wire) {
    let backend = Backend::open().await;
    let proxy = Proxy::start(backend.address(), "tls = \"plain\"", "implicit").await;
    let mut requests = h2_server::client(proxy.door).await;
    let request = Request::builder().uri("https://mail.example.org/x").body(()).expect("a request");
    let (response, _) = requests.send_request(request, true).expect("send");
    let mut heard = backend.accept().await;
    heard.until("\r\n\r\n").await;
    heard.say(answer).await;
    (timeout(SOON, response).await.expect("no answer").expect("an answer").into_body(), heard)
}

async fn whole((mut body, _heard): (RecvStream, Wire)) -> (Bytes, Option<String>) {
    let heard = h2_server::hear(&mut body, 5).await.freeze();
    assert_eq!(h2_server::end(&mut body).await, None);
    let trailers = timeout(SOON, body.trailers()).await.expect("no end").expect("an end");
    (heard, trailers.map(|map| format!("{map:?}")))
}

#[tokio::test]
async fn a_body_ends_with_its_last_byte() {
    let (heard, trailers) = whole(got("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello").await).await;
    assert_eq!((&*heard, trailers), (&b"hello"[..], None));
}

#[tokio::test]
async fn trailers_come_behind_it() {
    let answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n\
                  5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n";
    let (heard, trailers) = whole(got(answer).await).await;
    assert_eq!((&*heard, trailers.as_deref()), (&b"hello"[..], Some("{\"x-sum\": \"1\"}")));
}

#[tokio::test]
async fn a_body_that_is_cut_does_not_look_whole() {
    let (mut body, heard) = got("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello").await;
    h2_server::hear(&mut body, 5).await;
    drop(heard);
    assert!(h2_server::end(&mut body).await.is_some());
}
