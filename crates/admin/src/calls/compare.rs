//! Compares an account's mailbox at two destinations.

use std::time::Duration;

use api::compare::{CompareChoices, Comparison, Difference, NewComparison};
use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use compare::{Report, Side, Tolerance};
use mapping::ResolutionReason;
use runtime::ActivePlan;
use tokio::time::Instant;

use crate::audit::Action;
use crate::failure::{CallResult, Failure};
use crate::parameters::read_json;
use crate::shared::{Caller, Shared};

/// Bytes of a body.
const MAX_BODY: usize = 64 * 1024;
/// How long a body may take to come.
const BODY_TIME: Duration = Duration::from_secs(30);
/// How long a comparison may take.
const COMPARE_TIME: Duration = Duration::from_secs(570);

/// `POST /compare`: 200 with the differences, also when there are some.
pub(crate) async fn compare(
    State(shared): State<Shared>,
    caller: Caller,
    request: Request,
) -> CallResult<Json<Comparison>> {
    let new: NewComparison = read_json(request, MAX_BODY, BODY_TIME).await?;
    let action = Action::to_account("compare", new.account.as_str()).after(format!("with {}", new.to));
    let outcome = carry_out(&shared, &new).await;
    shared.record(&caller, action, &outcome).await;
    outcome.map(Json)
}

async fn carry_out(shared: &Shared, new: &NewComparison) -> CallResult<Comparison> {
    let account = shared.account(&new.account)?;
    let Ok(_permit) = shared.comparisons.try_acquire() else {
        let detail =
            "as many comparisons run already as may run at the same time: try again when one has ended";
        return Err(Failure::later(StatusCode::SERVICE_UNAVAILABLE, 10, detail));
    };
    let plan = shared.plan();
    let from = match &new.from {
        Some(from) => from.clone(),
        None => source(shared, &account).await?,
    };
    if from == new.to {
        let detail =
            format!("found {from} on both sides, expected two destinations: give another \"from\" or \"to\"");
        return Err(Failure::bad_request(detail));
    }
    let began = Instant::now();
    let request = compare::Request {
        account: &account,
        source: side(&plan, &from)?,
        target: side(&plan, &new.to)?,
        with_shared: new.choices.with_shared,
        deadline: began + COMPARE_TIME,
    };
    let report = match compare::compare(request).await {
        Ok(report) => report,
        Err(error) => return Err(Failure::new(StatusCode::BAD_GATEWAY, error.to_string())),
    };
    let to = new.to.clone();
    Ok(view(&report, account, from, to, new.choices, began.elapsed()))
}

fn side<'a>(plan: &'a ActivePlan, name: &str) -> CallResult<Side<'a>> {
    Side::of(&plan.backends, &plan.plan, name).ok_or_else(|| {
        Failure::bad_request(format!(
            "{name}: expected a destination with an IMAP leg and a login: set moves.compare.{name}"
        ))
    })
}

/// Returns where the mapping has the account.
async fn source(shared: &Shared, account: &str) -> CallResult<String> {
    let found = shared.router().resolve(account).await;
    match found.reason {
        ResolutionReason::StoreDown { .. } => {
            let detail = "the mapping store does not answer: give \"from\", or try again when it does";
            Err(Failure::later(StatusCode::SERVICE_UNAVAILABLE, 10, detail))
        }
        _ => Ok(found.destination.to_string()),
    }
}

fn view(
    report: &Report,
    account: String,
    from: String,
    to: String,
    choices: CompareChoices,
    took: Duration,
) -> Comparison {
    let CompareChoices { max_missing, strict, .. } = choices;
    let differences = report.differences.iter().map(|difference| Difference {
        kind: difference.kind().label().to_owned(),
        folder: difference.folder().map(str::to_owned),
        text: difference.to_string(),
    });
    Comparison {
        account,
        from,
        to,
        acceptable: report.is_within(Tolerance { max_missing, strict }),
        folders: report.folders,
        messages: report.messages,
        pop3: report.has_uidls,
        missing: report.missing,
        differences: differences.collect(),
        unlisted: report.unlisted(),
        shared: report.sharing.iter().map(ToString::to_string).collect(),
        took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
    }
}
