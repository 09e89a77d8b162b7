//! The command line: every command, option and help text.
//!
//! Help texts are read at 80 columns, so no line that is printed as it stands (the examples) is longer than that.
//! A secret must never be an argument: arguments are visible in every process list.

mod client;
mod moves;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

pub(crate) use client::{ApiOptions, FilterOptions, MapCommand, SessionsCommand, TopOptions};
pub(crate) use moves::{
    CompareOptions, ListOptions, MoveArguments, MoveCommand, MoveOptions, RollbackOptions, StartOptions,
    ToleranceOptions,
};

/// Mail-migration proxy: routes every account to the mail server that holds it.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true, after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    /// Configuration file: `pointsman FILE` means `pointsman run FILE`
    #[arg(value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the proxy
    #[command(after_help = RUN)]
    Run {
        /// Configuration file [default: see `pointsman --help`]
        #[arg(value_name = "FILE")]
        config: Option<PathBuf>,
        /// Replace the running proxy: take its sockets, and have it drain
        #[arg(long)]
        takeover: bool,
    },
    /// Check a configuration and, with --probe, the servers it names
    #[command(after_help = CHECK)]
    Check {
        /// Configuration file [default: see `pointsman --help`]
        #[arg(value_name = "FILE")]
        config: Option<PathBuf>,
        /// Also connect to every backend and the mapping store
        #[arg(long)]
        probe: bool,
        /// Print the result as JSON
        #[arg(long)]
        json: bool,
    },
    /// Test a running proxy: log in at every listener, send a message
    #[command(after_help = VERIFY)]
    Verify(VerifyOptions),
    /// Print the JSON Schema of the configuration
    #[command(after_help = SCHEMA)]
    Schema {
        /// Print a Markdown page of all keys instead
        #[arg(long)]
        reference: bool,
    },
    /// Show and change which destination holds an account
    #[command(after_help = MAP)]
    Map {
        #[command(flatten)]
        api: ApiOptions,
        #[command(subcommand)]
        command: MapCommand,
    },
    /// Move accounts to another destination without losing a write
    #[command(after_help = moves::MOVE)]
    Move {
        // First, because a flattened help heading extends to the arguments after it.
        #[command(flatten)]
        arguments: Box<MoveArguments>,
        #[command(flatten)]
        api: ApiOptions,
    },
    /// Compare an account's mailbox at two destinations
    #[command(after_help = moves::COMPARE)]
    Compare {
        // First, because a flattened help heading extends to the arguments after it.
        #[command(flatten)]
        compare: CompareOptions,
        #[command(flatten)]
        api: ApiOptions,
    },
    /// List and disconnect sessions
    #[command(after_help = SESSIONS)]
    Sessions {
        #[command(flatten)]
        api: ApiOptions,
        #[command(subcommand)]
        command: SessionsCommand,
    },
    /// Show the state of the proxy and its destinations
    #[command(after_help = STATUS)]
    Status {
        #[command(flatten)]
        api: ApiOptions,
    },
    /// Watch logins, destinations and the busiest sessions
    #[command(after_help = TOP)]
    Top {
        // First, because a flattened help heading extends to the arguments after it.
        #[command(flatten)]
        top: TopOptions,
        #[command(flatten)]
        api: ApiOptions,
    },
    /// Create a token for the management API
    Token {
        #[command(subcommand)]
        command: TokenCommand,
    },
    /// Print a completion script for a shell
    #[command(after_help = COMPLETIONS)]
    Completions {
        /// bash, elvish, fish, powershell or zsh
        #[arg(hide_possible_values = true)]
        shell: Shell,
    },
    /// Print the manual page, or write one page per command
    #[command(after_help = MAN)]
    Man {
        /// Write pointsman.1, pointsman-map.1, … here
        #[arg(long, value_name = "DIRECTORY")]
        out: Option<PathBuf>,
    },
    /// Try the proxy with two built-in mail servers
    #[command(after_help = DEMO)]
    Demo {
        /// Also show the log of the proxy
        #[arg(long)]
        verbose: bool,
    },
}

