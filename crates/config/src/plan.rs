//! The validated, immutable, shareable form of a configuration: what every other room reads.
//!
//! Names are resolved, certificates parsed, patterns compiled, defaults filled in. A reload makes a new
//! [`Plan`]; a session keeps the one it began with.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use rustls::SupportedCipherSuite;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use wire::attempt::Mechanism;
use wire::protocol::Protocol;
use wire::secret::Secret;

/// The name of a destination, a listener or a certificate.
pub type Name = Arc<str>;

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

/// `[server]`.
#[derive(Debug, Clone)]
pub struct Server {
    /// Worker threads; 0 = one per CPU.
    pub threads: usize,
    /// Name in greetings; `None` = the local socket address.
    pub hostname: Option<String>,
    /// Drain time.
    pub shutdown_grace: Duration,
    /// Idle limit of a bridged session.
    pub bridge_idle: Duration,
    /// Limit for connecting and authenticating to a backend, retries included.
    pub backend_timeout: Duration,
    /// Extra attempts after a retryable connection failure.
    pub backend_connect_retries: u32,
    /// Consecutive failures that mark a destination down; 0 = no circuit breaker.
    pub host_down_threshold: u32,
    /// Client addresses that a streak of post-connect failures must span.
    pub host_down_min_clients: u32,
    /// How long a destination stays down before one probe.
    pub host_down_cooldown: Duration,
    /// Initial forwarding TTL.
    pub proxy_ttl: u8,
    /// A tracing filter.
    pub log_level: String,
    /// `text` or `json`.
    pub log_format: LogFormat,
    /// Accounts in logs: in full or as a keyed hash.
    pub log_identifiers: LogIdentifiers,
    /// Folder for the journal and the audit log.
    pub state_dir: PathBuf,
    /// Whether `state_dir` was written in the file (else an unwritable one may be replaced, with a warning).
    pub state_dir_is_set: bool,
}

/// `server.log_format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// `server.log_identifiers`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogIdentifiers {
    /// As they are.
    Full,
    /// A keyed hash.
    Hash,
}

/// `[tls]`.
#[derive(Debug)]
pub struct Tls {
    /// `[tls.certificate.*]`, in the file's order.
    pub certificates: Vec<Arc<Certificate>>,
    /// `tls.protocols.min_version = "1.3"`.
    pub only_tls13: bool,
    /// Prefer the server's order of cipher suites.
    pub ignore_client_order: bool,
    /// What is left after `disable_cipher_suites`; never empty.
    pub cipher_suites: Vec<SupportedCipherSuite>,
}

/// `[tls.certificate.NAME]`, read and checked.
#[derive(Debug)]
pub struct Certificate {
    /// The table's name.
    pub name: Name,
    /// Where the chain was read from (files are watched).
    pub cert_path: PathBuf,
    /// Where the key was read from.
    pub key_path: PathBuf,
    /// Host names it is chosen for, lower case: the configured ones, else the SANs, else the CN.
    pub subjects: Vec<String>,
    /// Whether `subjects` was configured (else a renewed certificate brings its own).
    pub subjects_are_set: bool,
    /// Chosen when no name matches.
    pub is_default: bool,
    /// Chain and signing key, which belong together.
    pub key: Arc<CertifiedKey>,
    /// SHA-256 of the leaf.
    pub sha256: [u8; 32],
    /// End of validity, seconds since 1970.
    pub not_after: i64,
}

/// `[listener.NAME]`.
#[derive(Debug)]
pub struct Listener {
    /// The table's name.
    pub name: Name,
    /// What is spoken.
    pub protocol: Protocol,
    /// Where; at least one.
    pub bind: Vec<SocketAddr>,
    /// How it is encrypted.
    pub tls: TlsMode,
    /// Whether a PROXY header is taken.
    pub proxy_protocol: ProxyIn,
    /// Who may send one.
    pub proxy_trusted: Vec<IpNet>,
    /// Connections at once.
    pub max_connections: usize,
    /// Connections at once of one address (/64 for IPv6); 0 = no limit.
    pub max_connections_per_ip: usize,
    /// From accept to authenticated.
    pub preauth_timeout: Duration,
    /// Failures after which the connection is closed.
    pub max_auth_attempts: u32,
    /// Fronts whose word on the real client counts.
    pub trusted_fronts: Vec<IpNet>,
    /// HTTP: keep and extend inbound `Forwarded` headers.
    pub trusts_forwarded: bool,
}

