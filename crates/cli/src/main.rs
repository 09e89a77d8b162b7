//! `pointsman`: the only program of the workspace.

mod api_client;
mod arguments;
mod check;
mod compare;
mod demo;
mod format;
mod manual;
mod map;
mod moves;
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

use api_client::{ApiClient, ApiEndpoint, CommandError, block_on};
use arguments::{ApiOptions, Arguments, Command, TokenCommand};
use clap::Parser;

fn main() -> ExitCode {
    let Arguments { command, config } = Arguments::parse();
    let Some(command) = command else {
        return run::run(config.as_deref(), false);
    };
    match command {
        Command::Run { config, takeover } => run::run(config.as_deref(), takeover),
        Command::Check { config, probe, json } => exit_code(check::check(config.as_deref(), probe, json)),
        Command::Schema { reference } => finish(check::schema(reference)),
        Command::Map { api, command } => {
            call_api(&api, async |client| map::map(client, command, api.json).await)
        }
        Command::Move { api, arguments } => {
            call_api(&api, async |client| moves::moves(client, *arguments, api.json).await)
        }
        Command::Compare { api, compare } => {
            call_api(&api, async |client| compare::compare(client, compare, api.json).await)
        }
        Command::Sessions { api, command } => {
            call_api(&api, async |client| sessions::sessions(client, command, api.json).await)
        }
        Command::Status { api } => call_api(&api, async |client| status::status(client, api.json).await),
        Command::Top { api, top } => call_api(&api, async |client| top::top(client, &top, api.json).await),
        Command::Verify(options) => exit_code(verify::verify(&options)),
        Command::Token { command: TokenCommand::New { out } } => finish(token::new(out.as_deref())),
        Command::Completions { shell } => finish(manual::completions(shell)),
        Command::Man { out } => finish(manual::pages(out.as_deref())),
        Command::Demo { verbose } => demo::demo(verbose),
    }
}

/// Runs a command that uses the management API. With `--json`, a refusal of the API is printed as JSON too.
fn call_api(
    options: &ApiOptions,
    command: impl AsyncFnOnce(&ApiClient) -> Result<ExitCode, CommandError>,
) -> ExitCode {
    let client = match ApiEndpoint::of(options) {
        Ok(endpoint) => ApiClient::new(endpoint),
        Err(error) => return error.report(),
    };
    let result = block_on(command(&client));
    if let Err(CommandError::Refused(problem)) = &result
        && options.json
    {
        // The exit status reports the refusal even if standard output is closed.
        let _ = print::print_json(problem);
    }
    exit_code(result)
}

/// Returns the exit status of a command that chooses it on success.
fn exit_code(result: Result<ExitCode, CommandError>) -> ExitCode {
    match result {
        Ok(code) => code,
        Err(error) => error.report(),
    }
}

/// Returns the exit status of a command that either succeeds or fails.
fn finish(result: Result<(), CommandError>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => error.report(),
    }
}
