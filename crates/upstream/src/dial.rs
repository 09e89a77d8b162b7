//! From a host name to a TCP connection.
//!
//! IPv6 and IPv4 are raced (RFC 8305), so that a broken family costs a client a quarter of a second and not
//! a time-out. What must never happen: a connection to one of our own listeners, which would be a loop.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rustix::io::Errno;
use tokio::net::{TcpSocket, TcpStream, lookup_host};
use tokio::task::JoinSet;
use types::fault::Fault;

/// Connects to one destination.
#[derive(Debug)]
pub(crate) struct Dialler {
    source_ips: Vec<IpAddr>,
    next_source: AtomicUsize,
    /// Our own listeners.
    own: Arc<[SocketAddr]>,
}

/// RFC 8305 section 5: the recommended delay before the next address is tried as well.
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);
/// Addresses of one host that are tried; a name with more is a mistake or an attack.
const MAX_ADDRESSES: usize = 8;

// === impl Dialler ===

impl Dialler {
    pub(crate) fn new(source_ips: Vec<IpAddr>, own: Arc<[SocketAddr]>) -> Self {
        Self { source_ips, next_source: AtomicUsize::new(0), own }
    }

    /// Connects to `host`. The caller bounds the time.
    pub(crate) async fn connect(&self, host: &str, port: u16) -> Result<TcpStream, Fault> {
        let addresses = resolve(host, port).await?;
        if addresses.iter().any(|address| self.is_own(*address)) {
            return Err(Fault::Loop);
        }
        let stream = match addresses[..] {
            [address] => connect(address, self.source(address)).await.map_err(|error| fault(&error))?,
            _ => self.race(&addresses).await?,
        };
        self.check_loop(&stream)?;
        Ok(stream)
    }

    async fn race(&self, addresses: &[SocketAddr]) -> Result<TcpStream, Fault> {
        let mut running = JoinSet::new();
        let mut waiting = addresses.iter();
        let mut last = Fault::Unreachable;
        loop {
            let next = waiting.next();
            if let Some(&address) = next {
                let source = self.source(address);
                running.spawn(connect(address, source));
            } else if running.is_empty() {
                return Err(last);
            }
            let pause = if waiting.len() == 0 { Duration::MAX } else { ATTEMPT_DELAY };
            match tokio::time::timeout(pause, running.join_next()).await {
                Ok(Some(Ok(Ok(stream)))) => return Ok(stream),
                Ok(Some(Ok(Err(error)))) => last = fault(&error),
                // Slow, or ended: the next address gets its turn.
                Ok(Some(Err(_)) | None) | Err(_) => {}
            }
        }
    }

    /// The next local address of the right family, if any is configured.
    fn source(&self, address: SocketAddr) -> Option<IpAddr> {
        let fits = |ip: &&IpAddr| ip.is_ipv4() == address.is_ipv4();
        let count = self.source_ips.iter().filter(fits).count();
        if count == 0 {
            return None;
        }
        let turn = self.next_source.fetch_add(1, Ordering::Relaxed) % count;
        self.source_ips.iter().filter(fits).nth(turn).copied()
    }

    fn is_own(&self, address: SocketAddr) -> bool {
        self.own.iter().any(|own| own.port() == address.port() && own.ip() == address.ip())
    }

    /// A listener on a wildcard address is on every address of this host. Connected to this very host, on
    /// such a port: that is us.
    fn check_loop(&self, stream: &TcpStream) -> Result<(), Fault> {
        let (Ok(peer), Ok(local)) = (stream.peer_addr(), stream.local_addr()) else {
            return Err(Fault::Closed);
        };
        let is_here = peer.ip() == local.ip() || peer.ip().to_canonical().is_loopback();
        let is_ours = self.own.iter().any(|own| own.ip().is_unspecified() && own.port() == peer.port());
        if is_here && is_ours { Err(Fault::Loop) } else { Ok(()) }
    }
}

