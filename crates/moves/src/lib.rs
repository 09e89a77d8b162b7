//! Moves: accounts go from one destination to another, and no write is lost.
//!
//! A move holds the logins of its accounts, ends their sessions, copies what is left, changes the mapping in one durable
//! write, and lets the logins go on at the new place. Every step is in a journal before it is taken, so a crash at any
//! instant leaves the accounts wholly on one server, and the next start says on which. What must never happen here: a
//! mapping that changes while a session of the account lives or a copy still runs; a group that is changed in part; a
//! failure before the flip that changes anything; a second move of an account that is being moved.
//!
//! ```text
//! queued ──▶ check ──▶ hold ──▶ drain ──▶ sync ⇄ compare ──▶ flip ──▶ release ──▶ verify ──▶ done
//!              │         │        │         │        │                     │
//!              ▼         ▼        ▼         ▼        ▼                     ▼
//!            failed or cancelled: released, nothing changed            reverted: held again, flipped back, released
//! ```
//!
//! | module | subject |
//! |---|---|
//! | `request` | [`MoveRequest`], [`MoveOptions`]: what can be asked for |
//! | `record`, `move_id` | [`MoveRecord`]: a move as the journal has it |
//! | `journal` | the journal, an SQLite file |
//! | `check` | what must be true before a move starts: [`Problem`] |
//! | `command` | runs the operator's commands: bounded in time and output, with everything they started |
//! | `comparing` | whether the source is quiet, and whether the target has everything |
//! | `steps` | the steps of one move |
//! | `holding` | its accounts while they are held |
//! | `location` | where the accounts of a move are, as the store has it |
//! | `failure` | [`MoveError`], [`MoveFailure`]: why a move was not accepted, or did not succeed |
//! | `crash_point` | where a test can have the process end |
//! | `counts` | [`MoveCounts`]: for the metrics |
//! | `recovery` | settles the moves that a crash has left unfinished |
//! | `queue` | runs queued moves, a few at a time |
//! | `service` | [`Moves`]: accepts, cancels, lists |
//! | `shared` | what these files share |

mod check;
mod command;
mod comparing;
mod counts;
mod crash_point;
mod failure;
mod holding;
mod journal;
mod location;
mod move_id;
mod queue;
mod record;
mod recovery;
mod request;
mod service;
mod shared;
mod steps;

pub use check::{Problem, ProblemKind};
pub use command::CommandError;
pub use counts::{MoveCounts, MoveTotals};
pub use failure::{MoveError, MoveFailure};
pub use journal::{JournalError, Query};
pub use move_id::MoveId;
pub use record::{BatchState, Figures, MoveOutcome, MoveRecord, Step};
pub use request::{CompareOptions, MoveOptions, MoveRequest};
pub use service::Moves;
pub use shared::Parts;

#[cfg(test)]
mod tests;
