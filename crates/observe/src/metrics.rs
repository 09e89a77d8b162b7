//! The metrics: numbers by listener, protocol and destination.
//!
//! There is no global registry. The counters belong to [`Meters`], which a plan's context holds: they are made
//! from the names of the configuration, so the configuration bounds them. Every other label is a `&'static str`,
//! part of the program's own text. What must never happen: a label that a client chooses (an account, an
//! address, a host name), or a lock for a byte that passes.
//!
//! What other crates count is not counted again: `app` reads it at each scrape, as [`Facts`].
//!
//! | module | subject |
//! |---|---|
//! | [`catalogue`] | every metric: name, kind, labels, help text |
//! | [`meters`] | the counters, and the handles that sessions hold |
//! | [`facts`] | what is read elsewhere at a scrape |
//! | `page` | the text |

pub mod catalogue;
pub mod facts;
pub mod meters;
mod page;
mod tally;

pub use facts::Facts;
pub use meters::{ConnectionGuard, LegMeter, ListenerMeter, Meters, RouteMeter, SessionGuard, Step, Where};
pub use page::{CONTENT_TYPE, render};
