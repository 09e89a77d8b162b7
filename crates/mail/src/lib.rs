//! The pipeline of one text-protocol connection: from accept to the log line at its end.
//!
//! Origin, handshake, dialogue, identity, desk, route, backend, replay, bridge, close: this room puts the
//! others in that order and owns nothing of theirs. Time-outs and limits sit here, around the dialogue, and
//! not in it. What must never happen: a client told OK without a confirmed ticket, a credential that outlives
//! its attempt, a client left in a backend's hands after a refused login.

mod attempt;
mod bridged;
mod cause;
mod context;
mod conversation;
mod current;
mod ledger;
mod passthrough;
mod protocols;
mod serve;

pub use bridged::BridgedSession;
pub use context::{Context, ContextError, Live};
pub use conversation::handshake;
pub use current::{Current, Held};
pub use ledger::{Ledger, Lines};
pub use serve::{arrive, serve, span, turn_away, turn_away_with};
