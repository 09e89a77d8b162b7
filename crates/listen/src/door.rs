//! Listening sockets and the accept loop.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use config::plan::Listener;
use socket2::{Domain, Protocol as SocketProtocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};

use crate::places::{Full, Place, Places};

/// One listening socket.
#[derive(Debug)]
pub struct Door {
    /// Where it is bound.
    pub address: SocketAddr,
    socket: TcpListener,
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
    pub place: Result<Place, Full>,
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

/// Binds every address of `listener`.
///
/// # Errors
/// The first address that cannot be had.
pub fn bind(listener: &Listener) -> Result<Vec<Door>, BindError> {
    bind_all(&format!("listener.{}", listener.name), &listener.bind, BACKLOG)
}

/// Binds every one of `addresses`; `table` is where the configuration names them, and `backlog` how many
/// connections the kernel keeps while nobody accepts.
///
/// # Errors
/// The first address that cannot be had.
pub fn bind_all(table: &str, addresses: &[SocketAddr], backlog: i32) -> Result<Vec<Door>, BindError> {
    let bind_one = |address: &SocketAddr| {
        open(*address, backlog).map_err(|error| BindError {
            table: table.to_owned(),
            address: *address,
            error,
        })
    };
    addresses.iter().map(bind_one).collect()
}

fn open(address: SocketAddr, backlog: i32) -> io::Result<Door> {
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
    Ok(Door { address: socket.local_addr()?, socket })
}

// === impl Door ===

impl Door {
    /// The next connection, with a place of `listener`'s if there is one.
    /// Out of descriptors, it waits and tries again. Cancel-safe.
    pub async fn accept(&self, listener: &Arc<Listener>, places: &Places) -> Accepted {
        self.accept_for(&listener.name, places, listener.max_connections, listener.max_connections_per_ip)
            .await
    }

    /// The next connection, with a place if there is one by these limits (as of [`Places::take`]); `name` is for
    /// the log. Out of descriptors, it waits and tries again. Cancel-safe.
    pub async fn accept_for(
        &self,
        name: &str,
        places: &Places,
        limit: usize,
        limit_per_address: usize,
    ) -> Accepted {
        loop {
            match self.socket.accept().await {
                Ok((stream, peer)) => {
                    let local = stream.local_addr().unwrap_or(self.address);
                    let place = places.take(peer.ip(), limit, limit_per_address);
                    return Accepted { stream, peer, local, place };
                }
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    tracing::error!(listener = name, %error, "cannot accept connections, trying again");
                    tokio::time::sleep(PAUSE).await;
                }
            }
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
