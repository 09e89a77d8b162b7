//! Listening sockets and the accept loop.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

use plan::Listener;
use socket2::{Domain, Protocol as SocketProtocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};

use types::outcome::ConnectionRefusal;

use crate::limiter::{ConnectionLimiter, Permit};
use crate::reserve::{FdReserve, ReservedFd, is_out_of_descriptors};

/// One listening socket.
#[derive(Debug)]
pub struct BoundListener {
    /// The bound address.
    pub address: SocketAddr,
    socket: TcpListener,
    reserve: FdReserve,
    /// When the last failure to accept was logged.
    last_logged: Mutex<Option<Instant>>,
}

/// An accepted connection.
#[derive(Debug)]
pub struct Accepted {
    /// The socket.
    pub stream: TcpStream,
    /// The remote address.
    pub peer: SocketAddr,
    /// The local address.
    pub local: SocketAddr,
    /// The permit, or why the connection is refused: then at most a line of refusal may be sent.
    pub permit: Result<Permit, ConnectionRefusal>,
    /// Set when the connection uses a reserved descriptor. Drop it after the stream.
    pub reserved_fd: Option<ReservedFd>,
}

/// Why a listening socket could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("{table}.bind: cannot listen on {address}: {error}{}", hint(error))]
pub struct BindError {
    /// The table of the configuration that names the address: `listener.NAME`, `admin`.
    pub table: String,
    /// The address.
    pub address: SocketAddr,
    /// The system's error.
    pub error: io::Error,
}

/// Connections that the kernel queues until they are accepted: enough for a reconnect storm.
const BACKLOG: i32 = 4096;
/// Pause after an error that would repeat at once (no descriptor left), so that the loop does not spin.
const PAUSE: Duration = Duration::from_millis(100);
/// Time between two log lines about such an error.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// Binds every address of `listener`.
///
/// # Errors
/// Returns the first address that cannot be bound.
pub fn bind(listener: &Listener) -> Result<Vec<BoundListener>, BindError> {
    bind_all(&format!("listener.{}", listener.name), &listener.bind, BACKLOG)
}

/// Binds every one of `addresses`. `table` is the configuration table that names them, and `backlog` the number of
/// connections that the kernel queues until they are accepted.
///
/// # Errors
/// Returns the first address that cannot be bound.
pub fn bind_all(
    table: &str,
    addresses: &[SocketAddr],
    backlog: i32,
) -> Result<Vec<BoundListener>, BindError> {
    let mut listeners = Vec::with_capacity(addresses.len());
    for &address in addresses {
        match open(address, backlog) {
            Ok(bound) => listeners.push(bound),
            Err(error) => return Err(BindError { table: table.to_owned(), address, error }),
        }
    }
    Ok(listeners)
}

fn open(address: SocketAddr, backlog: i32) -> io::Result<BoundListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(SocketProtocol::TCP))?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        // `::` means IPv6 only, whatever the system's default: the configuration lists each family separately.
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(backlog)?;
    let socket = TcpListener::from_std(socket.into())?;
    Ok(BoundListener {
        address: socket.local_addr()?,
        socket,
        reserve: FdReserve::default(),
        last_logged: Mutex::default(),
    })
}

// === impl BoundListener ===

impl BoundListener {
    /// Reserves `count` descriptors for connections that arrive when the process has no others left.
    #[must_use]
    pub fn reserving(self, count: usize) -> Self {
        Self { reserve: FdReserve::of(count), ..self }
    }

    /// Accepts the next connection and counts it against the limits of `listener`.
    /// When descriptors run out, waits and tries again. Cancel-safe.
    pub async fn accept(&self, listener: &Arc<Listener>, limiter: &ConnectionLimiter) -> Accepted {
        self.accept_for(&listener.name, limiter, listener.max_connections, listener.max_connections_per_ip)
            .await
    }

    /// Accepts the next connection and counts it against these limits (see [`ConnectionLimiter::take`]). `name` is
    /// for the log. When descriptors run out, waits and tries again. Cancel-safe.
    pub async fn accept_for(
        &self,
        name: &str,
        limiter: &ConnectionLimiter,
        limit: usize,
        limit_per_address: usize,
    ) -> Accepted {
        let (stream, peer, reserved_fd) = self.accept_stream(name).await;
        let local = stream.local_addr().unwrap_or(self.address);
        let permit = limiter.take(peer.ip(), limit, limit_per_address);
        Accepted { stream, peer, local, permit, reserved_fd }
    }

    async fn accept_stream(&self, name: &str) -> (TcpStream, SocketAddr, Option<ReservedFd>) {
        loop {
            let error = match self.socket.accept().await {
                Ok((stream, peer)) => {
                    self.reserve.fill();
                    return (stream, peer, None);
                }
                Err(error) if is_of_one_connection(&error) => continue,
                Err(error) => error,
            };
            if let Some(reserved_fd) = self.reserve.release().filter(|_| is_out_of_descriptors(&error)) {
                match poll_fn(|context| Poll::Ready(self.socket.poll_accept(context))).await {
                    Poll::Ready(Ok((stream, peer))) => return (stream, peer, Some(reserved_fd)),
                    Poll::Ready(Err(_)) => {}
                    // Some systems report the error although no connection waits. Dropping `reserved_fd` reserves
                    // the descriptor again before another connection can use it.
                    Poll::Pending => continue,
                }
            }
            self.log_failure(name, &error);
            tokio::time::sleep(PAUSE).await;
            // Another part of the process may have used the released descriptor: reserve one that is free by now.
            self.reserve.fill();
        }
    }

    /// Logs that accepting fails, at most once in [`LOG_INTERVAL`]: a flood of connections must not fill the log.
    fn log_failure(&self, name: &str, error: &io::Error) {
        let mut last_logged = self.last_logged.lock().unwrap_or_else(PoisonError::into_inner);
        if last_logged.is_none_or(|at| at.elapsed() >= LOG_INTERVAL) {
            *last_logged = Some(Instant::now());
            tracing::error!(
                listener = name,
                %error,
                "cannot accept connections: retrying ten times a second, logged at most once in ten seconds"
            );
        }
    }
}

/// Returns whether `error` concerns only the connection that was to be accepted (accept(2)), not the listener.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    )
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            "; ports below 1024 need root or CAP_NET_BIND_SERVICE (the shipped unit has it)"
        }
        io::ErrorKind::AddrInUse => "; another program listens there: `ss -ltnp` shows which",
        io::ErrorKind::AddrNotAvailable => "; this host does not have that address",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Other parts of the process may use a released descriptor, so none may be free when its connection ends.
    #[tokio::test]
    async fn the_next_connection_refills_a_lost_reserve() {
        let bound = open(SocketAddr::from(([127, 0, 0, 1], 0)), 1).expect("an address").reserving(2);
        while let Some(reserved_fd) = bound.reserve.release() {
            std::mem::forget(reserved_fd);
        }
        let client = TcpStream::connect(bound.address).await.expect("a connection");
        let accepted = bound.accept_for("test", &ConnectionLimiter::new(), 1, 0).await;
        assert!(accepted.reserved_fd.is_none(), "other descriptors were free");
        let first = bound.reserve.release();
        let second = bound.reserve.release();
        assert!(first.is_some() && second.is_some());
        drop((client, accepted));
    }
}
