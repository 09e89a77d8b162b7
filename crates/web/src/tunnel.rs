//! A WebSocket after both sides have agreed on it: a session like any other, moved by the bridge, listed, counted
//! and ended as the text protocols' are.

use std::time::Duration;

use bridge::{Limits, Opening};
use plan::Name;
use runtime::{BridgedSession, Ledger, NoBoundary};
use sessions::SessionTicket;
use tls::Stream;

use crate::backend_end::{BackendEnd, TunnelStream};
use crate::exchange::Opened;
use crate::service::HttpConnection;
use crate::stream::Tunnel;

/// RFC 6455 section 7.1.1: a WebSocket whose one side has closed is over, but for its last words.
const HALF_CLOSE: Duration = Duration::from_secs(2);

impl HttpConnection {
    /// Bridges an HTTP/1 client. `rest`: what it has sent behind its request.
    pub(crate) async fn tunnel_h1(&self, mut client: Stream, rest: Vec<u8>, opened: Opened) {
        let Opened { far, ticket, destination } = opened;
        let ledger = self.ledger(ticket, destination);
        let limits = self.tunnel_limits();
        match far {
            BackendEnd::Stream(backend, said) => {
                let opening = Opening { to_backend: rest, to_client: said };
                let session = BridgedSession {
                    client,
                    backend: *backend,
                    opening,
                    boundary: NoBoundary,
                    limits,
                    ledger,
                };
                Box::pin(session.run(|_| Vec::new())).await;
            }
            BackendEnd::Tunnel(mut backend) => {
                let opening = Opening { to_backend: rest, to_client: Vec::new() };
                ledger.bridge(&mut client, &mut *backend, opening, limits).await;
                backend.reset();
            }
        }
    }

    /// Bridges an HTTP/2 client's stream.
    pub(crate) async fn tunnel_h2(&self, mut client: Tunnel, opened: Opened) {
        let Opened { far, ticket, destination } = opened;
        let ledger = self.ledger(ticket, destination);
        let (mut backend, said): (Box<dyn TunnelStream>, Vec<u8>) = match far {
            BackendEnd::Stream(backend, said) => (backend, said),
            BackendEnd::Tunnel(backend) => (backend, Vec::new()),
        };
        let opening = Opening { to_backend: Vec::new(), to_client: said };
        ledger.bridge(&mut client, &mut backend, opening, self.tunnel_limits()).await;
        client.reset();
    }

    fn ledger(&self, ticket: SessionTicket, destination: Name) -> Ledger {
        Ledger::open(&self.plan, self.service.recorder.accounts(), &self.listener, ticket, destination)
    }

    fn tunnel_limits(&self) -> Limits {
        Limits { half_close: HALF_CLOSE, ..Limits::with_idle(self.plan.plan.server.bridge_idle) }
    }
}
