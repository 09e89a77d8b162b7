//! Numbers of other crates at a scrape. `app` fills them in, because this crate imports none of the others.

use std::sync::Arc;

/// The numbers at a scrape.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// The program's version.
    pub version: &'static str,
    /// Unix time of the start.
    pub started: f64,
    /// Accounts with a session or a login in progress.
    pub accounts: usize,
    /// Logins in progress.
    pub logins: usize,
    /// The mapping's cache.
    pub cache: Cache,
    /// Opaque tokens; zeros if they are not looked up. They start from zero with each plan.
    pub tokens: Tokens,
    /// The mapping's store.
    pub store: Store,
    /// Entries of the mapping by destination; empty if the store cannot count them.
    pub mapped: Vec<(Arc<str>, usize)>,
    /// Moves; zeros if they are not possible.
    pub moves: Moves,
    /// Every leg of every destination.
    pub legs: Vec<Leg>,
    /// Name and end of validity (Unix time) of every certificate that is shown to clients.
    pub certificates: Vec<(Arc<str>, i64)>,
    /// Reloads.
    pub reloads: Reloads,
    /// Log lines that were dropped.
    pub log_lines_dropped: u64,
    /// The process; `None` if the system does not report it.
    pub process: Option<Process>,
}

/// Opaque tokens.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tokens {
    /// Looked up.
    pub asked: u64,
    /// Lookups answered from the cache.
    pub remembered: u64,
    /// Lookups that failed.
    pub failed: u64,
}

/// The mapping's cache.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cache {
    /// Lookups answered from memory.
    pub hits: u64,
    /// Lookups that had to wait.
    pub misses: u64,
    /// Entries.
    pub entries: usize,
}

/// The mapping's store.
#[derive(Clone, Debug, Default)]
pub struct Store {
    /// Failed lookups.
    pub errors: u64,
    /// Logins routed while it did not answer.
    pub down: u64,
    /// Logins whose entry names a destination that is not declared.
    pub undeclared: u64,
    /// Upper bounds in seconds, ascending, and how many lookups were in each bucket alone; the last bound is
    /// infinite.
    pub buckets: Vec<(f64, u64)>,
    /// Seconds of all lookups together.
    pub seconds: f64,
}

/// Moves of accounts.
#[derive(Clone, Debug, Default)]
pub struct Moves {
    /// Those that have not ended, by step.
    pub unfinished: Vec<(&'static str, usize)>,
    /// Those that have ended, by outcome.
    pub ended: Vec<(&'static str, u64)>,
    /// Seconds for which logins were held, of all moves together.
    pub held_seconds: f64,
    /// Logins that waited for the end of a move.
    pub logins_waited: u64,
    /// Logins that wait now.
    pub waiting_logins: usize,
}

/// One leg of a destination.
#[derive(Clone, Debug)]
pub struct Leg {
    /// The destination.
    pub destination: Arc<str>,
    /// The protocol.
    pub protocol: &'static str,
    /// Not marked down.
    pub is_up: bool,
    /// Failures in a row.
    pub consecutive_failures: u32,
}

/// Reloads of the configuration.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reloads {
    /// Carried out.
    pub done: u64,
    /// Refused.
    pub refused: u64,
    /// Unix time of the last one that was carried out, or of the start.
    pub last_success: f64,
}

/// Resource usage of the process.
#[derive(Clone, Copy, Debug, Default)]
pub struct Process {
    /// Resident memory in bytes.
    pub resident_bytes: u64,
    /// Open descriptors.
    pub descriptors: u64,
    /// Limit of open descriptors; `None`: no limit.
    pub max_descriptors: Option<u64>,
}
