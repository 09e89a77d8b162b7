//! Clients that are slow, or disconnect.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::support::{Api, TestRequest, TestResponse};

/// The limit of connections of one network; see `server`.
const PER_NETWORK: usize = 32;

/// Connections of one network beyond its limit are closed; other networks are not affected.
#[tokio::test]
async fn one_network_cannot_take_every_connection() {
    let api = Api::start().await;
    let mut idle = Vec::new();
    for _ in 0..PER_NETWORK {
        idle.push(api.connect(5).await.expect("a place"));
    }
    assert!(api.connect(5).await.is_err(), "closed before any handshake");
    assert_eq!(api.send(TestRequest { from: 6, ..TestRequest::with_token("GET /stats") }).await.status, 200);
    drop(idle);
    // The slot is free once the end of its connection was noticed.
    timeout(Duration::from_secs(30), async { while api.connect(5).await.is_err() {} })
        .await
        .expect("free again");
}

/// Connections that send nothing have the same limit.
#[tokio::test]
async fn silent_connections_cannot_take_every_connection() {
    let api = Api::start().await;
    let mut silent = Vec::new();
    for _ in 0..4 * PER_NETWORK {
        silent.push(api.connect_plain(5).await.expect("accepted by the kernel at least"));
    }
    assert_eq!(api.send(TestRequest { from: 6, ..TestRequest::with_token("GET /stats") }).await.status, 200);
}

/// An action continues when its client disconnects, here in the middle of a kick that waits.
#[tokio::test]
async fn an_action_continues_when_its_client_disconnects() {
    let api = Api::start().await;
    let ticket = crate::published::session(&api, "alice@example.org", "new");
    let mut stream = api.connect(1).await.expect("a connection");
    let request = TestRequest::with_token("POST /connections/kick?identifier=alice@example.org").text("");
    stream.write_all(request.as_bytes()).await.expect("it is read");
    ticket.ended().await;
    drop(stream);
    drop(ticket);
    let recorded = timeout(Duration::from_secs(30), async {
        loop {
            let page = api.call("GET /audit").await.json();
            if let Some(record) = page["records"].as_array().and_then(|records| records.first()) {
                return record.clone();
            }
        }
    });
    let record = recorded.await.expect("the action is recorded");
    assert_eq!(
        (record["act"].as_str(), record["after"].as_str()),
        (Some("connections.kick"), Some("1 kicked"))
    );
}

/// A head that is too long is refused. Whether the client receives the response depends on how fast it writes.
#[tokio::test]
async fn heads_are_bounded() {
    let api = Api::start().await;
    for headers in [format!("X-Long: {}\r\n", "a".repeat(100_000)), "X-Many: 1\r\n".repeat(100)] {
        let mut stream = api.connect(1).await.expect("a connection");
        let request = TestRequest { headers: &headers, ..TestRequest::with_token("GET /stats") }.text("");
        let mut answer = Vec::new();
        if stream.write_all(request.as_bytes()).await.is_ok() {
            let _ = timeout(Duration::from_secs(30), stream.read_to_end(&mut answer)).await.expect("an end");
        }
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431 "), "{answer}");
    }
}

#[tokio::test]
async fn several_requests_share_a_connection() {
    let api = Api::start().await;
    let mut stream = api.connect(1).await.expect("a connection");
    let two = TestRequest::with_token("GET /healthz").text("")
        + &TestRequest::with_token("GET /readyz").text("Connection: close\r\n");
    stream.write_all(two.as_bytes()).await.expect("it is read");
    let mut answers = String::new();
    let _ = stream.read_to_string(&mut answers).await;
    assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 2, "{answers}");
    TestResponse::of(&answers);
}

/// Two requests in one, as in request smuggling, are refused.
#[tokio::test]
async fn contradicting_lengths_are_refused() {
    let api = Api::start().await;
    let headers = "Content-Length: 5\r\nContent-Length: 6\r\n";
    let answer = api.send(TestRequest { headers, ..TestRequest::with_token("POST /mappings/reload") }).await;
    assert_eq!(answer.status, 400, "{answer:?}");
}
