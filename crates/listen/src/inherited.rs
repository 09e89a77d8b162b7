//! Listening sockets that the process did not open itself: passed by a service manager, or by the process before it.
//!
//! What must never happen here: a socket that was passed and that nobody accepts from. Its clients would wait without an
//! answer, so the start fails instead.

use std::env::VarError;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;

use listenfd::ListenFd;
use socket2::{SockRef, Type};

/// Listening sockets to be used instead of new ones.
#[derive(Debug, Default)]
pub struct Inherited(Vec<InheritedSocket>);

#[derive(Debug)]
struct InheritedSocket {
    /// The name in `LISTEN_FDNAMES`.
    name: Option<String>,
    address: SocketAddr,
    socket: TcpListener,
}

/// Why inherited sockets cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InheritError {
    /// There are more or fewer names than sockets.
    #[error(
        "LISTEN_FDNAMES has {names} names and LISTEN_FDS counts {sockets} sockets: expected one name for each socket, \
         separated by `:`"
    )]
    Names {
        /// Names in `LISTEN_FDNAMES`.
        names: usize,
        /// Sockets by `LISTEN_FDS`.
        sockets: usize,
    },
    /// `LISTEN_FDNAMES` cannot be read.
    #[error("LISTEN_FDNAMES is not UTF-8: set FileDescriptorName= to the names of listeners")]
    NotText,
    /// A socket does not listen for TCP connections.
    #[error(
        "inherited socket {number} ({}): {found}; expected a listening TCP socket (ListenStream= with Accept=no)",
        shown(name.as_deref())
    )]
    Unusable {
        /// Its position, from 1.
        number: usize,
        /// Its name, where it has one.
        name: Option<String>,
        /// What it is.
        found: String,
    },
    /// No listener uses some of the sockets.
    #[error(
        "no listener uses these inherited sockets: {}; expected FileDescriptorName= with the name of a listener ({}), \
         or the address of a `bind`",
        sockets.join(", "),
        listeners.join(", ")
    )]
    Unused {
        /// Address and name of each.
        sockets: Vec<String>,
        /// The names that a socket may have.
        listeners: Vec<String>,
    },
}

// === impl Inherited ===

impl Inherited {
    /// Takes the sockets of `LISTEN_FDS`, if `LISTEN_PID` is this process (`sd_listen_fds(3)`).
    ///
    /// # Errors
    /// [`InheritError`] when one of them cannot be used.
    pub fn from_environment() -> Result<Self, InheritError> {
        let names = match std::env::var("LISTEN_FDNAMES") {
            Ok(names) => Some(names),
            Err(VarError::NotPresent) => None,
            Err(VarError::NotUnicode(_)) => return Err(InheritError::NotText),
        };
        let mut passed = ListenFd::from_env();
        let names = names_of(names.as_deref(), passed.len())?;
        let mut sockets = Vec::with_capacity(passed.len());
        for (index, name) in names.into_iter().enumerate() {
            let taken = passed.take_tcp_listener(index).map_err(|error| error.to_string());
            let socket = match taken {
                Ok(Some(socket)) => InheritedSocket::new(socket, name.clone()),
                Ok(None) => continue,
                Err(found) => Err(found),
            };
            let number = index + 1;
            sockets.push(socket.map_err(|found| InheritError::Unusable { number, name, found })?);
        }
        Ok(Self(sockets))
    }

    /// Takes sockets that another process has passed.
    ///
    /// # Errors
    /// [`InheritError::Unusable`] when one of them does not listen for TCP connections.
    pub fn from_descriptors(descriptors: Vec<OwnedFd>) -> Result<Self, InheritError> {
        let mut sockets = Vec::with_capacity(descriptors.len());
        for (index, descriptor) in descriptors.into_iter().enumerate() {
            let socket = InheritedSocket::new(TcpListener::from(descriptor), None)
                .map_err(|found| InheritError::Unusable { number: index + 1, name: None, found })?;
            sockets.push(socket);
        }
        Ok(Self(sockets))
    }

    /// Returns how many sockets nothing has used yet.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Takes the socket for `address`, which is one of `addresses` of the listener `name`: that which is bound to it, or
    /// else one with the listener's name that is bound to none of `addresses`.
    pub(crate) fn take(
        &mut self,
        name: &str,
        address: SocketAddr,
        addresses: &[SocketAddr],
    ) -> Option<TcpListener> {
        let by_address = self.0.iter().position(|socket| socket.address == address);
        let index = match by_address {
            Some(index) => index,
            None => self.0.iter().position(|socket| socket.is_named(name, addresses))?,
        };
        Some(self.0.swap_remove(index).socket)
    }

