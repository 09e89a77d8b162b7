//! `[routing]` and `[mapping]`: who is where.

use std::path::PathBuf;
use std::time::Duration;

use types::secret::Secret;

use crate::name::Name;

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
