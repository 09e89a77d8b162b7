//! Where a connection goes: the one place of hold → look up → dial → confirm.
//!
//! Every login, every passed-through connection and every HTTP request becomes a session here and nowhere else. The
//! mapping may change between the look-up and the backend's yes, so nothing is bridged before the registry has
//! confirmed, under the account's lock, that the place is still the right one. What must never happen here: a session
//! on the server that its account has just left; a session placed by a plan that is no longer in force; a credential
//! replayed twice that is good for one exchange only.
//!
//! ```text
//! begin ──▶ wait for a hold ──▶ look up ──▶ dial ──▶ confirm ──▶ Placed
//!                 ▲                                     │
//!                 └────── the account has moved ◀───────┘
//! ```
//!
//! | module | subject |
//! |---|---|
//! | `request` | [`Request`]: what is to be placed, and how it is [dialled](Dial) |
//! | `place` | [`Placement`]: the path itself |
//! | `refusal`, `timings` | [`Refusal`]: why something was not placed; how long it took |

mod place;
mod refusal;
mod request;
mod timings;

pub use place::{Placed, Placement};
pub use refusal::{Reason, Refusal};
pub use request::{Candidate, Dial, Request, Subject};
pub use timings::Timings;