/// Encryption of a listener or of a leg.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsMode {
    /// From the first byte.
    Implicit,
    /// After the protocol's STARTTLS.
    StartTls,
    /// Never.
    Plain,
}

/// `listener.*.proxy_protocol`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyIn {
    /// Not read.
    Off,
    /// Read from trusted peers where there is one.
    Optional,
    /// Demanded.
    Required,
}

/// `[destination.NAME]`.
#[derive(Debug)]
pub struct Destination {
    /// The table's name.
    pub name: Name,
    /// Host names or addresses, tried in order; at least one.
    pub hosts: Vec<String>,
    /// Name for SNI and verification; `None` = the host (a name, then).
    pub tls_server_name: Option<String>,
    /// How its certificate is judged.
    pub verify: Verify,
    /// Our certificate, where it asks for one.
    pub client_certificate: Option<Arc<ClientCertificate>>,
    /// HTTP: add `Forwarded` headers.
    pub adds_forwarded: bool,
    /// Credentials may cross a plain leg.
    pub allow_plaintext_auth: bool,
    /// Replace the backend's words for a failed login.
    pub hide_auth_errors: bool,
    /// Local addresses to connect from.
    pub source_ips: Vec<IpAddr>,
    /// Add TLVs to the PROXY header.
    pub proxy_tlvs: bool,
    /// Active checks; `None` = off.
    pub health_interval: Option<Duration>,
    /// `protocol.*`, by [`Protocol::index`].
    pub legs: [Option<Leg>; Protocol::ALL.len()],
}

/// How a destination's certificate is judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verify {
    /// By the platform's roots.
    Platform,
    /// By these roots alone.
    Roots(Vec<CertificateDer<'static>>),
    /// Exactly one of these leaf certificates, by SHA-256.
    Pins(Vec<[u8; 32]>),
    /// Not at all.
    Nothing,
}

/// `tls_client_cert` and `tls_client_key`.
#[derive(Debug)]
pub struct ClientCertificate {
    /// Leaf first.
    pub chain: Vec<CertificateDer<'static>>,
    /// Belongs to the leaf. (rustls redacts its debug form.)
    pub key: PrivateKeyDer<'static>,
}

/// `[destination.NAME.protocol.PROTO]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leg {
    /// TCP port.
    pub port: u16,
    /// Encryption.
    pub tls: TlsMode,
    /// How the client is told, with the override resolved.
    pub forwarding: Forwarding,
    /// HTTP: speak HTTP/2.
    pub http2: bool,
}

/// How a backend learns who the client is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forwarding {
    /// PROXY v2 before any other byte.
    Proxy,
    /// XCLIENT, IMAP `ID`.
    Xclient,
    /// Not at all.
    None,
}

/// `[routing]`.
#[derive(Debug, Clone)]
pub struct Routing {
    /// Where an account is that has no entry.
    pub default: Name,
    /// Where SMTP and LMTP listeners lead.
    pub passthrough: Option<Name>,
    /// What separates a mailbox from a master user.
    pub master_user_separators: Vec<String>,
}

/// `[mapping]`.
#[derive(Debug)]
pub struct Mapping {
    /// Which store.
    pub source: Source,
    /// Fold identifiers to lower case.
    pub lowercase: bool,
    /// How long a found answer is kept.
    pub positive_ttl: Duration,
    /// How long an absent answer is kept.
    pub negative_ttl: Duration,
    /// Bound of the cache.
    pub cache_max_entries: usize,
    /// Bound of one lookup.
    pub lookup_timeout: Duration,
    /// `@example.org` entries stand for whole domains.
    pub domains: bool,
}

