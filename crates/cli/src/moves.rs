//! `pointsman move`.

pub(crate) mod batch_file;
mod follow;
mod text;

use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use api::moves::{Accepted, Batch, Move, MoveChoices, MovePage, NewMoves};
use api::parameters::{BATCH, FROM, IDENTIFIER, LIMIT, UNFINISHED};
use api::{Problem, paths};
use hyper::Method;
use serde::Serialize;

use self::batch_file::BatchFile;
use self::follow::{follow_batch, follow_moves};
use self::text::{milliseconds, name};
use crate::api_client::{ApiCall, ApiClient, CommandError};
use crate::arguments::{
    ListOptions, MoveArguments, MoveCommand, MoveOptions, RollbackOptions, StartOptions, ToleranceOptions,
};
use crate::format::{count, duration, or_dash, unix_time};
use crate::print::{Table, print_json, print_line};
use crate::progress::{elapsed, with_progress};

/// Moves in one page of the API.
const PAGE: usize = 1_000;

/// Executes `command`.
pub(crate) async fn moves(
    client: &ApiClient,
    arguments: MoveArguments,
    is_json: bool,
) -> Result<ExitCode, CommandError> {
    match arguments.command.unwrap_or(MoveCommand::Start(arguments.start)) {
        MoveCommand::Start(options) => start(client, options, is_json).await,
        MoveCommand::List(options) => list(client, &options, is_json).await,
        MoveCommand::Show { id } => show(client, id, is_json).await,
        MoveCommand::Rollback(options) => rollback(client, options, is_json).await,
        MoveCommand::Cancel { id } => cancel(client, id, is_json).await,
        MoveCommand::Pause { batch } => pause(client, &batch, is_json).await,
        MoveCommand::Resume { batch } => {
            let path = paths::move_batch(&batch, Some("resume"));
            let _: Batch = client.json(ApiCall::new(Method::POST, &path)).await?;
            follow_batch(client, &batch, is_json).await
        }
    }
}

