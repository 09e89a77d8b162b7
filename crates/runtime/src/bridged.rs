//! A session from the backend's yes to its end: bytes both ways, then both connections closed as the end asks.

use std::time::Duration;

use bridge::{BridgeEnd, BridgeOutcome, Follow, Limits, Opening};
use sessions::EndReason;
use tls::Stream;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::ledger::Ledger;

/// A session that is bridged. It holds nothing but what it needs while it waits, since most sessions do.
pub struct BridgedSession<F> {
    /// The client's leg.
    pub client: Stream,
    /// The backend's leg.
    pub backend: Stream,
    /// Bytes that were read before the bridge and belong to the other side.
    pub opening: Opening,
    /// Follows the dialogue, to find where the session may end.
    pub follower: F,
    /// When the session has lasted long enough.
    pub limits: Limits,
    /// The record of the session.
    pub ledger: Ledger,
}

/// Why a client is sent a farewell at the end of its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closing {
    /// The proxy is draining.
    ShuttingDown,
    /// The session was ended from outside, by a kick or a move, or because the client asked for another account.
    Ended,
}

/// How long writing the farewell may take: a client that does not read must not keep its place.
const FAREWELL_TIMEOUT: Duration = Duration::from_secs(5);

// === impl BridgedSession ===

impl<F: Follow> BridgedSession<F> {
    /// Moves bytes until the session ends, sends `farewell` where one may be sent, and logs the end.
    pub async fn run(self, farewell: impl FnOnce(Closing) -> Vec<u8> + Send) {
        let Self { client, backend, opening, follower, limits, ledger } = self;
        // Boxed: it is what a session holds while it waits; the frame of this function would keep it twice.
        let relay = Box::pin(relay(client, backend, opening, follower, limits, &ledger));
        let (mut client, backend, outcome) = relay.await;
        close(&mut client, &backend, &outcome, farewell).await;
        ledger.close(&outcome);
    }
}

/// Runs the bridge, through the kernel where both legs are plain sockets.
async fn relay<F: Follow>(
    client: Stream,
    backend: Stream,
    opening: Opening,
    follower: F,
    limits: Limits,
    ledger: &Ledger,
) -> (Stream, Stream, BridgeOutcome<EndReason>) {
    let watch = ledger.watch(follower);
    let end = ledger.end_request();
    let (mut client, mut backend) = match (client.into_plain_tcp(), backend.into_plain_tcp()) {
        (Ok(mut client), Ok(mut backend)) => {
            let outcome = bridge::run_tcp(&mut client, &mut backend, opening, limits, watch, end).await;
            return (Stream::plain(client, Vec::new()), Stream::plain(backend, Vec::new()), outcome);
        }
        (client, backend) => (into_stream(client), into_stream(backend)),
    };
    let outcome = bridge::run(&mut client, &mut backend, opening, limits, watch, end).await;
    (client, backend, outcome)
}

fn into_stream(stream: Result<TcpStream, Stream>) -> Stream {
    match stream {
        Ok(tcp) => Stream::plain(tcp, Vec::new()),
        Err(stream) => stream,
    }
}

/// Closes both legs: with a farewell where one may be sent, with a reset where the other side was reset.
async fn close(
    client: &mut Stream,
    backend: &Stream,
    outcome: &BridgeOutcome<EndReason>,
    farewell: impl FnOnce(Closing) -> Vec<u8>,
) {
    let closing = match &outcome.why {
        // A socket that refuses the option is closed all the same.
        BridgeEnd::ClientReset => return drop(backend.set_linger_reset()),
        BridgeEnd::BackendReset => return drop(client.set_linger_reset()),
        BridgeEnd::Ended { by: EndReason::Drain, at_boundary: true } => Some(Closing::ShuttingDown),
        BridgeEnd::Ended { at_boundary: true, .. } | BridgeEnd::Refused { may_write: true } => {
            Some(Closing::Ended)
        }
        _ => None,
    };
    let goodbye = async {
        if let Some(closing) = closing {
            client.write_all(&farewell(closing)).await?;
        }
        client.shutdown().await
    };
    // The connection is closed whether the farewell arrived or not.
    let _ = timeout(FAREWELL_TIMEOUT, goodbye).await;
}
