//! `pointsman`: the one binary.

mod arguments;
mod check;
mod demo;
mod run;

use std::process::ExitCode;

use arguments::{Arguments, Command};
use clap::Parser;

fn main() -> ExitCode {
    let Arguments { command, config } = Arguments::parse();
    match (command, config) {
        (Some(Command::Run { config }), _) => run::run(config.as_deref()),
        (Some(Command::Check { config, json }), _) => check::check(config.as_deref(), json),
        (Some(Command::Schema { reference }), _) => check::schema(reference),
        (Some(Command::Demo), _) => demo::demo(),
        (None, config) => run::run(config.as_deref()),
    }
}
