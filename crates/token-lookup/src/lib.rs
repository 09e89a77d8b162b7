//! Finds the account of an opaque token by asking its issuer, and caches the answer.
//!
//! The crate exists so that a login with a token that names no account still reaches the account's server
//! (`[oauth.resolve]`). It authenticates nothing: the backend decides whether the token is valid.
//!
//! What must never happen: a token appears in a log, an error or the cache (which stores a keyed hash); a token is sent to
//! a host that is not configured; a login waits longer than the configured time; an account returns to its old server
//! because the issuer cannot be reached.
//!
//! | module | subject |
//! |---|---|
//! | [`resolver`] | [`Resolver`]: the configured methods in order, and the cache |
//! | `cache` | cached answers that expire; one query per token |
//! | `query_limit` | the queries of one client network at the same time |
//! | `query` | the three methods: JMAP session, introspection, userinfo |
//! | `fetch` | one HTTP request with a bounded response |
//! | `url` | the parts of an endpoint's URL |

mod cache;
mod fetch;
mod query;
mod query_limit;
pub mod resolver;
mod url;

pub use resolver::{Resolver, Stats};
