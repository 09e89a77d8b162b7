//! The command line.

mod client;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

pub(crate) use client::{MapCommand, Reach, SessionsCommand, Whose};

/// Stands in front of an old and a new mail server, and leads every account to the one that holds it.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true, after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    /// Configuration file: `pointsman CONFIG` is `pointsman run CONFIG`.
    pub(crate) config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the proxy.
    #[command(after_help = RUN)]
    Run {
        /// Configuration file [default: $POINTSMAN_CONFIG, $PROXY_CONFIG, ./pointsman.toml, /etc/pointsman/config.toml]
        config: Option<PathBuf>,
    },
    /// Validate a configuration: every problem in one run, with file, line and column.
    #[command(after_help = CHECK)]
    Check {
        /// Configuration file [default: as for `run`]
        config: Option<PathBuf>,
        /// Print the problems as JSON
        #[arg(long)]
        json: bool,
    },
    /// Print the JSON Schema of the configuration, for editors.
    Schema {
        /// Print every key as a Markdown page instead
        #[arg(long)]
        reference: bool,
    },
    /// See and change which destination holds an account.
    #[command(after_help = STATUSES)]
    Map {
        #[command(flatten)]
        reach: Reach,
        #[command(subcommand)]
        command: MapCommand,
    },
    /// See who is connected, and send them home.
    #[command(after_help = STATUSES)]
    Sessions {
        #[command(flatten)]
        reach: Reach,
        #[command(subcommand)]
        command: SessionsCommand,
    },
    /// Say how the proxy and its destinations are.
    #[command(after_help = STATUS)]
    Status {
        #[command(flatten)]
        reach: Reach,
    },
    /// See the main job with nothing installed: two small mail servers and a proxy in front.
    Demo,
}

const EXAMPLES: &str = "\
Examples:
  pointsman demo                              see what it does
  pointsman check /etc/pointsman/config.toml  find every mistake in a configuration
  pointsman run /etc/pointsman/config.toml    run the proxy";

const RUN: &str = "\
Signals:
  SIGHUP            reload configuration, mapping and certificates
  SIGINT, SIGTERM   drain and exit; a second one exits at once

Exit status: 0 after a drain, 1 when it cannot start.";

const CHECK: &str = "\
Examples:
  pointsman check pointsman.toml
  pointsman check --json pointsman.toml | jq '.[].key'

Exit status: 0 valid, 1 not valid.";

const STATUSES: &str = "\
Exit status: 0 done, 1 the proxy said no (or there was no such entry), 2 it could not be asked.";

const STATUS: &str = "\
Examples:
  pointsman status
  pointsman status --json | jq .ready
  pointsman status --url https://mail.example.org:9443 --token-file admin.token

Exit status: 0 all is well, 1 not ready or a destination is down, 2 the proxy could not be asked.";
