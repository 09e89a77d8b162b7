//! Which destination holds an account: identifier → cache → store → destination.
//!
//! The crate exists so that one place decides what counts when an answer is missing, stale or unavailable.
//!
//! What must never happen: a moved account is sent back to its old server although memory holds its new one; an answer
//! from before a write is used after it; an invalid file replaces a valid one; a lookup waits for a lock that is held
//! during I/O.
//!
//! | module | subject |
//! |---|---|
//! | [`router`] | [`Router`]: the order of lookups; what other crates call |
//! | [`cache`] | cached answers that expire; one shared lookup per identifier |
//! | [`store`] | [`Store`]: the interface of every store, [`Change`], errors |
//! | [`mod@file`] | [`FileStore`]: a text file, written atomically, watched for edits |
//! | [`redis`], [`sql`] | a key in Redis; a row in PostgreSQL, MySQL or SQLite |
//! | [`table`], [`mod@line`], [`rules`] | a file in memory; its lines; the rules that validate them |

pub mod cache;
pub mod file;
pub mod line;
pub mod redis;
pub mod router;
pub mod rules;
pub mod sql;
pub mod store;
pub mod table;

mod bad_identifier;
mod edit;
mod parse;
mod shown;
mod unmatchable;

pub use file::FileStore;
pub use plan::Name;
pub use redis::RedisStore;
pub use router::{Latency, Resolution, ResolutionReason, Router, RouterControl, Settings, Stats};
pub use rules::Rules;
pub use sql::SqlStore;
pub use store::{Change, Loaded, Store};
