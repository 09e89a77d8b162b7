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
    /// Where it is bound.
    pub address: SocketAddr,
    socket: TcpListener,
    reserve: FdReserve,
    /// When the log was last told that nobody can come in.
    complained: Mutex<Option<Instant>>,
}

/// A connection that came in.
#[derive(Debug)]
pub struct Accepted {
    /// Its socket.
    pub stream: TcpStream,
    /// The other end.
    pub peer: SocketAddr,
    /// Our end.
    pub local: SocketAddr,
    /// Its place, or why there is none: then only a goodbye is left.
    pub permit: Result<Permit, ConnectionRefusal>,
    /// It came in by the door's reserve: to be dropped after the stream.
    pub spare: Option<ReservedFd>,
}

/// A listening socket that could not be had.
#[derive(Debug, thiserror::Error)]
#[error("{table}.bind: cannot listen on {address}: {error}{}", hint(error))]
pub struct BindError {
    /// The table that has it: `listener.NAME`, `admin`.
    pub table: String,
    /// The address.
    pub address: SocketAddr,
    /// What the system said.
    pub error: io::Error,
}

/// Connections that the kernel keeps while we are busy: a reconnect storm's worth.
const BACKLOG: i32 = 4096;
/// Pause after an error that would come back at once (no descriptor left): nothing may spin.
const PAUSE: Duration = Duration::from_millis(100);
/// Between two words of such an error in the log.
const SILENCE: Duration = Duration::from_secs(10);

/// Binds every address of `listener`.
///
/// # Errors
/// The first address that cannot be had.
pub fn bind(listener: &Listener) -> Result<Vec<BoundListener>, BindError> {
    bind_all(&format!("listener.{}", listener.name), &listener.bind, BACKLOG)
}

/// Binds every one of `addresses`; `table` is where the configuration names them, and `backlog` how many
/// connections the kernel keeps while nobody accepts.
///
/// # Errors
/// The first address that cannot be had.
pub fn bind_all(
    table: &str,
    addresses: &[SocketAddr],
    backlog: i32,
) -> Result<Vec<BoundListener>, BindError> {
    let bind_one = |address: &SocketAddr| {
        open(*address, backlog).map_err(|error| BindError {
            table: table.to_owned(),
            address: *address,
            error,
        })
    };
    addresses.iter().map(bind_one).collect()
}

fn open(address: SocketAddr, backlog: i32) -> io::Result<BoundListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(SocketProtocol::TCP))?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        // "::" is IPv6 alone, whatever the system's default: both families are two lines in the file.
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
        complained: Mutex::default(),
    })
}

// === impl BoundListener ===

impl BoundListener {
    /// The same door, which keeps `count` descriptors for when there are no others left.
    #[must_use]
    pub fn reserving(self, count: usize) -> Self {
        Self { reserve: FdReserve::of(count), ..self }
    }

    /// The next connection, with a place of `listener`'s if there is one.
    /// Out of descriptors, it waits and tries again. Cancel-safe.
    pub async fn accept(&self, listener: &Arc<Listener>, limiter: &ConnectionLimiter) -> Accepted {
        self.accept_for(&listener.name, limiter, listener.max_connections, listener.max_connections_per_ip)
            .await
    }

    /// The next connection, with a place if there is one by these limits (as of [`ConnectionLimiter::take`]); `name` is for
    /// the log. Out of descriptors, it waits and tries again. Cancel-safe.
    pub async fn accept_for(
        &self,
        name: &str,
        limiter: &ConnectionLimiter,
        limit: usize,
        limit_per_address: usize,
    ) -> Accepted {
        let accepted = |(stream, peer): (TcpStream, SocketAddr), spare| {
            let local = stream.local_addr().unwrap_or(self.address);
            let permit = limiter.take(peer.ip(), limit, limit_per_address);
            Accepted { stream, peer, local, permit, spare }
        };
        loop {
            let error = match self.socket.accept().await {
                Ok(connection) => {
                    self.reserve.fill();
                    return accepted(connection, None);
                }
                Err(error) if is_of_one_connection(&error) => continue,
                Err(error) => error,
            };
            if let Some(spare) = self.reserve.give().filter(|_| is_out_of_descriptors(&error)) {
                match poll_fn(|context| Poll::Ready(self.socket.poll_accept(context))).await {
                    Poll::Ready(Ok(connection)) => return accepted(connection, Some(spare)),
                    Poll::Ready(Err(_)) => {}
                    // The system says so although nobody waits. The descriptor is taken back before others get it.
                    Poll::Pending => continue,
                }
            }
            self.complain(name, &error);
            tokio::time::sleep(PAUSE).await;
            // Somebody else was quicker to take what had been given up: what is free by now is for the next one here.
            self.reserve.fill();
        }
    }

    /// A flood must not fill the log too.
    fn complain(&self, name: &str, error: &io::Error) {
        let mut complained = self.complained.lock().unwrap_or_else(PoisonError::into_inner);
        if complained.is_none_or(|at| at.elapsed() >= SILENCE) {
            *complained = Some(Instant::now());
            tracing::error!(
                listener = name,
                %error,
                "cannot accept connections, trying again ten times a second; said once in ten seconds"
            );
        }
    }
}

/// Errors of the connection that was to be accepted (accept(2)): the next one may be fine.
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

    /// What was given up in a flood may have gone to others, and nothing of it may be free when its connection ends.
    #[tokio::test]
    async fn a_reserve_that_was_lost_is_there_again_with_the_next_connection() {
        let bound = open(SocketAddr::from(([127, 0, 0, 1], 0)), 1).expect("an address").reserving(2);
        while let Some(spare) = bound.reserve.give() {
            std::mem::forget(spare);
        }
        let client = TcpStream::connect(bound.address).await.expect("a connection");
        let accepted = bound.accept_for("test", &ConnectionLimiter::new(), 1, 0).await;
        assert!(accepted.spare.is_none(), "there were descriptors");
        let again = (bound.reserve.give(), bound.reserve.give());
        assert!(again.0.is_some() && again.1.is_some());
        drop((client, accepted));
    }
}
