//! A WebSocket after both sides have agreed on it: bytes, until one side, silence or the desk ends it.

use std::time::Instant;

use bridge::{Limits, Opening, Outcome, Why};
use desk::EndReason;
use tls::Stream;
use tokio::io::AsyncWriteExt;

use crate::exchange::Opened;
use crate::service::Visit;
use crate::stream::Tunnel;
use crate::upgrade::{End, Far};

impl Visit {
    /// Bridges an HTTP/1 client. `rest`: what it has sent behind its request.
    pub(crate) async fn tunnel_stream(&self, client: Stream, rest: Vec<u8>, opened: Opened) {
        let Opened { far, ticket, destination } = opened;
        let limits = self.limits();
        let began = Instant::now();
        let (far, said) = match far {
            Far::Stream(far, said) => (*far, said),
            Far::Tunnel(mut far) => {
                let mut client = client;
                let opening = Opening { to_backend: rest, to_client: Vec::new() };
                let outcome = bridge::run(&mut client, &mut *far, opening, limits, (), ticket.ended()).await;
                far.reset();
                return log(&destination, began, &outcome);
            }
        };
        let opening = Opening { to_backend: rest, to_client: said };
        let outcome = match (client.into_plain_tcp(), far.into_plain_tcp()) {
            (Ok(mut client), Ok(mut far)) => {
                bridge::run_tcp(&mut client, &mut far, opening, limits, (), ticket.ended()).await
            }
            (client, far) => {
                let (mut client, mut far) = (whole(client), whole(far));
                let outcome = bridge::run(&mut client, &mut far, opening, limits, (), ticket.ended()).await;
                // TLS says goodbye; who does not listen is left all the same.
                let _ = tokio::time::timeout(GOODBYE, client.shutdown()).await;
                outcome
            }
        };
        log(&destination, began, &outcome);
    }

    /// Bridges an HTTP/2 client's stream.
    pub(crate) async fn tunnel_stream_of_many(&self, mut client: Tunnel, opened: Opened) {
        let Opened { far, ticket, destination } = opened;
        let limits = self.limits();
        let began = Instant::now();
        let (mut far, said): (Box<dyn End>, Vec<u8>) = match far {
            Far::Stream(far, said) => (far, said),
            Far::Tunnel(far) => (far, Vec::new()),
        };
        let opening = Opening { to_backend: Vec::new(), to_client: said };
        let outcome = bridge::run(&mut client, &mut far, opening, limits, (), ticket.ended()).await;
        client.reset();
        log(&destination, began, &outcome);
    }
}

// === impl Visit ===

impl Visit {
    /// RFC 6455 section 7.1.1: a WebSocket whose one side has closed is over.
    fn limits(&self) -> Limits {
        Limits { half_close: GOODBYE, ..Limits::with_idle(self.service.context.plan.server.bridge_idle) }
    }
}

/// How long a goodbye may take.
const GOODBYE: std::time::Duration = std::time::Duration::from_secs(2);

fn whole(stream: Result<tokio::net::TcpStream, Stream>) -> Stream {
    stream.map_or_else(|stream| stream, |tcp| Stream::plain(tcp, Vec::new()))
}

fn log(destination: &str, began: Instant, outcome: &Outcome<EndReason>) {
    let Outcome { to_backend, to_client, why } = outcome;
    let why = match why {
        Why::Ended { by, .. } => by.label(),
        Why::Idle => "idle",
        _ => "closed",
    };
    let seconds = began.elapsed().as_secs();
    tracing::info!(destination, to_backend, to_client, seconds, why, "upgraded connection ended");
}
