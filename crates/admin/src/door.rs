//! Connections to the API: how many, how fast, and how they are served.
//!
//! What must never happen here: that handshakes and guesses of strangers take the time of those who read mail. So
//! connections have bounds of their own, altogether and of one network; whoever was turned away by the gate, or
//! did not get through a handshake, keeps his place for a while after his connection is closed; and beyond the
//! bounds connections are closed before any work is done for them.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use listen::{Accepted, BindError, BoundListener, ConnectionLimiter, Ipv4Ports};
use plan::Admin;
use tls::Stream;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::app_handle::AppHandle;
use crate::audit::Audit;
use crate::gate::Gate;
use crate::patience::Patient;
use crate::penalty::Penalty;
use crate::routes;
use crate::shared::{Peer, Shared};

/// The API, bound and not yet served.
pub struct Server {
    shared: Shared,
    doors: Vec<BoundListener>,
}

/// Connections at once.
pub(crate) const MAX_CONNECTIONS: usize = 256;
/// Connections at once of one network: an operator's scripts and a dashboard.
pub(crate) const MAX_PER_NETWORK: usize = 32;
/// How long a place stays taken that was used for nothing good. With [`MAX_PER_NETWORK`] it bounds the handshakes
/// and guesses of one network to 32 a second.
pub(crate) const PENALTY: Duration = Duration::from_secs(1);
/// Descriptors kept for when mail has taken all others: whoever would end that gets in.
const RESERVED: usize = 2;
/// Connections that the kernel keeps while we are busy. Few: behind a flood of them an operator has to wait.
const BACKLOG: i32 = 128;
/// After a connection that there is no place for. It bounds what a flood costs to a thousand closed sockets a
/// second; the rest waits in the kernel, or is not answered.
const PAUSE: Duration = Duration::from_millis(1);

const HANDSHAKE_TIME: Duration = Duration::from_secs(10);
/// From one request's end to the next one's head, and for the head.
const HEAD_TIME: Duration = Duration::from_secs(30);
const MAX_HEAD: usize = 32 * 1024;
const MAX_HEADERS: usize = 64;

// === impl Server ===

impl Server {
    /// Binds every address of `admin`.
    ///
    /// # Errors
    /// The first address that cannot be had.
    pub fn bind(
        admin: &Admin,
        ipv4_ports: &Ipv4Ports,
        app_handle: Arc<dyn AppHandle>,
        audit: Audit,
    ) -> Result<Self, BindError> {
        let doors = listen::bind_all("admin", &admin.bind, ipv4_ports, BACKLOG)?;
        let doors = doors.into_iter().map(|door| door.reserving(RESERVED)).collect();
        let shared = Shared::new(app_handle, Gate::new(&admin.token), audit);
        Ok(Self { shared, doors })
    }

    /// Serves until `ending` is cancelled. A drain is no reason to end: it is watched and steered from here.
    pub fn serve(self, tasks: &TaskTracker, ending: &CancellationToken) {
        let limiter = ConnectionLimiter::new();
        for door in self.doors {
            tracing::info!(address = %door.address, "management API listening");
            let entrance = accept(self.shared.clone(), door, limiter.clone(), tasks.clone());
            let ending = ending.clone();
            tasks.spawn(async move { ending.run_until_cancelled(entrance).await });
        }
    }

    /// Where it is bound.
    #[must_use]
    pub fn addresses(&self) -> Vec<std::net::SocketAddr> {
        self.doors.iter().map(|door| door.address).collect()
    }
}

async fn accept(shared: Shared, door: BoundListener, limiter: ConnectionLimiter, tasks: TaskTracker) {
    let service = routes::service(shared.clone());
    loop {
        let accepted = door.accept_for("admin", &limiter, MAX_CONNECTIONS, MAX_PER_NETWORK).await;
        let Accepted { stream, peer, permit, reserved_fd, .. } = accepted;
        let Ok(permit) = permit else {
            drop(stream);
            sleep(PAUSE).await;
            continue;
        };
        let service = service.clone();
        let acceptor = shared.app_handle.acceptor();
        tasks.spawn(async move {
            let penalty = Penalty::default();
            let handshake = Box::pin(Stream::plain(stream, Vec::new()).accept(&acceptor));
            match timeout(HANDSHAKE_TIME, handshake).await {
                Ok(Ok(stream)) => Box::pin(converse(stream, peer.ip(), service, penalty.clone())).await,
                Ok(Err(error)) => {
                    tracing::debug!(%peer, %error, "management API: no TLS session");
                    penalty.deserve();
                }
                Err(_) => penalty.deserve(),
            }
            drop(reserved_fd);
            if penalty.is_deserved() {
                sleep(PENALTY).await;
            }
            drop(permit);
        });
    }
}

/// Serves one connection to its end.
async fn converse(stream: Stream, peer: IpAddr, service: axum::Router, penalty: Penalty) {
    let service = service.layer(Extension(Peer(peer))).layer(Extension(penalty));
    let mut server = http1::Builder::new();
    server
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_HEAD);
    let connection =
        server.serve_connection(TokioIo::new(Patient::new(stream)), TowerToHyperService::new(service));
    if let Err(error) = connection.await {
        tracing::debug!(%peer, %error, "management API: connection ended");
    }
}
