//! The arguments of `move`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// `move ACCOUNT … --to NAME`, or a subcommand.
#[derive(Debug, Args)]
#[command(subcommand_negates_reqs = true)]
pub(crate) struct MoveArguments {
    #[command(flatten)]
    pub(crate) start: StartOptions,
    #[command(subcommand)]
    pub(crate) command: Option<MoveCommand>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum MoveCommand {
    /// Move accounts (the default)
    #[command(after_help = START)]
    Start(StartOptions),
    /// List moves, newest first
    #[command(after_help = LIST)]
    List(ListOptions),
    /// Show a move, with the end of what its commands printed
    #[command(after_help = SHOW)]
    Show {
        /// The move's number
        #[arg(value_name = "ID")]
        id: i64,
    },
    /// Move accounts back
    #[command(after_help = ROLLBACK, mut_arg("sync", |sync| sync.help("Copies back what the account has received")),
        mut_arg("verify", |verify| verify.help("Checks the account there")))]
    Rollback(RollbackOptions),
    /// Cancel a move that has not changed the mapping yet
    #[command(after_help = CANCEL)]
    Cancel {
        /// The move's number
        #[arg(value_name = "ID")]
        id: i64,
    },
    /// Let the queued moves of a batch wait
    #[command(after_help = PAUSE)]
    Pause {
        /// The batch's name
        batch: String,
    },
    /// Let a paused batch go on, and follow it
    #[command(after_help = RESUME)]
    Resume {
        /// The batch's name
        batch: String,
    },
}

/// The arguments of `move` and `move start`.
#[derive(Debug, Args)]
pub(crate) struct StartOptions {
    /// The names of one account, which move together
    #[arg(value_name = "ACCOUNT", required_unless_present = "file", conflicts_with = "file")]
    pub(crate) accounts: Vec<String>,
    /// The destination
    #[arg(long, value_name = "NAME", required = true)]
    pub(crate) to: Option<String>,
    #[command(flatten)]
    pub(crate) options: MoveOptions,
    /// Move a batch: one account a line; - is stdin
    #[arg(long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// The batch's name [default: like the file's]
    #[arg(long, value_name = "NAME", requires = "file")]
    pub(crate) batch: Option<String>,
    /// Pause after this many failures
    #[arg(long, value_name = "COUNT", default_value_t = 3)]
    pub(crate) max_failures: usize,
    /// Check everything, and move nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// How a move is carried out.
#[derive(Debug, Args)]
pub(crate) struct MoveOptions {
    /// Copies what is left [default: moves.sync]
    #[arg(long, value_name = "COMMAND")]
    pub(crate) sync: Option<String>,
    /// Checks the account there [default: moves.verify]
    #[arg(long, value_name = "COMMAND")]
    pub(crate) verify: Option<String>,
    /// Longest wait of logins [default: moves.hold]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) hold: Option<u64>,
    /// For transfers to finish [default: moves.grace]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) grace: Option<u64>,
    /// Sync onto a destination that was used before
    #[arg(long)]
    pub(crate) force: bool,
    /// Compare the mailboxes before the mapping changes
    #[arg(long)]
    pub(crate) compare: bool,
    #[command(flatten)]
    pub(crate) tolerance: ToleranceOptions,
}

/// Which differences between mailboxes are accepted.
#[derive(Debug, Args)]
pub(crate) struct ToleranceOptions {
    /// Messages that may be missing
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    pub(crate) max_missing: usize,
    /// Accept no difference
    #[arg(long)]
    pub(crate) strict: bool,
    /// Also show who shares folders with the account
    #[arg(long)]
    pub(crate) with_shared: bool,
}

/// The arguments of `compare`.
#[derive(Debug, Args)]
pub(crate) struct CompareOptions {
    /// Accounts
    #[arg(value_name = "ACCOUNT", required_unless_present = "file", conflicts_with = "file")]
    pub(crate) accounts: Vec<String>,
    /// The destination with the copy
    #[arg(long, value_name = "NAME")]
    pub(crate) to: String,
    /// With the original [default: the mapping's]
    #[arg(long, value_name = "NAME")]
    pub(crate) from: Option<String>,
    /// Compare the accounts of a batch file; - is stdin
    #[arg(long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) tolerance: ToleranceOptions,
}

/// The arguments of `move list`.
#[derive(Debug, Args)]
pub(crate) struct ListOptions {
    /// Only moves of this account
    #[arg(long, value_name = "ACCOUNT")]
    pub(crate) user: Option<String>,
    /// Only moves of this batch
    #[arg(long, value_name = "NAME")]
    pub(crate) batch: Option<String>,
    /// Only moves that have not ended
    #[arg(long)]
    pub(crate) unfinished: bool,
    /// List at most this many moves
    #[arg(long, default_value_t = 100)]
    pub(crate) limit: usize,
}

/// The arguments of `move rollback`.
#[derive(Debug, Args)]
pub(crate) struct RollbackOptions {
    /// The move's number
    #[arg(value_name = "ID", required_unless_present = "batch")]
    pub(crate) id: Option<i64>,
    /// Take back every move of a batch that is done
    #[arg(long, value_name = "NAME", conflicts_with = "id")]
    pub(crate) batch: Option<String>,
    #[command(flatten)]
    pub(crate) options: MoveOptions,
    /// Leave what the account has received at the target
    #[arg(long)]
    pub(crate) leave_behind: bool,
}

/// Whole seconds, with or without the unit: `60`, `60s`, `2m`, `1h`.
fn seconds(text: &str) -> Result<u64, String> {
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(split);
    let factor = match unit {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3_600,
        _ => return Err(format!("found {text:?}, expected seconds, or a number with s, m or h")),
    };
    let number: u64 = digits.parse().map_err(|_| format!("found {text:?}, expected a number"))?;
    number.checked_mul(factor).ok_or_else(|| format!("{text} is too long"))
}

pub(super) const MOVE: &str = "\
Examples:
  pointsman move alice@example.org --to new
  pointsman move alice@example.org alice --to new --sync 'copy-account'
  pointsman move --file batch.tsv --to new --dry-run
  pointsman move list --unfinished

A move holds the account's logins, ends its sessions, runs the sync command,
changes the mapping, and lets the logins go on at the destination. Clients see
one disconnection and one slow login. Whatever fails before the mapping is
changed leaves everything as it was.

--compare needs [moves.compare]. A missing message or folder stops the move;
with --strict, every difference does. --max-missing, --strict and --with-shared
imply --compare.

The commands run on the proxy's host, by /bin/sh, with ACCOUNT, ACCOUNTS (all
names, one a line), FROM, TO and MOVE_ID in their environment.

