//! A listening socket and its accept loop.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

use plan::Listener;
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

/// Pause after an error that would repeat at once (no descriptor left), so that the loop does not spin.
const PAUSE: Duration = Duration::from_millis(100);
/// Time between two log lines about such an error.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

// === impl BoundListener ===

impl BoundListener {
    /// Accepts from a listening socket. Call it on the runtime.
    pub(crate) fn new(socket: std::net::TcpListener) -> io::Result<Self> {
        let socket = TcpListener::from_std(socket)?;
        Ok(Self {
            address: socket.local_addr()?,
            socket,
            reserve: FdReserve::default(),
            last_logged: Mutex::default(),
        })
    }

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

impl AsFd for BoundListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Returns whether `error` concerns only the connection that was to be accepted (accept(2)), not the listener.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    )
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;
    use crate::binder::Binder;

    async fn accept(bound: &BoundListener) -> Accepted {
        bound.accept_for("test", &ConnectionLimiter::new(), 8, 0).await
    }

    #[tokio::test]
    async fn the_unspecified_ipv6_address_alone_serves_ipv4() {
        let any_ipv6 = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0));
        let bound = Binder::default().bind_all("test", "test", &[any_ipv6], 8).expect("bound").remove(0);
        let port = bound.address.port();
        let client = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.expect("served over IPv4");
        let accepted = accept(&bound).await;
        assert_eq!(accepted.peer, client.local_addr().expect("an address"), "shown as IPv4");
        assert_eq!(accepted.local, SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        let client = TcpStream::connect((Ipv6Addr::LOCALHOST, port)).await.expect("served over IPv6");
        assert_eq!(accept(&bound).await.peer, client.local_addr().expect("an address"));
    }

    /// Other parts of the process may use a released descriptor, so none may be free when its connection ends.
    #[tokio::test]
    async fn the_next_connection_refills_a_lost_reserve() {
        let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let bound =
            Binder::default().bind_all("test", "test", &[loopback], 1).expect("bound").remove(0).reserving(2);
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
