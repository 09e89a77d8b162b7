//! Socket options of both legs.

use std::io;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;

/// Idle time before the first keepalive probe; NATs forget the connections of sleeping mobile clients within minutes.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(60);
/// Time between probes.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// Unanswered probes after which the connection ends.
const KEEPALIVE_PROBES: u32 = 6;
/// Unacknowledged data older than this ends the connection: as long as the probes would take.
const USER_TIMEOUT: Duration = Duration::from_secs(120);

/// Sets keepalive, `TCP_USER_TIMEOUT` and `TCP_NODELAY`.
///
/// # Errors
/// Returns the kernel's error when it refuses one of them.
pub fn tune(stream: &TcpStream) -> io::Result<()> {
    let socket = SockRef::from(stream);
    let keepalive = TcpKeepalive::new()
        .with_time(KEEPALIVE_IDLE)
        .with_interval(KEEPALIVE_INTERVAL)
        .with_retries(KEEPALIVE_PROBES);
    socket.set_tcp_keepalive(&keepalive)?;
    socket.set_tcp_user_timeout(Some(USER_TIMEOUT))?;
    stream.set_nodelay(true)
}
