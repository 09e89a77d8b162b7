//! The live state of accounts: logins under way, sessions, holds, delays, kicks.
//!
//! The room exists so that one lock per account decides, in one instant, whether a login that was routed a
//! moment ago may still be bridged. A mapping that changes in between makes the login [`Unconfirmed::Outdated`]; it is
//! routed afresh, and never ends up on the server that its account has just left.
//!
//! What must never happen here: a lock that is held over an await; a [`SessionTicket`] whose account was held,
//! kicked or moved since its lookup; an entry for an account that nobody uses; a secret.
//!
//! | module | subject |
//! |---|---|
//! | `registry` | [`Registry`]: the sharded table, limits, listing |
//! | `control` | [`RegistryControl`]: kick, hold, delay, drain; owned by crate `control` |
//! | `filter` | [`SessionFilter`]: which sessions are meant |
//! | `account` | what is known of one account, and the rules that hold under its lock |
//! | `ticket` | [`LoginTicket`] and [`SessionTicket`]: a login under way, a session |
//! | `hold` | [`Hold`]: no login of a group completes |
//! | `throttle` | [`LoginThrottle`]: failed logins slow down the next failed ones |
//! | `live` | one session as others see it: [`SessionInfo`], [`EndReason`], [`Traffic`] |
//!
//! A login's way through:
//!
//! ```text
//! begin ──▶ wait_released ──▶ (route, dial, replay) ──▶ confirm ──▶ SessionTicket ──▶ ended
//!               ▲                                           │
//!               └────────────── Outdated: routed afresh ◀───┘
//! ```

mod account;
mod control;
mod filter;
mod hold;
mod hold_stats;
mod live;
mod registry;
mod throttle;
mod ticket;

pub use control::{Kicked, MAX_DELAY, RegistryControl};
pub use filter::SessionFilter;
pub use hold::{Hold, HoldError};
pub use hold_stats::HoldStats;
pub use live::{EndReason, Ending, SessionInfo, Traffic};

pub use registry::{Busy, Counts, Limits, Registry};
pub use throttle::LoginThrottle;
pub use ticket::{HeldTooLong, LoginTicket, SessionTicket, Unconfirmed};

#[cfg(test)]
mod tests;
