//! Callers who take their time, or hang up.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::support::{Answer, Api, Ask};

/// Connections of one network, as `door` bounds them.
const PER_NETWORK: usize = 32;

/// A network has its bound, and what is beyond it is closed; other networks do not notice.
#[tokio::test]
async fn one_network_cannot_take_every_place() {
    let api = Api::start().await;
    let mut idle = Vec::new();
    for _ in 0..PER_NETWORK {
        idle.push(api.connect(5).await.expect("a place"));
    }
    assert!(api.connect(5).await.is_err(), "closed before any handshake");
    assert_eq!(api.send(Ask { from: 6, ..Ask::with_token("GET /stats") }).await.status, 200);
    drop(idle);
    // A place is free when its connection has been seen to end.
    timeout(Duration::from_secs(30), async { while api.connect(5).await.is_err() {} })
        .await
        .expect("free again");
}

/// Sockets without a word are in the same bound.
#[tokio::test]
async fn silent_sockets_cannot_take_every_place() {
    let api = Api::start().await;
    let mut silent = Vec::new();
    for _ in 0..4 * PER_NETWORK {
        silent.push(api.connect_plain(5).await.expect("accepted by the kernel at least"));
    }
    assert_eq!(api.send(Ask { from: 6, ..Ask::with_token("GET /stats") }).await.status, 200);
}

/// An act goes on when its caller hangs up: here, in the middle of a kick that waits.
#[tokio::test]
async fn an_act_outlives_its_caller() {
    let api = Api::start().await;
    let ticket = crate::published::session(&api, "alice@example.org", "new");
    let mut stream = api.connect(1).await.expect("a connection");
    let request = Ask::with_token("POST /connections/kick?identifier=alice@example.org").text("");
    stream.write_all(request.as_bytes()).await.expect("it is read");
    ticket.ended().await;
    drop(stream);
    drop(ticket);
    let recorded = timeout(Duration::from_secs(30), async {
        loop {
            let page = api.ask("GET /audit").await.json();
            if let Some(record) = page["records"].as_array().and_then(|records| records.first()) {
                return record.clone();
            }
        }
    });
    let record = recorded.await.expect("the act is recorded");
    assert_eq!(
        (record["act"].as_str(), record["after"].as_str()),
        (Some("connections.kick"), Some("1 kicked"))
    );
}

/// A head that is too long is not served. (Whether its sender hears why depends on how fast it writes.)
#[tokio::test]
async fn heads_have_a_bound() {
    let api = Api::start().await;
    for headers in [format!("X-Long: {}\r\n", "a".repeat(100_000)), "X-Many: 1\r\n".repeat(100)] {
        let mut stream = api.connect(1).await.expect("a connection");
        let request = Ask { headers: &headers, ..Ask::with_token("GET /stats") }.text("");
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
    let two = Ask::with_token("GET /healthz").text("")
        + &Ask::with_token("GET /readyz").text("Connection: close\r\n");
    stream.write_all(two.as_bytes()).await.expect("it is read");
    let mut answers = String::new();
    let _ = stream.read_to_string(&mut answers).await;
    assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 2, "{answers}");
    Answer::of(&answers);
}

/// Two requests in one, as smugglers send them, are one that is refused.
#[tokio::test]
async fn contradicting_lengths_are_refused() {
    let api = Api::start().await;
    let headers = "Content-Length: 5\r\nContent-Length: 6\r\n";
    let answer = api.send(Ask { headers, ..Ask::with_token("POST /mappings/reload") }).await;
    assert_eq!(answer.status, 400, "{answer:?}");
}
