//! Reports the state of the program to the service manager, in the protocol of `sd_notify(3)`.
//!
//! systemd starts what depends on the proxy after `READY=1`, and restarts a proxy whose `WATCHDOG=1` stays away. What
//! must never happen here: a service manager that does not read stops the proxy, or its absence costs anything.
//! The messages are sent without a library: `sd-notify` 0.5 takes an abstract address (`@…`) for a path.

use std::env::VarError;
use std::fmt::Write as _;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tokio::time::timeout;

/// How long a message may wait for a service manager that does not read.
const SEND_TIMEOUT: Duration = Duration::from_secs(1);
/// How much longer the service manager is asked to wait for the next message of a drain.
pub(crate) const DRAIN_EXTENSION: Duration = Duration::from_secs(10);

/// The service manager that started the program, if there is one.
#[derive(Debug)]
pub(crate) struct ServiceManager {
    /// The address in `NOTIFY_SOCKET`.
    address: Option<SocketAddr>,
    /// The longest time between two messages of the watchdog, where the service manager has one for this process.
    watchdog: Option<Duration>,
}

/// A state of the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// Every listener is open and the configuration is in force.
    Ready,
    /// A reload has begun; [`State::Ready`] follows, whether it was accepted or refused.
    Reloading,
    /// The drain has begun.
    Stopping,
    /// The drain goes on: more time is needed.
    Draining,
    /// The program works.
    Alive,
}

// === impl ServiceManager ===

impl ServiceManager {
    /// Reads `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID`. A value that cannot be used is logged and ignored.
    pub(crate) fn from_environment() -> Self {
        let address = match std::env::var("NOTIFY_SOCKET") {
            Ok(value) => match parse_address(&value) {
                Ok(address) => Some(address),
                Err(error) => {
                    tracing::warn!(
                        NOTIFY_SOCKET = value,
                        %error,
                        "the service manager is not notified: expected an absolute path or @NAME"
                    );
                    None
                }
            },
            Err(VarError::NotPresent) => None,
            Err(error @ VarError::NotUnicode(_)) => {
                tracing::warn!(%error, "the service manager is not notified: NOTIFY_SOCKET is not UTF-8");
                None
            }
        };
        let watchdog = address.as_ref().and_then(|_| {
            let pid = std::env::var("WATCHDOG_PID").ok();
            watchdog(&std::env::var("WATCHDOG_USEC").ok()?, pid.as_deref())
        });
        Self { address, watchdog }
    }

    /// Returns the longest time between two [`State::Alive`], where there is a watchdog.
    pub(crate) const fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    /// Returns whether there is a service manager that reads messages.
    pub(crate) const fn is_present(&self) -> bool {
        self.address.is_some()
    }

    /// Sends a state, and the line that `systemctl status` shows. Failures are logged: they do not stop the program.
    pub(crate) async fn notify(&self, state: State, status: &str) {
        let Some(address) = &self.address else { return };
        let message = message(state, status);
        if let Err(error) = send(address, message.as_bytes()).await {
            tracing::warn!(%error, ?state, "the service manager was not notified");
        }
    }
}

/// Returns the address that `value` names: an absolute path, or `@` and an abstract name.
fn parse_address(value: &str) -> io::Result<SocketAddr> {
    match value.strip_prefix('@') {
        Some(name) if !name.is_empty() => SocketAddr::from_abstract_name(name),
        None if value.starts_with('/') => SocketAddr::from_pathname(value),
        _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "not an address of a Unix socket")),
    }
}

/// Returns the interval of the watchdog, if it is meant for this process.
fn watchdog(microseconds: &str, pid: Option<&str>) -> Option<Duration> {
    let own_pid = std::process::id().to_string();
    let is_ours = pid.is_none_or(|pid| pid == own_pid);
    let microseconds = microseconds.parse().ok().filter(|&microseconds| microseconds > 0)?;
    is_ours.then_some(Duration::from_micros(microseconds))
}

/// Returns the datagram for a state. `status` is one line: a further line would be read as another assignment.
fn message(state: State, status: &str) -> String {
    let mut message = match state {
        State::Ready => "READY=1\n".to_owned(),
        State::Reloading => format!("RELOADING=1\nMONOTONIC_USEC={}\n", monotonic_microseconds()),
        State::Stopping => format!("STOPPING=1\n{}", extension()),
        State::Draining => extension(),
        State::Alive => "WATCHDOG=1\n".to_owned(),
    };
    let line: String = status.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    // Writing to a string does not fail.
    let _ = writeln!(message, "STATUS={line}");
    message
}

