//! Moves of accounts between destinations.

use serde::{Deserialize, Serialize};

/// The body of `POST /moves`. Either `accounts` or `groups` is given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewMoves {
    /// The destination.
    pub to: String,
    /// The names of one account, which move together.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accounts: Vec<String>,
    /// Many accounts, each with all of its names: a batch.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<Vec<String>>,
    /// The batch's name. Needed for `groups`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<String>,
    /// Failures after which the batch pauses; 0 = never.
    #[serde(default, skip_serializing_if = "is_default")]
    pub max_failures: usize,
    /// Checks only, and starts nothing.
    #[serde(default, skip_serializing_if = "is_default")]
    pub dry_run: bool,
    /// How.
    #[serde(flatten)]
    pub options: MoveChoices,
}

/// The body of `POST /moves/ID/rollback`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MoveChoices {
    /// The command that copies what is left; absent = `moves.sync`, empty = none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sync: Option<String>,
    /// The command that checks the account at the target; absent = `moves.verify`, empty = none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verify: Option<String>,
    /// How long logins may be held, in seconds; absent = `moves.hold`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<u64>,
    /// How long a transfer in progress may take to finish, in seconds; absent = `moves.grace`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grace: Option<u64>,
    /// Runs `sync` even onto a target that the account has been using.
    #[serde(default, skip_serializing_if = "is_default")]
    pub force: bool,
    /// Takes an account back without what it has received at the target.
    #[serde(default, skip_serializing_if = "is_default")]
    pub leave_behind: bool,
    /// Compares the mailboxes before the mapping is changed. The three members below imply it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub compare: bool,
    /// How many messages may be missing at the target.
    #[serde(default, skip_serializing_if = "is_default")]
    pub max_missing: usize,
    /// Whether every difference stops the move.
    #[serde(default, skip_serializing_if = "is_default")]
    pub strict: bool,
    /// Whether to find out who shares folders with the account.
    #[serde(default, skip_serializing_if = "is_default")]
    pub with_shared: bool,
}

/// The response to `POST /moves` and `POST /moves/ID/rollback`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// The moves' numbers, in the order of the request; empty after a dry run.
    pub moves: Vec<i64>,
    /// The batch's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<String>,
}

/// `GET /moves`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MovePage {
    /// Newest first.
    pub moves: Vec<Move>,
    /// `from` of the next page; absent after the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<i64>,
}

/// A move.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Move {
    /// Its number.
    pub id: i64,
    /// Its accounts, as they are stored and looked up.
    pub accounts: Vec<String>,
    /// Where they were.
    pub from: String,
    /// Where they go.
    pub to: String,
    /// The last step that was begun: `queued`, `check`, `hold`, `drain`, `sync`, `compare`, `flip`, `release`, `verify`, `revert`.
    pub step: String,
    /// How it ended: `done`, `failed`, `cancelled`, `reverted`, `unverified`; absent while it has not ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// Why it failed, or what is worth knowing about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The batch that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<String>,
    /// The move that it takes back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback_of: Option<i64>,
    /// When it was accepted, in seconds since 1970.
    pub created: u64,
    /// When it ended, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished: Option<u64>,
    /// How long logins were held, in milliseconds.
    pub held_ms: u64,
    /// Sessions that were ended.
    pub sessions_ended: usize,
    /// Logins that waited for the release.
    pub logins_waited: usize,
    /// The longest wait of one of them, in milliseconds.
    pub longest_wait_ms: u64,
    /// The end of what its commands printed; only in `GET /moves/ID`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub output: String,
}

/// `GET /moves/batches/NAME`, and the response to `POST /moves/batches/NAME/pause` and `…/resume`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// Its name.
    pub batch: String,
    /// Whether it waits to be resumed.
    pub paused: bool,
    /// Failures after which it pauses; 0 = never.
    pub max_failures: usize,
    /// Moves that wait for their turn.
    pub queued: usize,
    /// Moves in progress.
    pub running: usize,
    /// Moves that ended with their accounts at the target.
    pub done: usize,
    /// Moves that ended otherwise.
    pub not_done: usize,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
