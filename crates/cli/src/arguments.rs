//! The command line.

mod client;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

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
        /// Also connect to every host of every destination, as far as a login goes without a credential
        #[arg(long)]
        probe: bool,
        /// Print the problems as JSON
        #[arg(long)]
        json: bool,
    },
    /// Log in at every listener of the running proxy as one account, and send it a message through port 25.
    #[command(after_help = VERIFY)]
    Verify(Verify),
    /// Print the JSON Schema of the configuration, for editors.
    #[command(after_help = SCHEMA)]
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
    /// Watch the proxy at work: logins a second, destinations, the busiest sessions.
    #[command(after_help = TOP)]
    Top {
        #[command(flatten)]
        reach: Reach,
        #[command(flatten)]
        top: Watch,
    },
    /// Make a token for the management API.
    Token {
        #[command(subcommand)]
        command: TokenCommand,
    },
    /// Print the completions of a shell.
    #[command(after_help = COMPLETIONS)]
    Completions {
        /// For which shell
        shell: Shell,
    },
    /// Print the manual page, or write it and those of all commands into a folder.
    #[command(after_help = MAN)]
    Man {
        /// Write pointsman.1, pointsman-map.1 and so on here
        #[arg(long, value_name = "FOLDER")]
        out: Option<PathBuf>,
    },
    /// See the main job with nothing installed: two small mail servers and a proxy in front.
    #[command(after_help = DEMO)]
    Demo,
}

/// What `verify` is told.
#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// Configuration file [default: as for `run`]
    pub(crate) config: Option<PathBuf>,
    /// The account
    #[arg(long, value_name = "ACCOUNT")]
    pub(crate) user: String,
    /// File that holds its password [default: $POINTSMAN_VERIFY_PASSWORD, else it is asked for]
    #[arg(long, value_name = "FILE")]
    pub(crate) password_file: Option<PathBuf>,
    /// Name that the certificates must be for [default: server.hostname, else the first certificate's]
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Certificates of the authorities to trust, in PEM, in place of this host's
    #[arg(long, value_name = "FILE", conflicts_with = "insecure")]
    pub(crate) ca: Option<PathBuf>,
    /// Take any certificate: the password goes to whoever answers
    #[arg(long)]
    pub(crate) insecure: bool,
    /// Send no message
    #[arg(long)]
    pub(crate) no_message: bool,
    /// Print the outcomes as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// What `top` is told.
#[derive(Debug, Args)]
pub(crate) struct Watch {
    /// Sessions of whom; destinations and logins are always everybody's
    #[command(flatten)]
    pub(crate) whose: Whose,
    /// Only sessions of this protocol
    #[arg(long)]
    pub(crate) protocol: Option<String>,
    /// Seconds from one look to the next
    #[arg(long, value_name = "SECONDS", default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub(crate) interval: u64,
    /// End after so many looks
    #[arg(long, value_name = "LOOKS")]
    pub(crate) count: Option<u64>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Make a new random token: 64 hexadecimal digits, 256 bits.
    #[command(after_help = TOKEN)]
    New {
        /// Write it here, readable by the owner only, in place of standard output. An existing file is not touched
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
}

const EXAMPLES: &str = "\
Examples:
  pointsman demo                              see what it does
  pointsman check /etc/pointsman/config.toml  find every mistake in a configuration
  pointsman run /etc/pointsman/config.toml    run the proxy
  pointsman status                            how is it?
  pointsman map set alice@example.org new     send an account to its new server

Environment:
  POINTSMAN_CONFIG, PROXY_CONFIG   the configuration file, when none is named (in this order)
  NO_COLOR                         no colours, whatever the terminal

Exit status: 0 done, 1 no or failed, 2 not understood or, for a client's command, the proxy could not be asked.";

const RUN: &str = "\
Examples:
  pointsman run /etc/pointsman/config.toml
  POINTSMAN_CONFIG=/etc/pointsman/config.toml pointsman run

Signals:
  SIGHUP            reload configuration, mapping and certificates
  SIGINT, SIGTERM   drain and exit; a second one exits at once

Exit status: 0 after a drain, 1 when it cannot start.";

const CHECK: &str = "\
Examples:
  pointsman check pointsman.toml
  pointsman check --json pointsman.toml | jq '.[].key'
  pointsman check --probe pointsman.toml

With --probe: TLS with its certificate, greeting, capabilities and forwarding, by the way of a session. No credential is sent.
A host has backend_timeout; eight are probed at once. --json then prints {\"problems\": [...], \"probe\": [...]}.

Exit status: 0 valid, 1 not valid, or a destination would not serve a login.";

const STATUSES: &str = "\
Exit status: 0 done, 1 the proxy said no (or there was no such entry), 2 it could not be asked.";

const STATUS: &str = "\
Examples:
  pointsman status
  pointsman status --json | jq .ready
  pointsman status --url https://mail.example.org:9443 --token-file admin.token

Exit status: 0 all is well, 1 not ready or a destination is down, 2 the proxy could not be asked.";

const TOP: &str = "\
Examples:
  pointsman top
  pointsman top --destination old --interval 5
  pointsman top --json --count 2 | tail -n 1 | jq .logins_per_second

Keys: s another order of the sessions, p hold the picture, q end.
With --json a line for each look; rates are there from the second on.

Exit status: 0 ended, 1 the proxy said no, 2 it could not be asked, or there is no terminal to draw on.";

const SCHEMA: &str = "\
Examples:
  pointsman schema > pointsman.schema.json
  pointsman schema --reference | less

Exit status: 0 done, 2 it cannot be written.";

const DEMO: &str = "\
Example:
  pointsman demo      then do what it prints; Ctrl-C ends it

Exit status: 0 when it was ended, 1 when it cannot run.";

const TOKEN: &str = "\
Examples:
  pointsman token new --out /etc/pointsman/admin.token
  pointsman token new

A running proxy takes a new token at its next start.

Exit status: 0 done, 2 the file cannot be written, or is there already.";

const COMPLETIONS: &str = "\
Examples:
  pointsman completions bash > /etc/bash_completion.d/pointsman
  pointsman completions zsh > ~/.zfunc/_pointsman
  pointsman completions fish > ~/.config/fish/completions/pointsman.fish

Exit status: 0 done, 2 no such shell.";

const MAN: &str = "\
Examples:
  pointsman man | man -l -
  pointsman man --out /usr/local/share/man/man1

Exit status: 0 done, 2 a file cannot be written.";

const VERIFY: &str = "\
Examples:
  pointsman verify /etc/pointsman/config.toml --user test@example.org
  pointsman verify --user test@example.org --password-file test.password --json

Use an account made for tests: a message is left in its inbox. Listeners without TLS are passed over, since no password is sent
in the clear, and so are those that demand a PROXY header.

Exit status: 0 everything that was tried is well, 1 something is not (or nothing could be tried), 2 it could not begin.";

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_does_not_contradict_itself() {
        Arguments::command().debug_assert();
    }
}
