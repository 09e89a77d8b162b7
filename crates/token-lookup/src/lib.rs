//! Whose an opaque token is: asked of those who issued it, once, and remembered for a while.
//!
//! The room exists so that a token which shows nobody still follows its account (`[oauth.resolve]`). Nothing is
//! authenticated here: the backend judges the token, as ever. What must never happen: a token in a log, an
//! error or the cache (which knows it by a keyed hash); a token sent to another host than the configured ones;
//! a login that waits for an answer longer than the configured time; an account that moves back to its old
//! server because nobody can be asked.
//!
//! | module | subject |
//! |---|---|
//! | [`resolver`] | [`Resolver`]: the ways in their order, and what is remembered |
//! | `cache` | answers with deadlines, one question for each token |
//! | `ask` | the three ways: JMAP session, introspection, userinfo |
//! | `fetch` | one request to one server, its whole answer bounded |
//! | `url` | where an endpoint is |

mod ask;
mod cache;
mod fetch;
pub mod resolver;
mod url;

pub use resolver::{Resolver, Stats};
