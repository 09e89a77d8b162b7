//! Requests on a pooled connection that the backend closes without a response.

use types::protocol::Protocol;

use crate::support::{Backend, Proxy, Wire};

const PLAIN: &str = "tls = \"plain\"";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

/// A client, and a backend whose connection has carried a request before.
async fn reused() -> (Proxy, Backend, Wire, Wire) {
    let backend = Backend::open().await;
    let proxy = Proxy::start(backend.address(), PLAIN, "plain").await;
    let mut client = proxy.client().await;
    client.say("GET /first HTTP/1.1\r\nHost: mail.example.org\r\n\r\n").await;
    let mut heard = backend.accept().await;
    heard.until("\r\n\r\n").await;
    heard.say(OK).await;
    client.until("\r\n\r\n").await;
    (proxy, backend, client, heard)
}

#[tokio::test]
async fn an_idempotent_request_is_sent_again_with_its_body() {
    for method in ["GET", "PUT", "PROPFIND", "PROPPATCH", "REPORT", "DELETE"] {
        let (_proxy, backend, mut client, mut heard) = reused().await;
        let head = format!("{method} /x HTTP/1.1\r\nHost: mail.example.org\r\nContent-Length: 10\r\n\r\n");
        client.say(format!("{head}first")).await;
        heard.until("first").await;
        drop(heard);
        let mut again = backend.accept().await;
        client.say("later").await;
        assert!(again.until("firstlater").await.starts_with(method));
        again.say(OK).await;
        assert!(client.until("\r\n\r\n").await.starts_with("HTTP/1.1 200 "), "{method}");
    }
}

/// A 503 with `Retry-After` would invite the client to send a message twice.
#[tokio::test]
async fn another_request_is_answered_with_502() {
    let (_proxy, _backend, mut client, mut heard) = reused().await;
    client.say("POST /x HTTP/1.1\r\nHost: mail.example.org\r\nContent-Length: 5\r\n\r\nhello").await;
    heard.until("hello").await;
    drop(heard);
    let head = client.until("\r\n\r\n").await;
    assert!(
        head.starts_with("HTTP/1.1 502 ") && !head.to_ascii_lowercase().contains("retry-after"),
        "{head}"
    );
    client.until("The server closed the connection without a response.").await;
}

/// The connection that was closed and the one that was refused are two failures.
#[tokio::test]
async fn both_failures_of_a_request_count_where_it_cannot_be_sent_again() {
    let (proxy, backend, mut client, mut heard) = reused().await;
    client.say("GET /x HTTP/1.1\r\nHost: mail.example.org\r\n\r\n").await;
    heard.until("\r\n\r\n").await;
    drop(backend);
    drop(heard);
    assert!(client.until("\r\n\r\n").await.starts_with("HTTP/1.1 503 "));
    let plan = proxy.app.plan();
    let health = plan.backends.get("old").expect("the destination").health(Protocol::Http).snapshot();
    assert_eq!(health.consecutive_failures, 2);
}

#[tokio::test]
async fn a_body_that_is_not_kept_is_not_sent_again() {
    let (_proxy, _backend, mut client, mut heard) = reused().await;
    let body = "x".repeat(100_000);
    client.say("PUT /x HTTP/1.1\r\nHost: mail.example.org\r\nContent-Length: 100003\r\n\r\n").await;
    client.say(&body).await;
    client.say("end").await;
    heard.until("end").await;
    drop(heard);
    assert!(client.until("\r\n\r\n").await.starts_with("HTTP/1.1 502 "));
}