Ctrl-C stops a batch after the moves in progress, and `--max-failures 0` never
pauses it. A single move goes on: `pointsman move cancel` cancels it.

Exit status: 0 everything was moved; 1 something was not; 2 no answer from the
proxy, or invalid arguments.";

pub(super) const COMPARE: &str = "\
Examples:
  pointsman compare alice@example.org --to new
  pointsman compare --file monday.tsv --to new --strict
  pointsman compare alice@example.org --to new --json | jq .missing

Logs in to both servers as [moves.compare] says, and compares folders,
subscriptions, messages, flags, UIDs and, where both offer POP3, UIDLs. Nothing
is changed. Missing folders and messages are failures, beyond --max-missing;
other differences are reported, and are failures with --strict.

--json prints one line for each account.

Exit status: 0 nothing is missing; 1 something is, or a mailbox cannot be read;
2 no answer from the proxy, or invalid arguments.";

const START: &str = "\
Examples:
  pointsman move start alice@example.org --to new
  pointsman move start list@example.org --to new --sync 'copy-account'

The same as `pointsman move` without a subcommand.

Exit status: 0 everything was moved; 1 something was not; 2 no answer from the
proxy, or invalid arguments.";

const LIST: &str = "\
Examples:
  pointsman move list --unfinished
  pointsman move list --user alice@example.org
  pointsman move list --batch monday --json | jq '.moves[].outcome'

Exit status: 0 success; 1 the proxy refused the request; 2 no answer from the
proxy, or invalid arguments.";

const SHOW: &str = "\
Example:
  pointsman move show 17

Exit status: 0 success; 1 there is no such move; 2 no answer from the proxy, or
invalid arguments.";

const ROLLBACK: &str = "\
Examples:
  pointsman move rollback 17 --sync 'copy-account'
  pointsman move rollback 17 --leave-behind
  pointsman move rollback --batch monday --leave-behind

A rollback is a move the other way. --sync copies back what the account has
received since; its command has FROM and TO exchanged. Without it the proxy asks
for --leave-behind, because those messages would stay behind.

Exit status: 0 everything was moved back; 1 something was not; 2 no answer from
the proxy, or invalid arguments.";

const CANCEL: &str = "\
Example:
  pointsman move cancel 17

Exit status: 0 cancelled, and nothing was changed; 1 it was too late; 2 no
answer from the proxy, or invalid arguments.";

const PAUSE: &str = "\
Example:
  pointsman move pause monday

Moves in progress go on to their end.

Exit status: 0 success; 1 there is no such batch; 2 no answer from the proxy, or
invalid arguments.";

const RESUME: &str = "\
Example:
  pointsman move resume monday

Exit status: 0 everything was moved; 1 something was not; 2 no answer from the
proxy, or invalid arguments.";
