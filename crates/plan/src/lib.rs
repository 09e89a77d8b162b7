//! The validated, immutable configuration, as every other crate reads it.
//!
//! Names are resolved, certificates parsed, patterns compiled, defaults filled in. A reload makes a new
//! [`Plan`]; a session keeps the one that it logged in by.

mod admin;
mod destination;
mod http;
mod listener;
mod logins;
mod mapping;
mod moves;
mod name;
mod server;
mod tls;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use types::protocol::Protocol;

pub use admin::{ADMIN_CERTIFICATE, ADMIN_KEY, Admin};
pub use destination::{ClientCertificate, Destination, Forwarding, Leg, Verify};
pub use http::{ExtractFrom, Http, HttpRoute, HttpTarget};
pub use listener::{Listener, ProxyIn, TlsMode};
pub use logins::{Capabilities, OAuth, Resolve, ResolveWith};
pub use mapping::{Mapping, Routing, Source};
pub use moves::{CommandsFromApi, CompareLogin, Moves};
pub use name::Name;
pub use server::{Limits, LogFormat, LogIdentifiers, Server};
pub use tls::{Certificate, Tls};

/// A whole deployment.
#[derive(Debug)]
pub struct Plan {
    /// The file it was read from.
    pub path: PathBuf,
    /// `[server]`.
    pub server: Server,
    /// `[tls]`.
    pub tls: Tls,
    /// `[listener.*]`, in the file's order.
    pub listeners: Vec<Arc<Listener>>,
    /// `[destination.*]` by name.
    pub destinations: BTreeMap<Name, Arc<Destination>>,
    /// `[routing]`.
    pub routing: Routing,
    /// `[mapping]`.
    pub mapping: Mapping,
    /// `[capabilities.*]`, by [`Protocol::index`]; every protocol has one.
    pub capabilities: Vec<Capabilities>,
    /// `[oauth]`.
    pub oauth: OAuth,
    /// `[http]`.
    pub http: Http,
    /// `[admin]`; without it there is no management API.
    pub admin: Option<Admin>,
    /// `[limits]`.
    pub limits: Limits,
    /// `[moves]`.
    pub moves: Moves,
    /// `[cluster].node`; `None` = the host's name.
    pub node: Option<String>,
}

// === impl Plan ===

impl Plan {
    /// Returns the destination of that name. Names in the plan always exist.
    #[must_use]
    pub fn destination(&self, name: &str) -> Option<&Arc<Destination>> {
        self.destinations.get(name)
    }

    /// Returns the `login_domain_separator` of every destination, each once.
    #[must_use]
    pub fn login_domain_separators(&self) -> Vec<String> {
        let declared = self.destinations.values().filter_map(|one| one.login_domain_separator.clone());
        let mut separators: Vec<String> = declared.collect();
        separators.sort_unstable();
        separators.dedup();
        separators
    }

    /// Returns what is advertised for a protocol.
    #[must_use]
    pub fn capabilities(&self, protocol: Protocol) -> &Capabilities {
        &self.capabilities[protocol.index()]
    }

    /// Returns the folders for state in order of preference: the configured one, or the default and then the folder of
    /// the configuration file.
    #[must_use]
    pub fn state_folders(&self) -> Vec<&Path> {
        let beside = self.path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let beside = beside.unwrap_or_else(|| Path::new("."));
        let own = Some(beside).filter(|_| !self.server.state_dir_is_set);
        [self.server.state_dir.as_path()].into_iter().chain(own).collect()
    }
}
