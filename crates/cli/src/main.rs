//! `pointsman`: the one binary.

mod arguments;
mod check;
mod client;
mod demo;
mod manual;
mod map;
mod print;
mod probe;
mod progress;
mod run;
mod sessions;
mod status;
mod token;
mod top;
mod verify;

use std::process::ExitCode;

use arguments::{Arguments, Command, Reach, TokenCommand};
use clap::Parser;
use client::{Client, Failure, Target, block_on};

fn main() -> ExitCode {
    let Arguments { command, config } = Arguments::parse();
    match (command, config) {
        (Some(Command::Run { config }), _) => run::run(config.as_deref()),
        (Some(Command::Check { config, probe, json }), _) => check::check(config.as_deref(), probe, json),
        (Some(Command::Schema { reference }), _) => ended(check::schema(reference)),
        (Some(Command::Map { reach, command }), _) => {
            asking(&reach, async |client| map::map(client, command, reach.json).await)
        }
        (Some(Command::Sessions { reach, command }), _) => {
            asking(&reach, async |client| sessions::sessions(client, command, reach.json).await)
        }
        (Some(Command::Status { reach }), _) => {
            asking(&reach, async |client| status::status(client, reach.json).await)
        }
        (Some(Command::Top { reach, top }), _) => {
            asking(&reach, async |client| top::top(client, &top, reach.json).await)
        }
        (Some(Command::Verify(arguments)), _) => {
            verify::verify(&arguments).unwrap_or_else(|failure| failure.tell())
        }
        (Some(Command::Token { command: TokenCommand::New { out } }), _) => ended(token::new(out.as_deref())),
        (Some(Command::Completions { shell }), _) => ended(manual::completions(shell)),
        (Some(Command::Man { out }), _) => ended(manual::pages(out.as_deref())),
        (Some(Command::Demo), _) => demo::demo(),
        (None, config) => run::run(config.as_deref()),
    }
}

/// Runs a command of the API's client. With `--json` the API's answer is printed, a no too.
fn asking(reach: &Reach, command: impl AsyncFnOnce(&Client) -> Result<ExitCode, Failure>) -> ExitCode {
    let asked = Target::of(reach).map(Client::new).and_then(|client| block_on(command(&client)));
    asked.unwrap_or_else(|failure| {
        if let Failure::Refused(problem) = &failure
            && reach.json
        {
            // The exit status tells of the refusal, whatever became of standard output.
            let _ = print::json(problem);
        }
        failure.tell()
    })
}

fn ended(outcome: Result<(), Failure>) -> ExitCode {
    outcome.map_or_else(|failure| failure.tell(), |()| ExitCode::SUCCESS)
}
