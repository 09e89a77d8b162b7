//! `[moves]`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use types::secret::Secret;

use crate::name::Name;

/// `[moves]`.
#[derive(Debug)]
pub struct Moves {
    /// SQLite file; `None` = in `state_dir`.
    pub journal: Option<PathBuf>,
    /// Longest hold.
    pub hold: Duration,
    /// For a submission or an upload to finish.
    pub grace: Duration,
    /// Default command.
    pub sync: Option<String>,
    /// Default command.
    pub verify: Option<String>,
    /// Whose requests may name other commands than these.
    pub commands_from_api: CommandsFromApi,
    /// Moves at once.
    pub parallel: usize,
    /// How often a sync runs at most, until the source stays unchanged.
    pub max_rounds: u32,
    /// `[moves.compare]`: master users by destination name.
    pub compare: BTreeMap<Name, CompareLogin>,
}

/// Whose requests to the management API may name commands to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CommandsFromApi {
    /// None: only the configured commands run.
    Off,
    /// Requests from this host.
    #[default]
    Loopback,
    /// All requests.
    Any,
}

/// `[moves.compare.NAME]`: how the proxy logs in to one side to compare.
#[derive(Debug)]
pub struct CompareLogin {
    /// Master user; the account's own name where unset.
    pub master_user: Option<String>,
    /// What joins the account and the master user in a user name; `None` = SASL PLAIN carries both.
    pub separator: Option<String>,
    /// Its password.
    pub password: Secret,
}
