//! Which destination holds an account: identifier → cache → store → destination.
//!
//! The room exists so that the rules for missing, outdated and unreachable answers stand in one place. What
//! must never happen here: a moved account that is sent back to its old server while anything in memory says
//! where it is; an answer from before a write that is believed after it; a bad file that replaces a good one;
//! a lookup that waits for a lock held over I/O.
//!
//! | module | subject |
//! |---|---|
//! | [`router`] | [`Router`]: the rules; what every other room calls |
//! | [`cache`] | answers with deadlines, one lookup per identifier |
//! | [`store`] | [`Store`]: what a store is asked, [`Change`], errors |
//! | [`mod@file`] | [`FileStore`]: lines in a file, written safely, watched |
//! | [`redis`], [`sql`] | a key in Redis; a row in PostgreSQL, MySQL or SQLite |
//! | [`table`], [`mod@line`], [`rules`] | a file in memory; its lines; what they are judged by |

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

pub use file::FileStore;
pub use plan::Name;
pub use redis::RedisStore;
pub use router::{Latency, Resolution, ResolutionReason, Router, RouterControl, Settings, Stats};
pub use rules::Rules;
pub use sql::SqlStore;
pub use store::{Change, Loaded, Store};
