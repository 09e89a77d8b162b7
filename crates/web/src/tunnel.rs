//! A WebSocket after both sides have agreed on it: a session like any other, moved by the bridge, listed, counted
//! and ended as the text protocols' are.

use std::sync::Arc;
use std::time::Duration;

use bridge::{Limits, Opening};
use mail::{BridgedSession, Ledger, Lines};
use tls::Stream;

use crate::exchange::Opened;
use crate::service::HttpConnection;
use crate::stream::Tunnel;
use crate::upgrade::{End, Far};

/// RFC 6455 section 7.1.1: a WebSocket whose one side has closed is over, but for its last words.
const HALF_CLOSE: Duration = Duration::from_secs(2);

impl HttpConnection {
    /// Bridges an HTTP/1 client. `rest`: what it has sent behind its request.
    pub(crate) async fn tunnel_h1(&self, mut client: Stream, rest: Vec<u8>, opened: Opened) {
        let Opened { far, ticket, destination } = opened;
        let ledger = Ledger::open(&self.service.context, &self.listener, ticket, Arc::clone(&destination));
        let limits = self.tunnel_limits();
        match far {
            Far::Stream(backend, said) => {
                let opening = Opening { to_backend: rest, to_client: said };
                let crossing = BridgedSession {
                    client,
                    backend: *backend,
                    opening,
                    lines: Lines::Unseen,
                    dialogue: None,
                    limits,
                    ledger,
                };
                Box::pin(crossing.run()).await;
            }
            Far::Tunnel(mut backend) => {
                let opening = Opening { to_backend: rest, to_client: Vec::new() };
                bridge(&mut client, &mut *backend, opening, limits, ledger).await;
                backend.reset();
            }
        }
    }

    /// Bridges an HTTP/2 client's stream.
    pub(crate) async fn tunnel_h2(&self, mut client: Tunnel, opened: Opened) {
        let Opened { far, ticket, destination } = opened;
        let ledger = Ledger::open(&self.service.context, &self.listener, ticket, Arc::clone(&destination));
        let (mut backend, said): (Box<dyn End>, Vec<u8>) = match far {
            Far::Stream(backend, said) => (backend, said),
            Far::Tunnel(backend) => (backend, Vec::new()),
        };
        let opening = Opening { to_backend: Vec::new(), to_client: said };
        bridge(&mut client, &mut backend, opening, self.tunnel_limits(), ledger).await;
        client.reset();
    }

    fn tunnel_limits(&self) -> Limits {
        Limits { half_close: HALF_CLOSE, ..Limits::with_idle(self.service.context.plan.server.bridge_idle) }
    }
}

async fn bridge<A: End, B: End>(
    client: &mut A,
    backend: &mut B,
    opening: Opening,
    limits: Limits,
    ledger: Ledger,
) {
    let (watch, end) = (ledger.watch(Lines::Unseen), ledger.ticket.ended());
    let outcome = Box::pin(::bridge::run(client, backend, opening, limits, watch, end)).await;
    ledger.close(&outcome);
}