/// The arguments of `verify`.
#[derive(Debug, Args)]
pub(crate) struct VerifyOptions {
    /// Configuration file [default: see `pointsman --help`]
    #[arg(value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Account to log in with
    #[arg(long, value_name = "ACCOUNT")]
    pub(crate) user: String,
    /// Read the password from this file
    #[arg(long, value_name = "FILE")]
    pub(crate) password_file: Option<PathBuf>,
    /// Name that the certificates must be valid for
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Trust the CAs in this PEM file, not the system's
    #[arg(long, value_name = "FILE", conflicts_with = "insecure")]
    pub(crate) ca: Option<PathBuf>,
    /// Accept any certificate (exposes the password)
    #[arg(long)]
    pub(crate) insecure: bool,
    /// Do not send a message
    #[arg(long)]
    pub(crate) no_message: bool,
    /// Print the results as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Create a random token: 64 hexadecimal digits (256 bits)
    #[command(after_help = TOKEN)]
    New {
        /// Write the token to this new file (mode 0600)
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
}

const EXAMPLES: &str = "\
Examples:
  pointsman demo                              try it without a configuration
  pointsman check /etc/pointsman/config.toml  find all configuration errors
  pointsman run /etc/pointsman/config.toml    run the proxy
  pointsman status                            show the state of a running proxy
  pointsman move alice@example.org --to new   move an account to `new`

Configuration file, when none is given (the first of these):
  $POINTSMAN_CONFIG, $PROXY_CONFIG, ./pointsman.toml,
  /etc/pointsman/config.toml

Environment:
  POINTSMAN_CONFIG, PROXY_CONFIG   path of the configuration file
  NO_COLOR                         do not use colours

Exit status: 0 success; 1 failure; 2 invalid arguments or, for commands that
use the management API, no answer from the proxy.";

const RUN: &str = "\
Examples:
  pointsman run /etc/pointsman/config.toml
  POINTSMAN_CONFIG=/etc/pointsman/config.toml pointsman run

Signals:
  SIGHUP            reload the configuration, the mapping and the certificates
  SIGINT, SIGTERM   drain, then exit; a second signal exits at once

Upgrades: `pointsman run --takeover` takes the listening sockets of the proxy
that uses the same state folder, and has it drain. It starts normally if there
is none. Sockets passed by systemd (LISTEN_FDS) are used for the listeners of
the same name or address.

Exit status: 0 after a drain; 1 if the proxy cannot start.";

const CHECK: &str = "\
Examples:
  pointsman check pointsman.toml
  pointsman check --json pointsman.toml | jq '.[].key'
  pointsman check --probe pointsman.toml

All errors are reported in one run, with file, line and column. Errors in the
mapping file are reported too.

--probe connects to every host of every destination the way a session does, up
to the point where a password would be sent: TLS and certificate, greeting,
capabilities, forwarding of the client's address. No credential is sent. It
also queries the mapping store. Up to eight hosts are probed at the same time;
each has `server.backend_timeout`.

--json prints a list of problems; with --probe, an object with the members
`problems`, `probe` and `store`.

Exit status: 0 valid; 1 not valid, or logins would fail at a probed server.";

const MAP: &str = "\
Examples:
  pointsman map get alice@example.org
  pointsman map set alice@example.org new

Exit status: 0 success; 1 the proxy refused the request, or `rm` found no
entry; 2 no answer from the proxy, or invalid arguments.";

const SESSIONS: &str = "\
Examples:
  pointsman sessions list --destination old
  pointsman sessions kick --user alice@example.org

Exit status: 0 success; 1 the proxy refused the request, or a kicked session
has not ended yet; 2 no answer from the proxy, or invalid arguments.";

const STATUS: &str = "\
Examples:
  pointsman status
  pointsman status --json | jq .ready
  pointsman status --url https://mail.example.org:9443 --token-file admin.token

Exit status: 0 ready and every destination up; 1 not ready, or a destination is
down; 2 no answer from the proxy.";

const TOP: &str = "\
Examples:
  pointsman top
  pointsman top --destination old --interval 5
  pointsman top --json --count 2 | tail -n 1 | jq .logins_per_second

Keys: s changes the order of the sessions, p pauses, q quits.

--json prints one line per update. Rates need two updates: they are null in the
first one.

Exit status: 0 ended by the user or by --count; 1 the proxy refused the request;
2 no answer from the proxy, or no terminal to draw on.";

const SCHEMA: &str = "\
Examples:
  pointsman schema > pointsman.schema.json
  pointsman schema --reference | less

Editors with a TOML language server use the schema to complete and check keys.

Exit status: 0 success; 2 standard output cannot be written.";

const DEMO: &str = "\
Example:
  pointsman demo      then follow the steps that it prints; Ctrl-C ends it

Runs an old and a new mail server and the proxy in front of them, on this host
only. Everything is deleted when it ends.

Exit status: 0 ended by the user; 1 the demo cannot run.";

const TOKEN: &str = "\
Examples:
  pointsman token new --out /etc/pointsman/admin.token
  pointsman token new

Without --out the token is printed. An existing file is never overwritten.
A running proxy reads its token at the start only: restart it to use a new one.

Exit status: 0 success; 2 the file exists or cannot be written.";

const COMPLETIONS: &str = "\
Examples:
  pointsman completions bash > /etc/bash_completion.d/pointsman
  pointsman completions zsh > ~/.zfunc/_pointsman
  pointsman completions fish > ~/.config/fish/completions/pointsman.fish

Exit status: 0 success; 2 unknown shell, or standard output cannot be written.";

const MAN: &str = "\
Examples:
  pointsman man | man -l -
  pointsman man --out /usr/local/share/man/man1

Exit status: 0 success; 2 a file cannot be written.";

const VERIFY: &str = "\
Examples:
  pointsman verify /etc/pointsman/config.toml --user test@example.org
  pointsman verify --user test@example.org --password-file test.password --json

Logs in at every IMAP, POP3, ManageSieve, submission and HTTP listener, sends a
message through each SMTP listener, and looks for the message by IMAP. Use a
test account: the message stays in its inbox.

The password is read from --password-file, else from the environment variable
POINTSMAN_VERIFY_PASSWORD, else from the terminal.

Certificates must be valid for --name, else for `server.hostname`, else for the
first name in the configured certificates.

Skipped: listeners without TLS, because no password is sent in the clear, and
listeners that require a PROXY header.

Exit status: 0 every test that ran passed; 1 a test failed, or none ran; 2 the
tests could not be started.";

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_does_not_contradict_itself() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn help_fits_80_columns() {
        assert_fits(&mut Arguments::command());
    }

    fn assert_fits(command: &mut clap::Command) {
        for line in command.render_help().to_string().lines() {
            assert!(line.chars().count() <= 80, "{}: {line:?}", command.get_name());
        }
        for subcommand in command.get_subcommands_mut() {
            assert_fits(subcommand);
        }
    }
}