/// Resolves with the system's resolver, and puts the families in turn, IPv6 first (RFC 8305 section 4).
async fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, Fault> {
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, port)]);
    }
    let found: Vec<SocketAddr> = match lookup_host((host, port)).await {
        Ok(found) => found.collect(),
        Err(error) if is_exhausted(&error) || !has_descriptor() => return Err(Fault::Exhausted),
        Err(_) => return Err(Fault::Dns),
    };
    let (v6, v4): (Vec<_>, Vec<_>) = found.into_iter().partition(SocketAddr::is_ipv6);
    let mut addresses = Vec::new();
    for index in 0..v6.len().max(v4.len()) {
        addresses.extend(v6.get(index).into_iter().chain(v4.get(index)));
    }
    addresses.truncate(MAX_ADDRESSES);
    if addresses.is_empty() { Err(Fault::Dns) } else { Ok(addresses) }
}

async fn connect(address: SocketAddr, source: Option<IpAddr>) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    if let Some(source) = source {
        socket.bind(SocketAddr::new(source, 0))?;
    }
    socket.connect(address).await
}

fn fault(error: &io::Error) -> Fault {
    if is_exhausted(error) {
        return Fault::Exhausted;
    }
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Fault::Refused,
        io::ErrorKind::TimedOut => Fault::ConnectTimeout,
        _ => Fault::Unreachable,
    }
}

/// Returns whether the proxy itself has run out of something: descriptors, memory for sockets, or local ports.
fn is_exhausted(error: &io::Error) -> bool {
    const OURS: [Errno; 5] = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM, Errno::ADDRNOTAVAIL];
    OURS.iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

/// Returns whether a descriptor is free. The resolver reports a name as unknown when it cannot open a socket.
fn has_descriptor() -> bool {
    match std::fs::File::open("/dev/null") {
        Ok(_) => true,
        Err(error) => !is_exhausted(&error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    fn dialler(source_ips: &[&str], own: &[SocketAddr]) -> Dialler {
        let source_ips = source_ips.iter().map(|ip| ip.parse().expect("address")).collect();
        Dialler::new(source_ips, own.into())
    }

    #[tokio::test]
    async fn connects_from_the_configured_addresses_in_turn() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let port = listener.local_addr().expect("address").port();
        let dialler = dialler(&["127.0.0.5", "::1", "127.0.0.6"], &[]);
        let mut seen = Vec::new();
        for _ in 0..3 {
            let _stream = dialler.connect("127.0.0.1", port).await.expect("connect");
            seen.push(listener.accept().await.expect("accept").1.ip().to_string());
        }
        assert_eq!(seen, ["127.0.0.5", "127.0.0.6", "127.0.0.5"]);
    }

    #[test]
    fn our_own_exhaustion_is_not_the_hosts_fault() {
        for (errno, expected) in [
            (Errno::MFILE, Fault::Exhausted),
            (Errno::NFILE, Fault::Exhausted),
            (Errno::NOBUFS, Fault::Exhausted),
            (Errno::ADDRNOTAVAIL, Fault::Exhausted),
            (Errno::CONNREFUSED, Fault::Refused),
            (Errno::NETUNREACH, Fault::Unreachable),
        ] {
            assert_eq!(fault(&io::Error::from_raw_os_error(errno.raw_os_error())), expected, "{errno}");
        }
        assert_eq!(Fault::Exhausted.stage(), types::fault::Stage::Ours);
    }

    #[tokio::test]
    async fn never_connects_to_itself() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let address = listener.local_addr().expect("address");
        let exact = dialler(&[], &[address]);
        assert_eq!(exact.connect("127.0.0.1", address.port()).await.err(), Some(Fault::Loop));
        let wildcard = dialler(&[], &[SocketAddr::new("0.0.0.0".parse().expect("address"), address.port())]);
        assert_eq!(wildcard.connect("127.0.0.1", address.port()).await.err(), Some(Fault::Loop));
    }

    #[tokio::test]
    async fn a_closed_port_is_refused_whichever_way_it_is_named() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let port = listener.local_addr().expect("address").port();
        drop(listener);
        for host in ["127.0.0.1", "localhost"] {
            assert_eq!(dialler(&[], &[]).connect(host, port).await.err(), Some(Fault::Refused), "{host}");
        }
    }

    #[tokio::test]
    async fn a_name_with_two_families_finds_the_one_that_listens() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let port = listener.local_addr().expect("address").port();
        let stream = dialler(&[], &[]).connect("localhost", port).await.expect("connect");
        assert_eq!(stream.peer_addr().expect("peer").port(), port);
    }
}
