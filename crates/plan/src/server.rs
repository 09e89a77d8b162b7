//! `[server]` and `[limits]`.

use std::path::PathBuf;
use std::time::Duration;

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
    /// Limit for getting a backend ready for a credential, retries included.
    pub backend_timeout: Duration,
    /// Limit for the backend's verdict on a credential.
    pub backend_auth_timeout: Duration,
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
    /// Whether log lines contain the time; `None` = unless the journal reads them.
    pub log_timestamps: Option<bool>,
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

// === impl Server ===

impl Default for Server {
    fn default() -> Self {
        Self {
            threads: 0,
            hostname: None,
            shutdown_grace: Duration::from_secs(30),
            bridge_idle: Duration::from_secs(1800),
            backend_timeout: Duration::from_secs(10),
            backend_auth_timeout: Duration::from_secs(60),
            backend_connect_retries: 1,
            host_down_threshold: 5,
            host_down_min_clients: 2,
            host_down_cooldown: Duration::from_secs(30),
            proxy_ttl: 7,
            log_level: "info".to_owned(),
            log_format: LogFormat::Text,
            log_timestamps: None,
            log_identifiers: LogIdentifiers::Full,
            state_dir: PathBuf::from("/var/lib/pointsman"),
            state_dir_is_set: false,
        }
    }
}
