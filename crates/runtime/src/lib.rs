//! What connections of every protocol share: the plan in force, their arrival, and the record of a session.
//!
//! It exists so that `mail` and `web` do not depend on each other, and so that one plan is in force for all of them,
//! replaced in one moment. What must never happen here: a lock that is held over an await; a login that is judged
//! by a plan which is no longer in force.
//!
//! | module | subject |
//! |---|---|
//! | `active_plan` | [`ActivePlan`]: a plan and everything that is built from it |
//! | `current` | [`Current`]: the plan in force, and how it is replaced |
//! | `arrival` | [`Arrival`]: from an accepted socket to the client's stream: PROXY header, TLS |
//! | `handshakes` | how TLS handshakes share the processors |
//! | `recorder` | [`LoginRecorder`]: what follows from an accepted or refused credential |
//! | `ledger` | [`Ledger`]: a session's counters and its line in the log |
//! | `bridged` | [`BridgedSession`]: bytes both ways, and how the connections are closed |

mod active_plan;
mod arrival;
mod bridged;
mod current;
mod handshakes;
mod ledger;
mod recorder;

pub use active_plan::{ActivePlan, ActivePlanError, TlsMaterial};
pub use arrival::{Arrival, Arrived, NoTls, log_refusal, span, turn_away};
pub use bridged::{BridgedSession, Closing};
pub use current::{Current, CurrentPlan, Held};
pub use ledger::{Ledger, NotFollowed};
pub use recorder::LoginRecorder;

/// Returns a duration as a number that JSON can hold; `as_micros` would be logged as text.
#[must_use]
pub fn micros(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