async fn start(client: &ApiClient, options: StartOptions, is_json: bool) -> Result<ExitCode, CommandError> {
    let StartOptions { accounts, to, options, file, batch, max_failures, dry_run } = options;
    let Some(to) = to else { return Err(CommandError::Usage("--to is missing".to_owned())) };
    let file = match file {
        Some(path) => Some(BatchFile::read(&path)?),
        None => None,
    };
    let is_batch = file.is_some();
    let batch = file.as_ref().map(|file| batch.unwrap_or_else(|| default_name(file)));
    let groups = file.as_ref().map(|file| file.groups.clone()).unwrap_or_default();
    let choices = choices(options, false);
    let new = NewMoves { to, accounts, groups, batch, max_failures, dry_run, options: choices };
    let call = ApiCall::new(Method::POST, paths::MOVES).sending("application/json", json(&new)?);
    let accepted: Result<Accepted, _> = with_progress(elapsed("checking"), client.json(call)).await;
    let accepted = match (accepted, &file) {
        (Err(CommandError::Refused(problem)), Some(file)) => {
            return Err(CommandError::Refused(file.located(problem)));
        }
        (accepted, _) => accepted?,
    };
    if dry_run {
        let moves =
            if is_batch { count(new.groups.len(), "account", "accounts") } else { "1 account".to_owned() };
        if is_json {
            print_json(&accepted)?;
        } else {
            print_line(&format!("dry run: {moves} can be moved to {}; nothing was moved", new.to))?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    match &accepted.batch {
        Some(batch) => follow_batch(client, batch, is_json).await,
        None => follow_moves(client, &accepted.moves, is_json).await,
    }
}

async fn rollback(
    client: &ApiClient,
    options: RollbackOptions,
    is_json: bool,
) -> Result<ExitCode, CommandError> {
    let RollbackOptions { id, batch, options, leave_behind } = options;
    let body = json(&choices(options, leave_behind))?;
    let ids = match (id, batch) {
        (Some(id), _) => vec![id],
        (None, Some(batch)) => done_moves(client, &batch).await?,
        (None, None) => Vec::new(),
    };
    let mut back = Vec::new();
    let mut refused: Option<Problem> = None;
    for id in ids {
        let path = paths::one_move(id, Some("rollback"));
        let call = ApiCall::new(Method::POST, &path).sending("application/json", body.clone());
        match client.json::<Accepted>(call).await {
            Ok(accepted) => back.extend(accepted.moves),
            // The others may be possible: all that was started is followed before the first refusal is reported.
            Err(CommandError::Refused(problem)) => drop(refused.get_or_insert(problem)),
            Err(error) => return Err(error),
        }
    }
    let followed = if back.is_empty() { None } else { Some(follow_moves(client, &back, is_json).await?) };
    match (refused, followed) {
        (Some(problem), _) => Err(CommandError::Refused(problem)),
        (None, Some(code)) => Ok(code),
        (None, None) => {
            print_line("nothing to roll back: no move of the batch is done")?;
            Ok(ExitCode::FAILURE)
        }
    }
}

/// Returns the moves of a batch that are done, newest first.
async fn done_moves(client: &ApiClient, batch: &str) -> Result<Vec<i64>, CommandError> {
    let options =
        ListOptions { user: None, batch: Some(batch.to_owned()), unfinished: false, limit: usize::MAX };
    let page = fetch(client, &options).await?;
    let done = page.moves.iter().filter(|record| record.outcome.as_deref() == Some("done"));
    Ok(done.map(|record| record.id).collect())
}

async fn list(client: &ApiClient, options: &ListOptions, is_json: bool) -> Result<ExitCode, CommandError> {
    let page = fetch(client, options).await?;
    if is_json {
        print_json(&page)?;
        return Ok(ExitCode::SUCCESS);
    }
    let now = unix_time();
    let mut table = Table::new(&["ID", "ACCOUNT", "FROM", "TO", "STATE", "AGE", "HELD", "BATCH"]);
    for record in &page.moves {
        table.row([
            record.id.to_string(),
            name(record),
            record.from.clone(),
            record.to.clone(),
            record.outcome.clone().unwrap_or_else(|| record.step.clone()),
            duration(now.saturating_sub(record.created)),
            milliseconds(record.held_ms),
            or_dash(record.batch.clone()),
        ]);
    }
    table.print()?;
    if page.next.is_some() {
        eprintln!("more moves exist: raise --limit, or select with --user, --batch or --unfinished");
    }
    Ok(ExitCode::SUCCESS)
}

/// Fetches pages until there are as many moves as wanted, or no more.
async fn fetch(client: &ApiClient, options: &ListOptions) -> Result<MovePage, CommandError> {
    let mut list = MovePage::default();
    while list.moves.len() < options.limit {
        let from = list.next.map(|next| next.to_string());
        let call = ApiCall::get(paths::MOVES)
            .with_some(IDENTIFIER, options.user.as_deref())
            .with_some(BATCH, options.batch.as_deref())
            .with_some(UNFINISHED, options.unfinished.then_some("true"))
            .with_some(FROM, from.as_deref())
            .with(LIMIT, &(options.limit - list.moves.len()).min(PAGE).to_string());
        let page: MovePage = client.json(call).await?;
        // An empty page that promises more would be requested for ever.
        let is_last = page.next.is_none() || page.moves.is_empty();
        list.moves.extend(page.moves);
        list.next = page.next;
        if is_last {
            break;
        }
    }
    Ok(list)
}

async fn show(client: &ApiClient, id: i64, is_json: bool) -> Result<ExitCode, CommandError> {
    let record: Move = client.json(ApiCall::get(&paths::one_move(id, None))).await?;
    if is_json {
        print_json(&record)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = Table::new(&["MOVE", &record.id.to_string()]);
    table.row(["accounts".to_owned(), record.accounts.join(", ")]);
    table.row(["from".to_owned(), record.from.clone()]);
    table.row(["to".to_owned(), record.to.clone()]);
    table.row([
        "state".to_owned(),
        record.outcome.clone().unwrap_or_else(|| format!("in progress: {}", record.step)),
    ]);
    if let Some(message) = &record.message {
        table.row(["message".to_owned(), message.clone()]);
    }
    if let Some(original) = record.rollback_of {
        table.row(["takes back".to_owned(), format!("move {original}")]);
    }
    table.row(["logins held".to_owned(), milliseconds(record.held_ms)]);
    table.row(["logins waited".to_owned(), record.logins_waited.to_string()]);
    table.row(["longest wait".to_owned(), milliseconds(record.longest_wait_ms)]);
    table.row(["sessions ended".to_owned(), record.sessions_ended.to_string()]);
    table.print()?;
    if !record.output.is_empty() {
        print_line("output of its commands:")?;
        for line in record.output.lines() {
            print_line(&format!("  {line}"))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn cancel(client: &ApiClient, id: i64, is_json: bool) -> Result<ExitCode, CommandError> {
    let path = paths::one_move(id, None);
    let call = ApiCall::new(Method::DELETE, &path);
    let record: Move = with_progress(elapsed("waiting for the move to end"), client.json(call)).await?;
    if is_json {
        print_json(&record)?;
    } else {
        print_line(&format!("move {id} is cancelled: {} is at {}", name(&record), record.from))?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn pause(client: &ApiClient, batch: &str, is_json: bool) -> Result<ExitCode, CommandError> {
    let path = paths::move_batch(batch, Some("pause"));
    let state: Batch = client.json(ApiCall::new(Method::POST, &path)).await?;
    if is_json {
        print_json(&state)?;
    } else {
        print_line(&format!("batch {batch} is paused: {} wait", count(state.queued, "move", "moves")))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn choices(options: MoveOptions, leave_behind: bool) -> MoveChoices {
    let MoveOptions { sync, verify, hold, grace, force, compare, tolerance } = options;
    let ToleranceOptions { max_missing, strict, with_shared } = tolerance;
    MoveChoices { sync, verify, hold, grace, force, leave_behind, compare, max_missing, strict, with_shared }
}

fn default_name(file: &BatchFile) -> String {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    format!("{}-{seconds}", file.stem)
}

fn json(value: &impl Serialize) -> Result<Vec<u8>, CommandError> {
    serde_json::to_vec(value)
        .map_err(|error| CommandError::Usage(format!("the request cannot be built: {error}")))
}
