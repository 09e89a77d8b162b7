//! Connections to the API: their number, their time limits, and how they are served.
//!
//! What must never happen here: handshakes and guesses of arbitrary clients that take time from mail connections. So
//! connections have limits of their own, in total and per network. A connection that failed authentication or its handshake
//! keeps its slot for a while after it is closed. Beyond the limits, connections are closed before any work is done.

use std::net::IpAddr;
use std::sync::{Arc, Weak};
use std::time::Duration;

use axum::Extension;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use listen::{Accepted, BindError, Binder, BoundListener, ConnectionLimiter};
use plan::Admin;
use tls::Stream;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::app_handle::AppHandle;
use crate::audit::Audit;
use crate::authenticator::Authenticator;
use crate::penalty::Penalty;
use crate::routes;
use crate::shared::{Peer, Shared};
use crate::write_timeout::WriteTimeout;

/// The API, bound and not yet served.
pub struct Server {
    shared: Shared,
    listeners: Vec<Arc<BoundListener>>,
}

/// Concurrent connections.
pub(crate) const MAX_CONNECTIONS: usize = 256;
/// Concurrent connections of one network: an operator's scripts and a dashboard.
pub(crate) const MAX_PER_NETWORK: usize = 32;
/// How long the slot of a connection that failed authentication or its handshake stays taken. With [`MAX_PER_NETWORK`] it
/// limits the handshakes and guesses of one network to 32 a second.
pub(crate) const PENALTY: Duration = Duration::from_secs(1);
/// File descriptors reserved for when mail connections have taken all others, so that an operator can still connect.
const RESERVED: usize = 2;
/// The listen backlog. Small, since an operator has to wait for the connections of a flood that are ahead in it.
const BACKLOG: i32 = 128;
/// The pause after a connection beyond the limits. It limits the cost of a flood to a thousand closed sockets a second; the
/// others wait in the backlog or are not accepted.
const PAUSE: Duration = Duration::from_millis(1);

const HANDSHAKE_TIME: Duration = Duration::from_secs(10);
/// From the end of one request to the end of the next one's head.
const HEAD_TIME: Duration = Duration::from_secs(30);
const MAX_HEAD: usize = 32 * 1024;
const MAX_HEADERS: usize = 64;

// === impl Server ===

impl Server {
    /// Binds every address of `admin`.
    ///
    /// # Errors
    /// If an address cannot be bound.
    pub fn bind(
        admin: &Admin,
        binder: &mut Binder,
        app_handle: Arc<dyn AppHandle>,
        audit: Audit,
    ) -> Result<Self, BindError> {
        let listeners = binder.bind_all("admin", "admin", &admin.bind, BACKLOG)?;
        let listeners =
            listeners.into_iter().map(|listener| Arc::new(listener.reserving(RESERVED))).collect();
        let shared = Shared::new(app_handle, Authenticator::new(&admin.token), audit);
        Ok(Self { shared, listeners })
    }

    /// Serves until `ending` is cancelled. A drain does not end it: operators watch and control the drain over this API.
    pub fn serve(self, tasks: &TaskTracker, ending: &CancellationToken) {
        let limiter = ConnectionLimiter::new();
        for listener in self.listeners {
            tracing::info!(address = %listener.address, "management API listening");
            let accepting = accept(self.shared.clone(), listener, limiter.clone(), tasks.clone());
            let ending = ending.clone();
            tasks.spawn(async move { ending.run_until_cancelled(accepting).await });
        }
    }

    /// Returns the listening sockets, which are closed when the server ends.
    #[must_use]
    pub fn sockets(&self) -> Vec<Weak<BoundListener>> {
        self.listeners.iter().map(Arc::downgrade).collect()
    }

    /// Returns the bound addresses.
    #[must_use]
    pub fn addresses(&self) -> Vec<std::net::SocketAddr> {
        self.listeners.iter().map(|listener| listener.address).collect()
    }
}

async fn accept(
    shared: Shared,
    listener: Arc<BoundListener>,
    limiter: ConnectionLimiter,
    tasks: TaskTracker,
) {
    let service = routes::service(shared.clone());
    loop {
        let accepted = listener.accept_for("admin", &limiter, MAX_CONNECTIONS, MAX_PER_NETWORK).await;
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
                Ok(Ok(stream)) => {
                    Box::pin(serve_connection(stream, peer.ip(), service, penalty.clone())).await;
                }
                Ok(Err(error)) => {
                    tracing::debug!(%peer, %error, "management API: TLS handshake failed");
                    penalty.set();
                }
                Err(_) => penalty.set(),
            }
            drop(reserved_fd);
            if penalty.is_set() {
                sleep(PENALTY).await;
            }
            drop(permit);
        });
    }
}

/// Serves one connection to its end.
async fn serve_connection(stream: Stream, peer: IpAddr, service: axum::Router, penalty: Penalty) {
    let service = service.layer(Extension(Peer(peer))).layer(Extension(penalty));
    let mut server = http1::Builder::new();
    server
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_HEAD);
    let connection =
        server.serve_connection(TokioIo::new(WriteTimeout::new(stream)), TowerToHyperService::new(service));
    if let Err(error) = connection.await {
        tracing::debug!(%peer, %error, "management API: connection ended");
    }
}