/// `[mapping.file]`, `[mapping.redis]` or `[mapping.sql]`.
#[derive(Debug)]
pub enum Source {
    /// Lines in a file.
    File {
        /// Its path.
        path: PathBuf,
        /// Pick up edits.
        watch: bool,
    },
    /// Redis.
    Redis {
        /// With its password, if any.
        url: Secret,
        /// Before each identifier.
        key_prefix: String,
        /// Connections.
        pool_size: usize,
        /// Change events.
        channel: String,
    },
    /// PostgreSQL, MySQL or SQLite.
    Sql {
        /// With its password, if any.
        url: Secret,
        /// Identifier → destination.
        query: String,
        /// Write.
        upsert_query: Option<String>,
        /// Remove.
        delete_query: Option<String>,
        /// List and export.
        list_query: Option<String>,
        /// Connections.
        pool_size: usize,
        /// Change events (PostgreSQL).
        channel: String,
    },
}

/// `[capabilities.PROTO]`.
#[derive(Debug, Clone)]
pub struct Capabilities {
    /// Mechanisms offered, in this order.
    pub sasl: Vec<Mechanism>,
    /// Cleartext mechanisms without TLS.
    pub cleartext_without_tls: bool,
    /// Greeting text.
    pub banner: String,
    /// IMAP capabilities, EHLO keywords, Sieve extensions.
    pub advertise: Vec<String>,
    /// Whether `advertise` or `sasl` were written in the file: an explicit list wins over `learn`.
    pub advertise_is_set: bool,
    /// See `advertise_is_set`.
    pub sasl_is_set: bool,
    /// ManageSieve's IMPLEMENTATION.
    pub implementation: String,
    /// Ask the destinations what they offer.
    pub learn: bool,
}

/// `[oauth]`.
#[derive(Debug)]
pub struct OAuth {
    /// Claims to try, in order.
    pub claims: Vec<String>,
    /// `[oauth.resolve]`, when `with` names a way.
    pub resolve: Option<Resolve>,
}

/// `[oauth.resolve]`.
#[derive(Debug)]
pub struct Resolve {
    /// Ways to ask, first success wins; at least one.
    pub with: Vec<ResolveWith>,
    /// Whose JMAP session resource is asked.
    pub destination: Name,
    /// Of the introspection or userinfo endpoint.
    pub url: Option<String>,
    /// For introspection.
    pub client_id: Option<String>,
    /// For introspection.
    pub client_secret: Option<Secret>,
    /// How long an answer is kept.
    pub ttl: Duration,
    /// How long the lack of one is kept.
    pub negative_ttl: Duration,
    /// Bound of one question.
    pub timeout: Duration,
}

/// A way to ask whose an opaque token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResolveWith {
    /// The JMAP session resource (RFC 8620).
    Jmap,
    /// RFC 7662.
    Introspection,
    /// OpenID Connect.
    Userinfo,
}

/// `[http]`.
#[derive(Debug)]
pub struct Http {
    /// Bytes of a body that are buffered to extract from it.
    pub body_extract_cap: usize,
    /// Bytes of a head.
    pub max_head_size: usize,
    /// Bound of silence in a relayed exchange.
    pub relay_idle: Duration,
    /// Bound of silence between requests.
    pub keepalive_timeout: Duration,
    /// Requests on one connection.
    pub max_keepalive_requests: u64,
    /// In the file's order; first match wins.
    pub routes: Vec<HttpRoute>,
}

/// `[[http.route]]`.
#[derive(Debug)]
pub struct HttpRoute {
    /// As written.
    pub pattern: String,
    /// Compiled; matches a path with and without a trailing slash.
    pub matcher: globset::GlobSet,
    /// What happens on a match.
    pub target: HttpTarget,
}

/// Where a matched request goes.
#[derive(Debug)]
pub enum HttpTarget {
    /// Pinned.
    Destination(Name),
    /// By the account that `from` shows.
    Extract {
        /// Where the account is read.
        from: ExtractFrom,
        /// Where to go when there is none; `None` = the default destination.
        fallback: Option<Name>,
    },
}

/// Where an HTTP request shows its account.
#[derive(Debug)]
pub enum ExtractFrom {
    /// The `Authorization` header.
    Authorization,
    /// A query parameter.
    Query(String),
    /// Another header.
    Header(String),
    /// The first capture group in the body, form-decoded.
    Body(regex::bytes::Regex),
}

/// Where the self-signed certificate of the management API is kept, in [`Plan::state_folders`].
pub const ADMIN_CERTIFICATE: &str = "admin.crt";
/// Its key, beside it.
pub const ADMIN_KEY: &str = "admin.key";

