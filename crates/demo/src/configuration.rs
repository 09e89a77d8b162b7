//! The proxy's configuration for the demo: as short as one can be, and a first example of the file.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;

use crate::folder::Folder;
use crate::server::Endpoints;

/// Where the demo's proxy listens, on 127.0.0.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    /// IMAP, encrypted from the first byte.
    pub imaps: u16,
    /// IMAP with STARTTLS.
    pub imap: u16,
    /// POP3, encrypted from the first byte.
    pub pop3s: u16,
    /// The management API and its dashboard.
    pub admin: u16,
}

// === impl Ports ===

impl Ports {
    /// What is tried first: the well-known ports, 10000 higher, which need no rights.
    pub const PREFERRED: Self = Self { imaps: 10_993, imap: 10_143, pop3s: 10_995, admin: 19_443 };

    /// The preferred ports, or other free ones for those that are taken. They are free when this returns;
    /// nobody keeps them so.
    ///
    /// # Errors
    /// When no port at all can be bound on 127.0.0.1.
    pub fn pick() -> io::Result<Self> {
        // All are held until each is known, so that no port is found twice.
        let imaps = bind(Self::PREFERRED.imaps)?;
        let imap = bind(Self::PREFERRED.imap)?;
        let pop3s = bind(Self::PREFERRED.pop3s)?;
        let admin = bind(Self::PREFERRED.admin)?;
        let port = |listener: &TcpListener| listener.local_addr().map(|address| address.port());
        Ok(Self { imaps: port(&imaps)?, imap: port(&imap)?, pop3s: port(&pop3s)?, admin: port(&admin)? })
    }
}

fn bind(preferred: u16) -> io::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, preferred))
        .or_else(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
}

/// The text of `pointsman.toml` for a proxy in front of two [`crate::Server`]s.
#[must_use]
pub fn configuration(folder: &Folder, old: Endpoints, new: Endpoints, ports: Ports) -> String {
    let listeners = listeners(ports);
    let (certificate, key) = (quoted(&folder.certificate()), quoted(&folder.key()));
    let (state, mapping) = (quoted(folder.path()), quoted(&folder.mapping()));
    let (admin, token) = (ports.admin, quoted(&folder.token()));
    let (old, new) = (destination("old", old), destination("new", new));
    format!(
        r#"# Written by `pointsman demo`; it is removed with its folder when the demo ends.

[server]
hostname = "localhost"
state_dir = {state}

[tls.certificate.demo]
cert = {certificate}
key = {key}
default = true

{listeners}
{old}
{new}
[routing]
default_destination = "old"

[mapping]
source = "file"

[mapping.file]
path = {mapping}
watch = true

[admin]
bind = "127.0.0.1:{admin}"
bearer_token_file = {token}
certificate = "demo"
"#
    )
}

fn listeners(Ports { imaps, imap, pop3s, .. }: Ports) -> String {
    format!(
        r#"[listener.imaps]
protocol = "imap"
bind = ["127.0.0.1:{imaps}"]
tls = "implicit"

[listener.imap]
protocol = "imap"
bind = ["127.0.0.1:{imap}"]
tls = "starttls"

[listener.pop3s]
protocol = "pop3"
bind = ["127.0.0.1:{pop3s}"]
tls = "implicit"
"#
    )
}

fn destination(name: &str, Endpoints { imap, pop3 }: Endpoints) -> String {
    format!(
        r#"[destination.{name}]
host = "{}"
proxy_protocol = false
allow_plaintext_auth = true # loopback only
protocol.imap = {{ port = {}, tls = "plain" }}
protocol.pop3 = {{ port = {}, tls = "plain" }}
"#,
        host(imap),
        imap.port(),
        pop3.port()
    )
}

fn host(address: SocketAddr) -> String {
    address.ip().to_string()
}

/// A TOML basic string. The temporary folder's name comes from the environment.
fn quoted(path: &Path) -> String {
    let mut text = String::from("\"");
    for character in path.to_string_lossy().chars() {
        match character {
            '"' | '\\' => text.extend(['\\', character]),
            _ if character.is_control() => text.push_str(&format!("\\u{:04X}", u32::from(character))),
            _ => text.push(character),
        }
    }
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_file() {
        let folder = Folder::create().unwrap();
        let path = folder.path().to_str().unwrap();
        let endpoints = |imap, pop3| Endpoints {
            imap: (Ipv4Addr::LOCALHOST, imap).into(),
            pop3: (Ipv4Addr::LOCALHOST, pop3).into(),
        };
        let text = configuration(&folder, endpoints(1, 2), endpoints(3, 4), Ports::PREFERRED);
        for line in [
            &format!("state_dir = \"{path}\""),
            &format!("cert = \"{path}/certificate.pem\""),
            &format!("path = \"{path}/mapping\""),
            "bind = [\"127.0.0.1:10993\"]",
            "bind = [\"127.0.0.1:10143\"]",
            "bind = [\"127.0.0.1:10995\"]",
            "bind = \"127.0.0.1:19443\"",
            &format!("bearer_token_file = \"{path}/admin.token\""),
            "[destination.old]",
            "[destination.new]",
            "host = \"127.0.0.1\"",
            "protocol.imap = { port = 1, tls = \"plain\" }",
            "protocol.imap = { port = 3, tls = \"plain\" }",
            "protocol.pop3 = { port = 4, tls = \"plain\" }",
            "default_destination = \"old\"",
        ] {
            assert!(text.lines().any(|have| have == line), "{line:?} is missing in\n{text}");
        }
    }

    #[test]
    fn odd_paths_are_escaped() {
        assert_eq!(quoted(Path::new("/tmp/a \"b\"\\c\n")), "\"/tmp/a \\\"b\\\"\\\\c\\u000A\"");
    }

    #[test]
    fn taken_ports_are_replaced() {
        let first = Ports::pick().unwrap();
        let _held = TcpListener::bind((Ipv4Addr::LOCALHOST, first.imaps));
        let second = Ports::pick().unwrap();
        assert_ne!(second.imaps, first.imaps);
        let ports = [second.imaps, second.imap, second.pop3s, second.admin];
        assert_eq!(ports.into_iter().collect::<std::collections::BTreeSet<_>>().len(), ports.len());
    }
}
