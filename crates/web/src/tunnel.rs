//! A WebSocket after both sides have agreed on it: a session that is bridged, listed, counted and ended like those of
//! the text protocols.

use std::time::Duration;

use bridge::{Limits, Opening};
use plan::Name;
use runtime::{BridgedSession, Ledger, NotFollowed};
use sessions::SessionTicket;
use tls::Stream;

use crate::after::Opened;
use crate::backend_end::{BackendEnd, TunnelStream};
use crate::connection::HttpConnection;
use crate::stream::Tunnel;

/// How long the other side may still send after one side has closed (RFC 6455 section 7.1.1).
const HALF_CLOSE: Duration = Duration::from_secs(2);

/// Bridges an HTTP/1 client. `read_ahead`: what it has sent after its request.
pub(crate) async fn bridge_h1(
    connection: &HttpConnection,
    mut client: Stream,
    read_ahead: Vec<u8>,
    opened: Opened,
) {
    let Opened { end, ticket, destination } = opened;
    let ledger = ledger(connection, ticket, destination);
    let limits = limits(connection);
    match end {
        BackendEnd::Stream(backend, received) => {
            let opening = Opening { to_backend: read_ahead, to_client: received };
            let session =
                BridgedSession { client, backend: *backend, opening, follower: NotFollowed, limits, ledger };
            Box::pin(session.run(|_| Vec::new())).await;
        }
        BackendEnd::Tunnel(mut backend) => {
            let opening = Opening { to_backend: read_ahead, to_client: Vec::new() };
            ledger.bridge(&mut client, &mut *backend, opening, limits).await;
            backend.reset();
        }
    }
}

/// Bridges an HTTP/2 client's stream.
pub(crate) async fn bridge_h2(connection: &HttpConnection, mut client: Tunnel, opened: Opened) {
    let Opened { end, ticket, destination } = opened;
    let ledger = ledger(connection, ticket, destination);
    let (mut backend, received): (Box<dyn TunnelStream>, Vec<u8>) = match end {
        BackendEnd::Stream(backend, received) => (backend, received),
        BackendEnd::Tunnel(backend) => (backend, Vec::new()),
    };
    let opening = Opening { to_backend: Vec::new(), to_client: received };
    ledger.bridge(&mut client, &mut backend, opening, limits(connection)).await;
    client.reset();
}

fn ledger(connection: &HttpConnection, ticket: SessionTicket, destination: Name) -> Ledger {
    Ledger::open(
        &connection.plan,
        connection.service.recorder.accounts(),
        &connection.listener,
        ticket,
        destination,
    )
}

fn limits(connection: &HttpConnection) -> Limits {
    Limits { half_close: HALF_CLOSE, ..Limits::with_idle(connection.plan.plan.server.bridge_idle) }
}