    /// Checks that every socket is used.
    ///
    /// # Errors
    /// [`InheritError::Unused`]; `listeners` are the names that a socket may have.
    pub fn check_used(&self, listeners: Vec<String>) -> Result<(), InheritError> {
        if self.0.is_empty() {
            return Ok(());
        }
        Err(InheritError::Unused {
            sockets: self.0.iter().map(InheritedSocket::describe).collect(),
            listeners,
        })
    }
}

// === impl InheritedSocket ===

impl InheritedSocket {
    /// # Errors
    /// Returns what the socket is, if it does not listen for TCP connections.
    fn new(socket: TcpListener, name: Option<String>) -> Result<Self, String> {
        let checked = SockRef::from(&socket);
        let is_listening = checked.is_listener().map_err(|error| error.to_string())?;
        if !is_listening || !matches!(checked.r#type(), Ok(Type::STREAM)) {
            return Err("it does not listen".to_owned());
        }
        let address = socket.local_addr().map_err(|error| error.to_string())?;
        socket.set_nonblocking(true).map_err(|error| error.to_string())?;
        Ok(Self { name, address, socket })
    }

    /// Returns whether the socket has this name and is bound to none of `addresses`.
    fn is_named(&self, name: &str, addresses: &[SocketAddr]) -> bool {
        self.name.as_deref() == Some(name) && !addresses.contains(&self.address)
    }

    fn describe(&self) -> String {
        format!("{} ({})", self.address, shown(self.name.as_deref()))
    }
}

/// Returns the name of each of `count` sockets.
fn names_of(names: Option<&str>, count: usize) -> Result<Vec<Option<String>>, InheritError> {
    let Some(names) = names.filter(|_| count > 0) else { return Ok(vec![None; count]) };
    let names: Vec<Option<String>> = names.split(':').map(|name| Some(name.to_owned())).collect();
    if names.len() != count {
        return Err(InheritError::Names { names: names.len(), sockets: count });
    }
    Ok(names)
}

fn shown(name: Option<&str>) -> String {
    match name {
        Some(name) => format!("name `{name}`"),
        None => "without a name".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn socket(name: Option<&str>) -> InheritedSocket {
        let socket = TcpListener::bind("127.0.0.1:0").expect("a socket");
        InheritedSocket::new(socket, name.map(str::to_owned)).expect("it listens")
    }

    #[test]
    fn a_socket_is_found_by_address_and_else_by_name() {
        let first = socket(Some("imap"));
        let second = socket(Some("imap"));
        let bound = second.address;
        let elsewhere: SocketAddr = "192.0.2.1:993".parse().expect("an address");
        let addresses = [elsewhere, bound];
        let other = first.address;
        let mut inherited = Inherited(vec![second, first, socket(Some("pop3"))]);
        let taken = inherited.take("imap", elsewhere, &addresses).expect("by name");
        assert_eq!(
            taken.local_addr().ok(),
            Some(other),
            "not the one that is bound to another address of the listener"
        );
        let taken = inherited.take("smtp", bound, &addresses).expect("by address, whatever the name");
        assert_eq!(taken.local_addr().ok(), Some(bound));
        assert!(inherited.take("imap", elsewhere, &addresses).is_none());
        let error =
            inherited.check_used(vec!["imap".to_owned(), "smtp".to_owned()]).expect_err("pop3 is left");
        let text = error.to_string();
        assert!(
            text.contains("(name `pop3`)") && text.contains("the name of a listener (imap, smtp)"),
            "{text}"
        );
    }

    #[test]
    fn only_listening_tcp_sockets_are_accepted() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a socket");
        let connected =
            std::net::TcpStream::connect(listener.local_addr().expect("an address")).expect("connected");
        let datagrams = std::net::UdpSocket::bind("127.0.0.1:0").expect("a socket");
        for descriptor in [OwnedFd::from(connected), OwnedFd::from(datagrams)] {
            let error = Inherited::from_descriptors(vec![descriptor]).expect_err("it does not listen");
            assert!(error.to_string().contains("expected a listening TCP socket"), "{error}");
        }
        assert_eq!(
            Inherited::from_descriptors(vec![OwnedFd::from(listener)]).expect("it listens").count(),
            1
        );
    }

    #[test]
    fn every_socket_has_a_name_or_none_has() {
        assert_eq!(names_of(None, 2).expect("no names"), [None, None]);
        assert_eq!(names_of(Some("a:b"), 2).expect("two"), [Some("a".to_owned()), Some("b".to_owned())]);
        let error = names_of(Some("a:b"), 3).expect_err("one is missing").to_string();
        assert!(error.contains("2 names") && error.contains("3 sockets"), "{error}");
        assert!(names_of(Some("left over"), 0).expect("no sockets").is_empty());
    }
}
