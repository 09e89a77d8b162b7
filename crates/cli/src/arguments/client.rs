//! The arguments of the commands that talk to a running proxy: `map`, `sessions`, `status` and `top`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// How to reach the management API: from a configuration file, or by URL and token file.
#[derive(Debug, Args)]
#[command(next_help_heading = "Management API")]
pub(crate) struct ApiOptions {
    /// Configuration file [default: see `pointsman --help`]
    #[arg(long, global = true, value_name = "FILE", conflicts_with = "url")]
    pub(crate) config: Option<PathBuf>,
    /// Use https://HOST:PORT instead of a configuration
    #[arg(long, global = true)]
    pub(crate) url: Option<String>,
    /// File with the API token (with --url)
    #[arg(long, global = true, value_name = "FILE", requires = "url", conflicts_with = "config")]
    pub(crate) token_file: Option<PathBuf>,
    /// SHA-256 of the API's certificate, in hexadecimal
    #[arg(long, global = true, value_name = "SHA256")]
    pub(crate) pin: Option<String>,
    /// Print the API's response as JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

/// The arguments of `top`.
#[derive(Debug, Args)]
pub(crate) struct TopOptions {
    #[command(flatten)]
    pub(crate) filter: FilterOptions,
    /// Only sessions of this protocol
    #[arg(long)]
    pub(crate) protocol: Option<String>,
    /// Seconds between two updates
    #[arg(long, value_name = "SECONDS", default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub(crate) interval: u64,
    /// End after this many updates
    #[arg(long, value_name = "UPDATES")]
    pub(crate) count: Option<u64>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum MapCommand {
    /// Show which destination holds an account, and why
    #[command(after_help = GET)]
    Get {
        /// The account
        #[arg(value_name = "ACCOUNT")]
        identifier: String,
    },
    /// Send new logins of an account or a domain to a destination
    #[command(after_help = SET)]
    Set {
        /// An account, or a whole domain as @example.org
        #[arg(value_name = "ACCOUNT")]
        identifier: String,
        /// The name of a destination in the configuration
        destination: String,
    },
    /// Remove the entry of an account or a domain
    #[command(after_help = REMOVE)]
    Rm {
        /// An account, or a whole domain as @example.org
        #[arg(value_name = "ACCOUNT")]
        identifier: String,
    },
    /// List the entries of the mapping
    #[command(after_help = LIST)]
    List {
        /// List at most this many entries
        #[arg(long, default_value_t = 1000)]
        limit: usize,
    },
    /// Import entries from a file: all of them or none
    #[command(after_help = IMPORT)]
    Import {
        /// The file; - reads standard input
        file: PathBuf,
        /// Show what would change without changing it
        #[arg(long)]
        dry_run: bool,
    },
    /// Export all entries in the format that `import` reads
    #[command(after_help = EXPORT)]
    Export {
        /// Write to this file instead of standard output
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Read the mapping again
    #[command(after_help = RELOAD)]
    Reload,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SessionsCommand {
    /// List sessions
    #[command(after_help = SESSIONS_LIST)]
    List {
        #[command(flatten)]
        filter: FilterOptions,
        /// Only sessions of this protocol
        #[arg(long)]
        protocol: Option<String>,
        /// List at most this many sessions
        #[arg(long, default_value_t = 1000)]
        limit: usize,
    },
    /// Disconnect sessions, so that clients log in again
    #[command(after_help = KICK)]
    Kick {
        #[command(flatten)]
        filter: FilterOptions,
    },
}

/// Selects sessions: a session must match every option that is given.
#[derive(Debug, Args)]
pub(crate) struct FilterOptions {
    /// Only this account, or a domain: '*@example.org'
    #[arg(long, value_name = "ACCOUNT")]
    pub(crate) user: Option<String>,
    /// Only sessions at this destination
    #[arg(long, value_name = "NAME")]
    pub(crate) destination: Option<String>,
    /// Only this client address or network
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) client: Option<String>,
}

const GET: &str = "\
Example:
  pointsman map get alice@example.org

Exit status: 0 success; 1 the proxy refused the request; 2 no answer from the
proxy, or invalid arguments.";

const SET: &str = "\
Examples:
  pointsman map set alice@example.org new
  pointsman map set @example.org new

The change is stored before the command returns. New logins use it at once, and
logins in progress are routed again. Open sessions stay where they are:
`pointsman sessions kick` ends them.

Exit status: 0 success; 1 the proxy refused the request; 2 no answer from the
proxy, or invalid arguments.";

const REMOVE: &str = "\
Example:
  pointsman map rm alice@example.org

Without an entry, an account follows the entry of its domain, else it is at the
default destination.

Exit status: 0 success; 1 there was no entry, or the proxy refused the request;
2 no answer from the proxy, or invalid arguments.";

const LIST: &str = "\
Example:
  pointsman map list --limit 20

Exit status: 0 success; 1 the proxy refused the request; 2 no answer from the
proxy, or invalid arguments.";

const IMPORT: &str = "\
Examples:
  pointsman map import --dry-run moved.tsv
  pointsman map import - < moved.tsv

Each line is an account (or @domain), a tab, and a destination, as in the
mapping file. Entries that the file does not name stay as they are.

Exit status: 0 success; 1 the proxy refused the file, and nothing was changed;
2 no answer from the proxy, or the file cannot be read.";

const EXPORT: &str = "\
Examples:
  pointsman map export > all.tsv
  pointsman map export --out all.tsv

With --out the file appears only when the export is complete.

Exit status: 0 success; 1 the proxy refused the request; 2 no answer from the
proxy, an incomplete export, or a file that cannot be written.";

const RELOAD: &str = "\
Example:
  pointsman map reload

Reads the mapping file again, or drops the cached answers of a mapping store.
If the file is not valid, the mapping in force stays.

Exit status: 0 success; 1 the mapping is not valid; 2 no answer from the proxy.";

const SESSIONS_LIST: &str = "\
Examples:
  pointsman sessions list --destination old
  pointsman sessions list --user '*@example.org' --protocol imap

TO BACKEND and TO CLIENT count the bytes of the session.

Exit status: 0 success; 1 the proxy refused the request; 2 no answer from the
proxy, or invalid arguments.";

const KICK: &str = "\
Examples:
  pointsman sessions kick --user alice@example.org
  pointsman sessions kick --client 192.0.2.0/24

At least one option is required. Logins in progress that match are routed again.

Exit status: 0 success; 1 the proxy refused the request, or a kicked session has
not ended yet; 2 no answer from the proxy, or invalid arguments.";
