//! Listening sockets and the accept loop.

use std::collections::BTreeSet;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

use plan::{Listener, Plan};
use socket2::{Domain, Protocol as SocketProtocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};

use types::outcome::ConnectionRefusal;

use crate::limiter::{ConnectionLimiter, Permit};
use crate::origin::canonical;
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
    /// The remote address; a mapped one (`::ffff:192.0.2.1`) as IPv4.
    pub peer: SocketAddr,
    /// The local address; a mapped one as IPv4.
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

/// The ports that a plan binds for IPv4. On any other port, `[::]` accepts IPv4 too.
#[derive(Debug, Clone, Default)]
pub struct Ipv4Ports(BTreeSet<u16>);

/// Binds every address of `listener`.
///
/// # Errors
/// Returns the first address that cannot be bound.
pub fn bind(listener: &Listener, ipv4_ports: &Ipv4Ports) -> Result<Vec<BoundListener>, BindError> {
    bind_all(&format!("listener.{}", listener.name), &listener.bind, ipv4_ports, BACKLOG)
}

/// Binds every one of `addresses`. `table` is the configuration table that names them, and `backlog` the number of
/// connections that the kernel queues until they are accepted. `[::]` accepts IPv4 too, unless its port is one of
/// `ipv4_ports`.
///
/// # Errors
/// Returns the first address that cannot be bound.
pub fn bind_all(
    table: &str,
    addresses: &[SocketAddr],
    ipv4_ports: &Ipv4Ports,
    backlog: i32,
) -> Result<Vec<BoundListener>, BindError> {
    let mut listeners = Vec::with_capacity(addresses.len());
    for &address in addresses {
        match open(address, ipv4_ports.accepts_ipv4(address), backlog) {
            Ok(bound) => listeners.push(bound),
            Err(error) => return Err(BindError { table: table.to_owned(), address, error }),
        }
    }
    Ok(listeners)
}

fn open(address: SocketAddr, is_dual_stack: bool, backlog: i32) -> io::Result<BoundListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(SocketProtocol::TCP))?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        // Set in both cases, since the system's default (`net.ipv6.bindv6only`) varies.
        socket.set_only_v6(!is_dual_stack)?;
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

// === impl Ipv4Ports ===

impl Ipv4Ports {
    /// Returns the ports that `plan` binds for IPv4, those of the management API included.
    #[must_use]
    pub fn of(plan: &Plan) -> Self {
        let listeners = plan.listeners.iter().flat_map(|listener| &listener.bind);
        let admin = plan.admin.iter().flat_map(|admin| &admin.bind);
        Self::of_addresses(listeners.chain(admin))
    }

    fn of_addresses<'a>(addresses: impl Iterator<Item = &'a SocketAddr>) -> Self {
        Self(addresses.filter(|address| address.is_ipv4()).map(SocketAddr::port).collect())
    }

    /// Returns whether `address` accepts IPv4 too: it is `[::]`, and its port is not bound for IPv4.
    fn accepts_ipv4(&self, address: SocketAddr) -> bool {
        address.is_ipv6() && address.ip().is_unspecified() && !self.0.contains(&address.port())
    }
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
        let (stream, peer, reserved_fd) = self.accept_stream(&listener.name).await;
        let permit = limiter.take_for(listener, peer.ip());
        self.accepted(stream, peer, permit, reserved_fd)
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
        let permit = limiter.take(peer.ip(), limit, limit_per_address);
        self.accepted(stream, peer, permit, reserved_fd)
    }

    fn accepted(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        permit: Result<Permit, ConnectionRefusal>,
        reserved_fd: Option<ReservedFd>,
    ) -> Accepted {
        let local = canonical(stream.local_addr().unwrap_or(self.address));
        Accepted { stream, peer: canonical(peer), local, permit, reserved_fd }
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
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    async fn accept(bound: &BoundListener) -> Accepted {
        bound.accept_for("test", &ConnectionLimiter::new(), 8, 0).await
    }

    #[tokio::test]
    async fn the_unspecified_ipv6_address_alone_serves_ipv4() {
        let any_ipv6 = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0));
        let bound = bind_all("test", &[any_ipv6], &Ipv4Ports::default(), 8).expect("bound").remove(0);
        let port = bound.address.port();
        let client = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.expect("served over IPv4");
        let accepted = accept(&bound).await;
        assert_eq!(accepted.peer, client.local_addr().expect("an address"), "shown as IPv4");
        assert_eq!(accepted.local, SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        let client = TcpStream::connect((Ipv6Addr::LOCALHOST, port)).await.expect("served over IPv6");
        assert_eq!(accept(&bound).await.peer, client.local_addr().expect("an address"));
    }

    #[tokio::test]
    async fn both_families_can_be_bound_to_one_port() {
        let ipv4 = open(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), false, 8).expect("bound");
        let any_ipv6 = SocketAddr::from((Ipv6Addr::UNSPECIFIED, ipv4.address.port()));
        let ports = Ipv4Ports::of_addresses([ipv4.address, any_ipv6].iter());
        bind_all("test", &[any_ipv6], &ports, 8).expect("IPv6 only, so the port is free");
        for (address, expected) in
            [("[::]:993", true), ("[::1]:993", false), ("0.0.0.0:993", false), ("[::]:143", false)]
        {
            let ports = Ipv4Ports::of_addresses(["192.0.2.1:143".parse().expect("address")].iter());
            assert_eq!(ports.accepts_ipv4(address.parse().expect("address")), expected, "{address}");
        }
    }

    /// Other parts of the process may use a released descriptor, so none may be free when its connection ends.
    #[tokio::test]
    async fn the_next_connection_refills_a_lost_reserve() {
        let bound = open(SocketAddr::from(([127, 0, 0, 1], 0)), false, 1).expect("an address").reserving(2);
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
