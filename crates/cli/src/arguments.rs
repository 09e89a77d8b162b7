//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

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