/// `[admin]`.
#[derive(Debug)]
pub struct Admin {
    /// Where.
    pub bind: Vec<SocketAddr>,
    /// At least `min_token_len` bytes.
    pub token: Secret,
    /// Failures that lock an address out.
    pub lockout_threshold: u32,
    /// For how long.
    pub lockout_duration: Duration,
    /// Name of a `[tls.certificate]`; `None` = a self-signed one, kept in [`Plan::state_folders`].
    pub certificate: Option<Name>,
    /// Metrics without a token.
    pub metrics_public: bool,
}

/// `[limits]`.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Longest delay before the verdict of a failed login.
    pub auth_delay_max: Duration,
    /// Logins under way of one account.
    pub logins_in_flight_per_account: usize,
    /// Sessions of one account; 0 = no limit.
    pub connections_per_account: usize,
    /// TLS handshakes under way.
    pub handshakes_per_core: usize,
}

/// `[moves]`.
#[derive(Debug)]
pub struct Moves {
    /// SQLite file; `None` = in `state_dir`.
    pub journal: Option<PathBuf>,
    /// Longest hold.
    pub hold: Duration,
    /// For a submission or an upload to finish.
    pub grace: Duration,
    /// Default command.
    pub sync: Option<String>,
    /// Default command.
    pub verify: Option<String>,
    /// Moves at once.
    pub parallel: usize,
    /// `[moves.compare]`: master users by destination name.
    pub compare: BTreeMap<Name, CompareLogin>,
}

/// `[moves.compare.NAME]`: how the proxy logs in to one side to compare.
#[derive(Debug)]
pub struct CompareLogin {
    /// Master user; the account's own name where unset.
    pub master_user: Option<String>,
    /// Its password.
    pub password: Secret,
}

// === impl Plan ===

impl Plan {
    /// The destination of that name; the loader has resolved every name, so this cannot fail for them.
    #[must_use]
    pub fn destination(&self, name: &str) -> Option<&Arc<Destination>> {
        self.destinations.get(name)
    }

    /// What is advertised for a protocol.
    #[must_use]
    pub fn capabilities(&self, protocol: Protocol) -> &Capabilities {
        &self.capabilities[protocol.index()]
    }

    /// Where state may be, the better place first: the folder that was asked for; where none was, the usual one, or
    /// else the configuration's own.
    #[must_use]
    pub fn state_folders(&self) -> Vec<&Path> {
        let beside = self.path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let beside = beside.unwrap_or_else(|| Path::new("."));
        let own = Some(beside).filter(|_| !self.server.state_dir_is_set);
        [self.server.state_dir.as_path()].into_iter().chain(own).collect()
    }
}

// === impl Listener ===

impl Listener {
    /// Whether `peer` is a front whose word on the real client counts.
    #[must_use]
    pub fn trusts_front(&self, peer: IpAddr) -> bool {
        self.trusted_fronts.iter().any(|network| network.contains(&peer.to_canonical()))
    }

    /// The client that a failed login slows down. A front that does not tell whose login it was is none: it
    /// would slow all of them down.
    #[must_use]
    pub fn suspect(&self, client: IpAddr) -> Option<IpAddr> {
        let ip = client.to_canonical();
        (!ip.is_loopback() && !self.trusts_front(ip)).then_some(ip)
    }
}

// === impl Destination ===

impl Destination {
    /// A server that no file declares, at `host`: nothing is told to it of whoever comes, and it has no leg yet.
    #[must_use]
    pub fn outside(name: impl Into<Name>, host: impl Into<String>, verify: Verify) -> Self {
        Self {
            name: name.into(),
            hosts: vec![host.into()],
            tls_server_name: None,
            verify,
            client_certificate: None,
            adds_forwarded: false,
            allow_plaintext_auth: false,
            hide_auth_errors: false,
            source_ips: Vec::new(),
            proxy_tlvs: false,
            health_interval: None,
            legs: [None; Protocol::ALL.len()],
        }
    }

    /// The leg for a protocol, if the destination has one.
    #[must_use]
    pub fn leg(&self, protocol: Protocol) -> Option<&Leg> {
        self.legs[protocol.index()].as_ref()
    }
}
