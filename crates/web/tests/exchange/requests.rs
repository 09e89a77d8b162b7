//! Requests that the proxy changes, answers itself or leaves as they are.

use http::Request;
use tokio::time::timeout;

use crate::h2_server;
use crate::support::{Backend, Proxy, SOON};

const PLAIN: &str = "tls = \"plain\"";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

/// What the backend gets of a request over HTTP/1.1 without TLS.
async fn forwarded(request: &str) -> String {
    let backend = Backend::open().await;
    let proxy = Proxy::start(backend.address(), PLAIN, "plain").await;
    let mut client = proxy.client().await;
    client.say(request).await;
    backend.accept().await.until("\r\n\r\n").await
}

#[tokio::test]
async fn an_upgrade_to_h2c_is_ignored() {
    for upgrade in ["h2c", "h2c, websocket", "TLS/1.3"] {
        let head = forwarded(&format!(
            "GET /x HTTP/1.1\r\nHost: mail.example.org\r\nConnection: Upgrade, HTTP2-Settings\r\n\
             Upgrade: {upgrade}\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n"
        ))
        .await
        .to_ascii_lowercase();
        assert!(
            head.starts_with("get /x ") && !head.contains("upgrade") && !head.contains("http2"),
            "{head}"
        );
    }
}

#[tokio::test]
async fn the_spelling_of_fields_is_kept() {
    let head =
        forwarded("PUT /x HTTP/1.1\r\nhost: mail.example.org\r\nx-oDD: y\r\ncontent-LENGTH: 5\r\n\r\nhello")
            .await;
    for line in ["host: mail.example.org", "x-oDD: y", "content-LENGTH: 5"] {
        assert!(head.contains(&format!("\r\n{line}\r\n")), "{head}");
    }
}

#[tokio::test]
async fn an_upgrade_to_websocket_is_spelled_as_browsers_do() {
    let open = "GET /ws HTTP/1.1\r\nHost: mail.example.org\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\
                Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let head = forwarded(open).await;
    for line in ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"] {
        assert!(head.contains(&format!("\r\n{line}\r\n")), "{head}");
    }
}

#[tokio::test]
async fn field_names_of_http2_are_spelled_as_browsers_do() {
    let backend = Backend::open().await;
    let proxy = Proxy::start(backend.address(), PLAIN, "implicit").await;
    let mut requests = h2_server::client(proxy.door).await;
    let request = Request::builder()
        .method("MOVE")
        .uri("https://mail.example.org/a")
        .header("destination", "https://mail.example.org/b")
        .header("user-agent", "test")
        .body(())
        .expect("a request");
    let (response, _) = requests.send_request(request, true).expect("send");
    let mut heard = backend.accept().await;
    let head = heard.until("\r\n\r\n").await;
    // The leg has no TLS: the backend would take another scheme for another server.
    for line in ["User-Agent: test", "Destination: http://mail.example.org/b", "Host: mail.example.org"] {
        assert!(head.contains(&format!("\r\n{line}\r\n")), "{head}");
    }
    heard.say(OK).await;
    assert_eq!(timeout(SOON, response).await.expect("no response").expect("a response").status(), 200);
}

#[tokio::test]
async fn options_of_the_server_are_answered_by_the_proxy() {
    let backend = Backend::open().await;
    let proxy = Proxy::start(backend.address(), PLAIN, "plain").await;
    let mut client = proxy.client().await;
    for _ in 0..2 {
        client.say("OPTIONS * HTTP/1.1\r\nHost: mail.example.org\r\n\r\n").await;
        let head = client.until("\r\n\r\n").await;
        assert!(
            head.starts_with("HTTP/1.1 204 No Content\r\n") && head.contains("\r\nAllow: GET, "),
            "{head}"
        );
    }
}

#[tokio::test]
async fn an_encoded_slash_passes_where_one_rule_applies() {
    let head =
        forwarded("GET /jmap/download/a/b/1%2F2026.pdf HTTP/1.1\r\nHost: mail.example.org\r\n\r\n").await;
    assert!(head.starts_with("GET /jmap/download/a/b/1%2F2026.pdf HTTP/1.1\r\n"), "{head}");
}

/// A backend that accepts an upload early still gets all of it.
#[tokio::test]
async fn an_early_success_does_not_cut_the_upload() {
    let backend = Backend::open().await;
    let proxy = Proxy::start(backend.address(), PLAIN, "plain").await;
    let mut client = proxy.client().await;
    client.say("POST /x HTTP/1.1\r\nHost: mail.example.org\r\nContent-Length: 10\r\n\r\nfirst").await;
    let mut heard = backend.accept().await;
    heard.until("first").await;
    heard.say(OK).await;
    let head = client.until("\r\n\r\n").await;
    assert!(!head.to_ascii_lowercase().contains("connection: close"), "{head}");
    client.say("later").await;
    heard.until("later").await;
    // Both connections can be used again.
    client.say("GET /y HTTP/1.1\r\nHost: mail.example.org\r\n\r\n").await;
    assert!(heard.until("\r\n\r\n").await.starts_with("GET /y "));
}