/// Asks for more time than `TimeoutStopSec`, since `shutdown_grace` may be longer.
fn extension() -> String {
    format!("EXTEND_TIMEOUT_USEC={}\n", DRAIN_EXTENSION.as_micros())
}

/// Returns the time of the monotonic clock, by which systemd orders the messages of a reload.
fn monotonic_microseconds() -> i64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec.saturating_mul(1_000_000).saturating_add(now.tv_nsec / 1000)
}

/// Sends one datagram. Connects each time, so that a service manager which was restarted is found again.
async fn send(address: &SocketAddr, message: &[u8]) -> io::Result<()> {
    let socket = UnixDatagram::unbound()?;
    socket.connect_addr(address)?;
    socket.set_nonblocking(true)?;
    let socket = tokio::net::UnixDatagram::from_std(socket)?;
    timeout(SEND_TIMEOUT, socket.send(message)).await.map_err(|_| io::ErrorKind::TimedOut)??;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(socket: &UnixDatagram) -> String {
        let mut buffer = [0; 1024];
        let length = socket.recv(&mut buffer).expect("a message");
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }

    fn manager(address: &str) -> ServiceManager {
        ServiceManager { address: Some(parse_address(address).expect("an address")), watchdog: None }
    }

    #[tokio::test]
    async fn messages_reach_a_path_and_an_abstract_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("notify").display().to_string();
        let name = format!("@pointsman-test-{}", std::process::id());
        for address in [path, name] {
            let parsed = parse_address(&address).expect("an address");
            let socket = UnixDatagram::bind_addr(&parsed).expect("bound");
            manager(&address).notify(State::Ready, "2 listeners").await;
            assert_eq!(received(&socket), "READY=1\nSTATUS=2 listeners\n", "{address}");
        }
    }

    #[test]
    fn a_message_has_the_assignments_of_its_state() {
        assert_eq!(message(State::Alive, "5 sessions"), "WATCHDOG=1\nSTATUS=5 sessions\n");
        assert_eq!(message(State::Stopping, "x"), "STOPPING=1\nEXTEND_TIMEOUT_USEC=10000000\nSTATUS=x\n");
        assert_eq!(message(State::Draining, "x"), "EXTEND_TIMEOUT_USEC=10000000\nSTATUS=x\n");
        assert_eq!(message(State::Ready, "a\nMAINPID=1"), "READY=1\nSTATUS=a MAINPID=1\n");
        let before = monotonic_microseconds();
        let reloading = message(State::Reloading, "x");
        let time = reloading.lines().find_map(|line| line.strip_prefix("MONOTONIC_USEC="));
        let time: i64 = time.expect("a time").parse().expect("a number");
        assert!(before <= time && time <= monotonic_microseconds(), "{reloading}");
    }

    #[test]
    fn only_addresses_of_unix_sockets_are_accepted() {
        for bad in ["", "@", "notify", "vsock:2:1234"] {
            assert!(parse_address(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_watchdog_is_for_the_process_that_it_names() {
        let own_pid = std::process::id().to_string();
        let second = Some(Duration::from_secs(1));
        assert_eq!(watchdog("1000000", None), second);
        assert_eq!(watchdog("1000000", Some(&own_pid)), second);
        assert_eq!(watchdog("1000000", Some("1")), None);
        assert_eq!(watchdog("0", None), None);
        assert_eq!(watchdog("soon", None), None);
    }

    /// A service manager that does not read delays one message by [`SEND_TIMEOUT`], and nothing else.
    #[tokio::test(start_paused = true)]
    async fn a_full_socket_does_not_stop_the_program() {
        let name = format!("@pointsman-full-{}", std::process::id());
        let address = parse_address(&name).expect("an address");
        let _socket = UnixDatagram::bind_addr(&address).expect("bound");
        let mut sent = 0;
        while send(&address, b"WATCHDOG=1").await.is_ok() {
            sent += 1;
            assert!(sent < 100_000, "the queue of the socket has a bound");
        }
        let error = send(&address, b"WATCHDOG=1").await.expect_err("full");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
