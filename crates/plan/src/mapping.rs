//! `[routing]` and `[mapping]`: which account is on which destination.

use std::path::PathBuf;
use std::time::Duration;

use types::secret::Secret;

use crate::name::Name;

/// `[routing]`.
#[derive(Debug, Clone)]
pub struct Routing {
    /// The destination of accounts without an entry.
    pub default: Name,
    /// The destination of SMTP and LMTP listeners.
    pub passthrough: Option<Name>,
    /// What separates a mailbox from a master user.
    pub master_user_separators: Vec<String>,
}

/// `[mapping]`.
#[derive(Debug)]
pub struct Mapping {
    /// The store.
    pub source: Source,
    /// Fold identifiers to lower case.
    pub lowercase: bool,
    /// The domain of logins without one, lower case.
    pub default_domain: Option<String>,
    /// How long a found answer is kept.
    pub positive_ttl: Duration,
    /// How long a negative answer is kept.
    pub negative_ttl: Duration,
    /// Maximum number of cached answers.
    pub cache_max_entries: usize,
    /// Time limit of one lookup.
    pub lookup_timeout: Duration,
    /// `@example.org` entries apply to whole domains.
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
        /// The URL, with its password if it has one.
        url: Secret,
        /// Prefix of each key.
        key_prefix: String,
        /// Connections.
        pool_size: usize,
        /// Channel for change events.
        channel: String,
    },
    /// PostgreSQL, MySQL or SQLite.
    Sql {
        /// The URL, with its password if it has one.
        url: Secret,
        /// Identifier → destination.
        query: String,
        /// Query that sets an entry.
        upsert_query: Option<String>,
        /// Query that removes an entry.
        delete_query: Option<String>,
        /// Query for listing and export.
        list_query: Option<String>,
        /// Connections.
        pool_size: usize,
        /// Channel for change events (PostgreSQL).
        channel: String,
    },
}
