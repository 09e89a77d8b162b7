//! The live state of accounts: logins under way, sessions, holds, delays, kicks.
//!
//! The crate exists so that one lock per account decides whether a login whose destination was looked up a moment ago may
//! still be bridged. A mapping that changes in between makes the login [`Unconfirmed::Outdated`]: it is looked up again,
//! and never ends up on the server that its account has just left.
//!
//! What must never happen here: a lock that is held over an await; a [`SessionTicket`] whose account was held,
//! kicked or moved since its lookup; an entry for an account of which nothing is in use; a secret.
//!
//! | module | subject |
//! |---|---|
//! | `registry` | [`Registry`]: the sharded table, limits, listing |
//! | `control` | [`RegistryControl`]: kick, hold, delay, drain; owned by crate `control` |
//! | `filter` | [`SessionFilter`]: selects sessions |
//! | `account` | the state of one account, and the rules that hold under its lock |
//! | `limits` | [`Limits`] of an account; [`Busy`] |
//! | `places` | places for logins in flight, for each account and client network |
//! | `ticket` | [`LoginTicket`] and [`SessionTicket`]: a login under way, a session |
//! | `hold` | [`Hold`]: no login of a group completes |
//! | `hold_stats` | [`HoldStats`]: the logins that waited for a hold |
//! | `throttle` | [`LoginThrottle`]: failed logins delay the answers to the next failed ones |
//! | `guesses` | [`Guess`]: places for credentials that are being tried, and for wrong ones until their delay is over |
//! | `session` | [`SessionInfo`], [`EndReason`], [`Traffic`]: one session in the registry |
//!
//! The states of a login:
//!
//! ```text
//! begin ──▶ wait_admitted ──▶ (look up, dial, replay) ──▶ confirm ──▶ SessionTicket ──▶ ended
//!               ▲                                            │
//!               └─────────────── Outdated: looked up again ◀─┘
//! ```

mod account;
mod control;
mod filter;
mod guesses;
mod hold;
mod hold_stats;
mod limits;
mod places;
mod registry;
mod session;
mod throttle;
mod ticket;

pub use control::{Kicked, MAX_DELAY, RegistryControl};
pub use filter::SessionFilter;
pub use guesses::Guess;
pub use hold::{Hold, HoldError};
pub use hold_stats::HoldStats;
pub use limits::{Busy, Limits};
pub use registry::{Counts, Registry};
pub use session::{EndReason, Ending, SessionInfo, Traffic};
pub use throttle::LoginThrottle;
pub use ticket::{HeldTooLong, LoginTicket, SessionTicket, Unconfirmed};

#[cfg(test)]
mod tests;
