//! Opens the listening sockets of a plan, or uses inherited ones.

use std::collections::BTreeSet;
use std::io;
use std::net::{SocketAddr, TcpListener};

use plan::{Listener, Plan};
use socket2::{Domain, Protocol, Socket, Type};

use crate::bound::BoundListener;
use crate::inherited::Inherited;

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
/// Opens the listening sockets of one plan.
#[derive(Debug, Default)]
pub struct Binder {
    /// The ports that the plan binds for IPv4. On any other port, `[::]` accepts IPv4 too.
    ipv4_ports: BTreeSet<u16>,
    inherited: Inherited,
}

// === impl Binder ===

impl Binder {
    /// Returns what opens the sockets of `plan`, those of the management API included. Inherited sockets are used before
    /// new ones are opened.
    #[must_use]
    pub fn new(plan: &Plan, inherited: Inherited) -> Self {
        let listeners = plan.listeners.iter().flat_map(|listener| &listener.bind);
        let admin = plan.admin.iter().flat_map(|admin| &admin.bind);
        Self { ipv4_ports: ipv4_ports(listeners.chain(admin)), inherited }
    }

    /// Binds every address of `listener`.
    ///
    /// # Errors
    /// Returns the first address that cannot be bound.
    pub fn bind(&mut self, listener: &Listener) -> Result<Vec<BoundListener>, BindError> {
        self.bind_all(&format!("listener.{}", listener.name), &listener.name, &listener.bind, BACKLOG)
    }

    /// Binds every one of `addresses`. `table` is the configuration table that names them, `name` the name of an inherited
    /// socket for them, and `backlog` the number of connections that the kernel queues until they are accepted. `[::]`
    /// accepts IPv4 too, unless its port is bound for IPv4.
    ///
    /// # Errors
    /// Returns the first address that cannot be bound.
    pub fn bind_all(
        &mut self,
        table: &str,
        name: &str,
        addresses: &[SocketAddr],
        backlog: i32,
    ) -> Result<Vec<BoundListener>, BindError> {
        let mut listeners = Vec::with_capacity(addresses.len());
        for &address in addresses {
            let socket = match self.inherited.take(name, address, addresses) {
                Some(inherited) => Ok(inherited),
                None => open(address, self.accepts_ipv4(address), backlog),
            };
            match socket.and_then(BoundListener::new) {
                Ok(bound) => listeners.push(bound),
                Err(error) => return Err(BindError { table: table.to_owned(), address, error }),
            }
        }
        Ok(listeners)
    }

    /// Returns the inherited sockets that nothing has used.
    #[must_use]
    pub const fn unused(&self) -> &Inherited {
        &self.inherited
    }

    /// Returns whether `address` accepts IPv4 too: it is `[::]`, and its port is not bound for IPv4.
    fn accepts_ipv4(&self, address: SocketAddr) -> bool {
        address.is_ipv6() && address.ip().is_unspecified() && !self.ipv4_ports.contains(&address.port())
    }
}

fn ipv4_ports<'a>(addresses: impl Iterator<Item = &'a SocketAddr>) -> BTreeSet<u16> {
    addresses.filter(|address| address.is_ipv4()).map(SocketAddr::port).collect()
}

fn open(address: SocketAddr, is_dual_stack: bool, backlog: i32) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        // Set in both cases, since the system's default (`net.ipv6.bindv6only`) varies.
        socket.set_only_v6(!is_dual_stack)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(backlog)?;
    Ok(socket.into())
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

    fn binder(bound_for_ipv4: &str) -> Binder {
        let address = bound_for_ipv4.parse().expect("an address");
        Binder { ipv4_ports: ipv4_ports([address].iter()), inherited: Inherited::default() }
    }

    #[tokio::test]
    async fn both_families_can_be_bound_to_one_port() {
        let ipv4 = open(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), false, 8).expect("bound");
        let ipv4 = ipv4.local_addr().expect("an address");
        let any_ipv6 = SocketAddr::from((Ipv6Addr::UNSPECIFIED, ipv4.port()));
        let mut binder = binder(&ipv4.to_string());
        binder.bind_all("test", "test", &[any_ipv6], 8).expect("IPv6 only, so the port is free");
    }

    #[test]
    fn only_the_unspecified_ipv6_address_accepts_ipv4() {
        let binder = binder("192.0.2.1:143");
        for (address, expected) in
            [("[::]:993", true), ("[::1]:993", false), ("0.0.0.0:993", false), ("[::]:143", false)]
        {
            assert_eq!(binder.accepts_ipv4(address.parse().expect("an address")), expected, "{address}");
        }
    }

    #[tokio::test]
    async fn an_inherited_socket_is_used_instead_of_a_new_one() {
        let passed = open(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), false, 8).expect("bound");
        let address = passed.local_addr().expect("an address");
        let inherited = Inherited::from_descriptors(vec![passed.into()]).expect("it listens");
        let mut binder = Binder { inherited, ..Binder::default() };
        let bound = binder.bind_all("test", "test", &[address], 8).expect("the address is taken, by itself");
        assert_eq!((bound[0].address, binder.unused().count()), (address, 0));
        let error = binder.bind_all("test", "test", &[address], 8).expect_err("used once");
        assert_eq!(error.error.kind(), io::ErrorKind::AddrInUse);
    }
}
