//! Moves accounts, lists moves, takes them back.
//!
//! What must never happen here: a command from a request that is run although the configuration forbids it.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use api::Diagnostic;
use api::moves::{Accepted, Batch, Move, MoveChoices, MovePage, NewMoves};
use api::parameters::{BATCH, FROM, IDENTIFIER, LIMIT, UNFINISHED};
use axum::Json;
use axum::extract::{FromRequestParts, Path, Request, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use compare::Tolerance;
use moves::{
    BatchState, CompareOptions, MoveError, MoveId, MoveOptions, MoveRecord, MoveRequest, Moves, Problem,
    Query,
};
use plan::{CommandsFromApi, Moves as MoveSettings};

use crate::audit::Action;
use crate::failure::{CallResult, Failure};
use crate::parameters::{Parameters, read_json};
use crate::shared::{Caller, Shared};

/// The number of a move, in the path.
pub(crate) struct MoveNumber(MoveId);

/// The name of a batch, in the path.
pub(crate) struct BatchName(String);

/// Bytes of a body: a batch of some ten thousand accounts.
const MAX_BODY: usize = 8 * 1024 * 1024;
/// How long a body may take to come.
const BODY_TIME: Duration = Duration::from_secs(60);
/// The longest hold and grace that can be asked for.
const MAX_SECONDS: u64 = 24 * 60 * 60;
/// Bytes of a batch's name.
const MAX_BATCH_NAME: usize = 128;

/// `POST /moves`: 202 once everything is checked and in the journal.
pub(crate) async fn start(
    State(shared): State<Shared>,
    caller: Caller,
    request: Request,
) -> CallResult<(StatusCode, Json<Accepted>)> {
    let new: NewMoves = read_json(request, MAX_BODY, BODY_TIME).await?;
    let moves = running(&shared)?;
    let subject = match &new.batch {
        Some(batch) => format!("batch {batch}"),
        None => new.accounts.join(", "),
    };
    let action = Action::to_account("moves.start", subject).after(format!("to {}", new.to));
    let is_dry = new.dry_run;
    let outcome = accept(&shared, &caller, &moves, new).await;
    if !is_dry {
        shared.record(&caller, action, &outcome).await;
    }
    let status = if is_dry { StatusCode::OK } else { StatusCode::ACCEPTED };
    outcome.map(|accepted| (status, Json(accepted)))
}

async fn accept(shared: &Shared, caller: &Caller, moves: &Moves, new: NewMoves) -> CallResult<Accepted> {
    let plan = shared.plan();
    let options = options(&plan.plan.moves, &new.options, caller)?;
    let ids = match (new.groups.as_slice(), new.batch.as_deref()) {
        ([], _) if new.dry_run => {
            moves.check(None, &[request(&new.accounts, &new.to, &options)]).await?;
            Vec::new()
        }
        ([], None) => vec![moves.start(request(&new.accounts, &new.to, &options)).await?],
        (groups, batch) => {
            if !new.accounts.is_empty() {
                return Err(Failure::bad_request("give either accounts or groups"));
            }
            let requests: Vec<MoveRequest> =
                groups.iter().map(|group| request(group, &new.to, &options)).collect();
            let name = batch_name(batch)?;
            if new.dry_run {
                moves.check(Some(name), &requests).await?;
                Vec::new()
            } else {
                moves.start_batch(name, new.max_failures, &requests).await?
            }
        }
    };
    Ok(Accepted { moves: ids.into_iter().map(|id| id.0).collect(), batch: new.batch })
}

fn request(accounts: &[String], to: &str, options: &MoveOptions) -> MoveRequest {
    MoveRequest {
        accounts: accounts.iter().map(|account| Arc::from(account.as_str())).collect(),
        target: to.into(),
        options: options.clone(),
        rollback_of: None,
    }
}

/// `GET /moves`: newest first.
pub(crate) async fn list(State(shared): State<Shared>, parameters: Parameters) -> CallResult<Json<MovePage>> {
    let parameters = parameters.only(&[IDENTIFIER, BATCH, UNFINISHED, FROM, LIMIT])?;
    let (from, limit) = parameters.page()?;
    let limit = limit.min(Query::MAX);
    let account = match parameters.optional(IDENTIFIER) {
        Some(identifier) => Some(Arc::from(shared.account(identifier)?)),
        None => None,
    };
    let query = Query {
        batch: parameters.optional(BATCH).map(Arc::from),
        account,
        unfinished: parameters.flag(UNFINISHED)?,
        before: from.and_then(|from| i64::try_from(from).ok()).map(MoveId),
        limit,
    };
    let records = running(&shared)?.list(query).await?;
    let next = if records.len() < limit { None } else { records.last().map(|record| record.id.0) };
    let moves = records.iter().map(view).collect();
    Ok(Json(MovePage { moves, next }))
}

/// `GET /moves/ID`.
pub(crate) async fn show(
    State(shared): State<Shared>,
    MoveNumber(id): MoveNumber,
    parameters: Parameters,
) -> CallResult<Json<Move>> {
    parameters.only(&[])?;
    Ok(Json(view(&running(&shared)?.get(id).await?)))
}

/// `DELETE /moves/ID`: cancels a move that has not changed the mapping yet.
pub(crate) async fn cancel(
    State(shared): State<Shared>,
    caller: Caller,
    MoveNumber(id): MoveNumber,
    parameters: Parameters,
) -> CallResult<Json<Move>> {
    parameters.only(&[])?;
    let moves = running(&shared)?;
    let outcome = async {
        moves.cancel(id).await?;
        Ok(Json(view(&moves.get(id).await?)))
    };
    let outcome = outcome.await;
    shared.record(&caller, Action::to("moves.cancel", id.to_string()), &outcome).await;
    outcome
}

/// `POST /moves/ID/rollback`: a move the other way.
pub(crate) async fn rollback(
    State(shared): State<Shared>,
    caller: Caller,
    MoveNumber(id): MoveNumber,
    request: Request,
) -> CallResult<(StatusCode, Json<Accepted>)> {
    let choices: MoveChoices = read_json(request, MAX_BODY, BODY_TIME).await?;
    let moves = running(&shared)?;
    let outcome = async {
        let mut options = options(&shared.plan().plan.moves, &choices, &caller)?;
        // The configured commands copy and check in the move's own direction.
        options.sync = choices.sync.filter(|command| !command.is_empty());
        options.verify = choices.verify.filter(|command| !command.is_empty());
        let back = moves.rollback(id, options).await?;
        Ok(Accepted { moves: vec![back.0], batch: None })
    };
    let outcome = outcome.await;
    shared.record(&caller, Action::to("moves.rollback", id.to_string()), &outcome).await;
    outcome.map(|accepted| (StatusCode::ACCEPTED, Json(accepted)))
}

/// `GET /moves/batches/NAME`.
pub(crate) async fn batch(
    State(shared): State<Shared>,
    BatchName(name): BatchName,
    parameters: Parameters,
) -> CallResult<Json<Batch>> {
    parameters.only(&[])?;
    Ok(Json(batch_view(running(&shared)?.batch(&name).await?)))
}

/// `POST /moves/batches/NAME/pause`.
pub(crate) async fn pause(
    State(shared): State<Shared>,
    caller: Caller,
    BatchName(name): BatchName,
    parameters: Parameters,
) -> CallResult<Json<Batch>> {
    parameters.only(&[])?;
    let moves = running(&shared)?;
    let result = moves.pause(&name).await;
    changed_batch(&shared, &caller, &moves, Action::to("moves.pause", name.as_str()), &name, result).await
}

/// `POST /moves/batches/NAME/resume`.
pub(crate) async fn resume(
    State(shared): State<Shared>,
    caller: Caller,
    BatchName(name): BatchName,
    parameters: Parameters,
) -> CallResult<Json<Batch>> {
    parameters.only(&[])?;
    let moves = running(&shared)?;
    let result = moves.resume(&name).await;
    changed_batch(&shared, &caller, &moves, Action::to("moves.resume", name.as_str()), &name, result).await
}

/// Records a change of a batch, and returns the batch as it is now.
async fn changed_batch(
    shared: &Shared,
    caller: &Caller,
    moves: &Moves,
    action: Action,
    name: &str,
    result: Result<(), MoveError>,
) -> CallResult<Json<Batch>> {
    let outcome = match result {
        Ok(()) => moves.batch(name).await,
        Err(error) => Err(error),
    };
    let outcome = match outcome {
        Ok(state) => Ok(Json(batch_view(state))),
        Err(error) => Err(error.into()),
    };
    shared.record(caller, action, &outcome).await;
    outcome
}

fn running(shared: &Shared) -> CallResult<Moves> {
    shared.app_handle.moves().ok_or_else(|| {
        let detail = "moves need a journal, and it could not be opened: see the log, and server.state_dir";
        Failure::new(StatusCode::SERVICE_UNAVAILABLE, detail)
    })
}

fn options(settings: &MoveSettings, choices: &MoveChoices, caller: &Caller) -> CallResult<MoveOptions> {
    let may_name_commands = match settings.commands_from_api {
        CommandsFromApi::Off => false,
        CommandsFromApi::Loopback => caller.is_this_host(),
        CommandsFromApi::Any => true,
    };
    let MoveChoices {
        sync,
        verify,
        hold,
        grace,
        force,
        leave_behind,
        compare,
        max_missing,
        strict,
        with_shared,
    } = choices;
    let mut options = MoveOptions::of(settings);
    for (given, configured, key) in
        [(sync, &mut options.sync, "moves.sync"), (verify, &mut options.verify, "moves.verify")]
    {
        let Some(command) = given else { continue };
        if command.is_empty() {
            *configured = None;
        } else if may_name_commands || configured.as_deref() == Some(command.as_str()) {
            *configured = Some(command.clone());
        } else {
            let detail = format!(
                "commands are not accepted from this address: set {key} in the configuration, or allow them with \
                 moves.commands_from_api"
            );
            return Err(Failure::new(StatusCode::FORBIDDEN, detail));
        }
    }
    if let Some(seconds) = hold {
        options.hold = seconds_of("hold", *seconds, 1)?;
    }
    if let Some(seconds) = grace {
        options.grace = seconds_of("grace", *seconds, 0)?;
    }
    options.force = *force;
    options.leave_behind = *leave_behind;
    // An operator who says what is acceptable wants a comparison.
    if *compare || *strict || *with_shared || *max_missing > 0 {
        let tolerance = Tolerance { max_missing: *max_missing, strict: *strict };
        options.compare = Some(CompareOptions { tolerance, with_shared: *with_shared });
    }
    Ok(options)
}

fn seconds_of(name: &str, seconds: u64, least: u64) -> CallResult<Duration> {
    if (least..=MAX_SECONDS).contains(&seconds) {
        return Ok(Duration::from_secs(seconds));
    }
    Err(Failure::bad_request(format!("{name}: found {seconds}, expected {least} to {MAX_SECONDS} seconds")))
}

fn batch_name(name: Option<&str>) -> CallResult<&str> {
    match name {
        Some(name) if !name.is_empty() && name.len() <= MAX_BATCH_NAME && !name.contains('/') => Ok(name),
        Some(_) => Err(Failure::bad_request(format!(
            "batch: expected a name of at most {MAX_BATCH_NAME} bytes without a slash"
        ))),
        None => Err(Failure::bad_request("batch is missing: several groups are a batch, which needs a name")),
    }
}

fn view(record: &MoveRecord) -> Move {
    Move {
        id: record.id.0,
        accounts: record.accounts.iter().map(ToString::to_string).collect(),
        from: record.source.to_string(),
        to: record.target.to_string(),
        step: record.step.label().to_owned(),
        outcome: record.outcome.map(|outcome| outcome.label().to_owned()),
        message: record.message.clone(),
        batch: record.batch.as_deref().map(str::to_owned),
        rollback_of: record.rollback_of.map(|id| id.0),
        created: seconds(record.created),
        finished: record.finished.map(seconds),
        held_ms: millis(record.figures.held),
        sessions_ended: record.figures.sessions_ended,
        logins_waited: record.figures.logins_waited,
        longest_wait_ms: millis(record.figures.longest_wait),
        output: record.output.clone(),
    }
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn batch_view(state: BatchState) -> Batch {
    let BatchState { name, paused, max_failures, queued, running, done, not_done } = state;
    Batch { batch: name.to_string(), paused, max_failures, queued, running, done, not_done }
}

impl<S: Send + Sync> FromRequestParts<S> for MoveNumber {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> CallResult<Self> {
        let BatchName(text) = BatchName::from_request_parts(parts, state).await?;
        match text.parse() {
            Ok(id) => Ok(Self(MoveId(id))),
            Err(_) => Err(Failure::new(StatusCode::NOT_FOUND, format!("there is no move {text:?}"))),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for BatchName {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> CallResult<Self> {
        match Path::<String>::from_request_parts(parts, state).await {
            Ok(Path(name)) => Ok(Self(name)),
            Err(_) => Err(Failure::bad_request("the path is not UTF-8 once decoded")),
        }
    }
}

impl From<MoveError> for Failure {
    fn from(error: MoveError) -> Self {
        let detail = error.to_string();
        match error {
            MoveError::Problems(problems) => {
                let problems = problems.iter().map(diagnostic).collect();
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail).with(problems)
            }
            MoveError::Unknown(_) | MoveError::UnknownBatch(_) => Self::new(StatusCode::NOT_FOUND, detail),
            MoveError::BatchExists(_)
            | MoveError::TooLate { .. }
            | MoveError::Unsettled { .. }
            | MoveError::NotReversible { .. }
            | MoveError::Ended { .. } => Self::new(StatusCode::CONFLICT, detail),
            MoveError::ShuttingDown => Self::later(StatusCode::SERVICE_UNAVAILABLE, 10, detail),
            MoveError::Journal(_) => Self::new(StatusCode::INTERNAL_SERVER_ERROR, detail),
        }
    }
}

/// A problem as an error in the request: its `line` is the group's number, from 1.
fn diagnostic(problem: &Problem) -> Diagnostic {
    Diagnostic {
        severity: "error".to_owned(),
        file: String::new(),
        line: problem.group + 1,
        column: 1,
        key: problem.account.as_deref().unwrap_or_default().to_owned(),
        message: problem.kind.to_string(),
        help: String::new(),
    }
}
