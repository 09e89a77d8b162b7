//! The parts of the configuration that this version implements.

use types::protocol::Protocol;

/// Protocols whose listeners are served.
pub const PROTOCOLS: &[Protocol] = &[
    Protocol::Imap,
    Protocol::Pop3,
    Protocol::ManageSieve,
    Protocol::Submission,
    Protocol::Smtp,
    Protocol::Lmtp,
    Protocol::Http,
];

/// Values of `mapping.source` that are served.
pub const STORES: &[&str] = &["file", "redis", "sql"];

/// Whether `[oauth.resolve]` does something.
pub const RESOLVE: bool = true;

/// Whether `[admin]` is served.
pub const ADMIN: bool = true;

/// Whether `[moves.compare]` does something.
pub const COMPARE: bool = false;

/// Whether `destination.*.health_interval` does something.
pub const HEALTH_CHECKS: bool = false;
