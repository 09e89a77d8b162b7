//! The commands that ask a running proxy.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Whom to ask. The file has address, token and certificate; or all three are given.
#[derive(Debug, Args)]
#[command(next_help_heading = "The proxy to ask")]
pub(crate) struct Reach {
    /// Configuration file [default: $POINTSMAN_CONFIG, $PROXY_CONFIG, ./pointsman.toml, /etc/pointsman/config.toml]
    #[arg(long, global = true, value_name = "FILE", conflicts_with = "url")]
    pub(crate) config: Option<PathBuf>,
    /// Address of the API, as https://HOST:PORT, in place of a configuration
    #[arg(long, global = true)]
    pub(crate) url: Option<String>,
    /// With --url: the file that holds the token
    #[arg(long, global = true, value_name = "FILE", requires = "url", conflicts_with = "config")]
    pub(crate) token_file: Option<PathBuf>,
    /// SHA-256 of the certificate that the API must show, in hexadecimal
    #[arg(long, global = true, value_name = "SHA256")]
    pub(crate) pin: Option<String>,
    /// Print the API's answer as JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum MapCommand {
    /// Say where an account is, and why.
    #[command(
        after_help = "Example:\n  pointsman map get alice@example.org\n\nExit status: 0 done, 1 the proxy said no, 2 it could not be asked."
    )]
    Get { identifier: String },
    /// Send an account, or a domain (@example.org), to a destination. New logins go there at once.
    #[command(
        after_help = "Example:\n  pointsman map set alice@example.org new\n\nExit status: 0 done, 1 the proxy said no, 2 it could not be asked."
    )]
    Set { identifier: String, destination: String },
    /// Remove an entry: the account falls to its domain's entry or to the default destination.
    #[command(
        after_help = "Example:\n  pointsman map rm alice@example.org\n\nExit status: 0 done, 1 the proxy said no, or there was no entry, 2 it could not be asked."
    )]
    Rm { identifier: String },
    /// List the entries.
    #[command(
        after_help = "Example:\n  pointsman map list --limit 20\n\nExit status: 0 done, 1 the proxy said no, 2 it could not be asked."
    )]
    List {
        /// Print no more than so many
        #[arg(long, default_value_t = 1000)]
        limit: usize,
    },
    /// Import entries (`identifier TAB destination`, as the mapping file has them): all of them or none.
    #[command(
        after_help = "Examples:\n  pointsman map import --dry-run moved.tsv\n  pointsman map import - < moved.tsv\n\nExit status: 0 done, 1 the proxy said no, 2 it could not be asked."
    )]
    Import {
        /// The file; - is standard input
        file: PathBuf,
        /// Say what would change, and change nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Export all entries, as an import takes them.
    #[command(
        after_help = "Examples:\n  pointsman map export > all.tsv\n  pointsman map export --out all.tsv\n\nExit status: 0 done, 1 the proxy said no, 2 it could not be asked."
    )]
    Export {
        /// Write here, once it is complete, in place of standard output
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Read the mapping again. One that is not valid changes nothing.
    #[command(
        after_help = "Example:\n  pointsman map reload\n\nExit status: 0 done, 1 the proxy said no, 2 it could not be asked."
    )]
    Reload,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SessionsCommand {
    /// List sessions.
    #[command(
        after_help = "Examples:\n  pointsman sessions list --destination old\n  pointsman sessions list --user '*@example.org' --protocol imap\n\nExit status: 0 done, 1 the proxy said no, 2 it could not be asked."
    )]
    List {
        #[command(flatten)]
        whose: Whose,
        /// Only of this protocol
        #[arg(long)]
        protocol: Option<String>,
        /// Print no more than so many
        #[arg(long, default_value_t = 1000)]
        limit: usize,
    },
    /// End sessions. Logins under way are routed afresh.
    #[command(
        after_help = "Examples:\n  pointsman sessions kick --user alice@example.org\n  pointsman sessions kick --client 192.0.2.0/24\n\nExit status: 0 done, 1 the proxy said no, or a session that was told to end has not ended yet, 2 it could not be asked."
    )]
    Kick {
        #[command(flatten)]
        whose: Whose,
    },
}

/// Whose sessions: all that is given must apply.
#[derive(Debug, Args)]
pub(crate) struct Whose {
    /// An account, or *@example.org
    #[arg(long, value_name = "ACCOUNT")]
    pub(crate) user: Option<String>,
    /// A destination's name
    #[arg(long)]
    pub(crate) destination: Option<String>,
    /// A client's address, or a network (192.0.2.0/24)
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) client: Option<String>,
}
