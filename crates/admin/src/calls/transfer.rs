//! Many mappings at once: pages, export and import.

use api::mapping::{Imported, MappingEntry, MappingPage, TSV};
use api::parameters::DRY_RUN;
use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use control::Order;
use http_body_util::channel::{Channel, Sender};
use mapping::store::MAX_PAGE;
use mapping::table::Table;
use mapping::{Change, Router, Rules, line};
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;

use crate::audit::Action;
use crate::diagnostics;
use crate::failure::{CallResult, Failure};
use crate::parameters::{Parameters, read};
use crate::shared::{Caller, Shared};

/// The most bytes of an import: a few million lines. More accounts than that are kept in SQL or Redis, which have tools.
const MAX_IMPORT: usize = 128 << 20;
/// How long receiving an import's body may take.
const IMPORT_TIME: Duration = Duration::from_secs(300);
/// The most parts of an export that wait for a slow reader.
const EXPORT_AHEAD: usize = 2;

/// Returns whether the client accepts lines rather than JSON.
pub(super) fn wants_text(headers: &HeaderMap) -> bool {
    let accepts = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    accepts
        .split(',')
        .any(|media| media.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(TSV))
}

/// Returns one page of the entries.
pub(super) async fn page(shared: &Shared, from: Option<u64>, limit: usize) -> CallResult<MappingPage> {
    let listing = shared.router().list(from.unwrap_or(0), limit).await?;
    let entry = |entry: mapping::store::Entry| MappingEntry {
        identifier: entry.identifier.to_string(),
        destination: entry.destination.to_string(),
    };
    Ok(MappingPage { mappings: listing.entries.into_iter().map(entry).collect(), next: listing.next })
}

/// Returns all entries, as lines for an import or a mapping file.
pub(super) async fn export(shared: &Shared) -> CallResult<Response> {
    let permit = bulk(shared)?;
    let router = shared.router();
    // The first page is read before the status is sent: an unreachable store is an error and not an empty file.
    let first = router.list(0, MAX_PAGE).await?;
    let (sender, body) = Channel::<Bytes, axum::Error>::new(EXPORT_AHEAD);
    tokio::spawn(send_all(router, first, sender, permit));
    let media: [(HeaderName, HeaderValue); 1] = [(CONTENT_TYPE, HeaderValue::from_static(TSV))];
    Ok((media, Body::new(body)).into_response())
}

async fn send_all(
    router: std::sync::Arc<Router>,
    mut listing: mapping::store::Listing,
    mut sender: Sender<Bytes, axum::Error>,
    permit: OwnedSemaphorePermit,
) {
    loop {
        let mut lines = String::new();
        for entry in &listing.entries {
            lines.extend([&*line::field(&entry.identifier), "\t", &*entry.destination, "\n"]);
        }
        if sender.send_data(Bytes::from(lines)).await.is_err() {
            return;
        }
        let Some(next) = listing.next else { break };
        match router.list(next, MAX_PAGE).await {
            Ok(page) => listing = page,
            Err(error) => {
                tracing::warn!(%error, "an export was aborted");
                // Aborts the connection too, so that a part is not taken for the whole.
                return sender.abort(axum::Error::new(error));
            }
        }
    }
    drop(permit);
}

/// `POST /mappings/import`: all lines of the body, or none.
pub(crate) async fn import(
    State(shared): State<Shared>,
    caller: Caller,
    request: Request,
) -> CallResult<Json<Imported>> {
    let query = request.uri().query().unwrap_or_default();
    let is_dry = Parameters::of_query(query)?.only(&[DRY_RUN])?.flag(DRY_RUN)?;
    let _permit = bulk(&shared)?;
    let text = read(request.into_body(), MAX_IMPORT, IMPORT_TIME).await?;
    let rules = Rules::of(&shared.plan().plan);
    let parsed = tokio::task::spawn_blocking(move || Table::parse(&text, &rules)).await;
    let table = match parsed.map_err(|_| interrupted())? {
        Ok(table) => table,
        Err(bad) => {
            let detail = format!("{} of the lines are wrong, so nothing was imported: {bad}", bad.count());
            let problems = diagnostics::of_lines("body", &bad);
            return Err(Failure::new(StatusCode::UNPROCESSABLE_ENTITY, detail).with(problems));
        }
    };
    let entries = table.len();
    if is_dry {
        let changed = entries - same(&shared.router(), &table).await?;
        return Ok(Json(Imported { entries, changed, dry_run: true }));
    }
    let outcome = match shared.control().execute(Order::Change(changes(&table))).await {
        Ok(executed) => Ok(Json(Imported { entries, changed: executed.changed(), dry_run: false })),
        Err(error) => Err(Failure::from(error)),
    };
    let mut action = Action::to("mapping.import", format!("{entries} entries"));
    if let Ok(Json(imported)) = &outcome {
        action = action.after(format!("{} changed", imported.changed));
    }
    shared.record(&caller, action, &outcome).await;
    outcome
}

/// Returns how many entries of `table` the store already has.
async fn same(router: &Router, table: &Table) -> CallResult<usize> {
    let mut same = 0;
    let mut from = 0;
    loop {
        let listing = router.list(from, MAX_PAGE).await?;
        let is_same =
            |entry: &&mapping::store::Entry| table.get(&entry.identifier) == Some(&entry.destination);
        same += listing.entries.iter().filter(is_same).count();
        match listing.next {
            Some(next) => from = next,
            None => return Ok(same),
        }
    }
}

fn changes(table: &Table) -> Vec<Change> {
    let listing = table.list(0, usize::MAX);
    let change = |entry: mapping::store::Entry| Change {
        identifier: entry.identifier,
        destination: Some(entry.destination),
    };
    listing.entries.into_iter().map(change).collect()
}

fn bulk(shared: &Shared) -> CallResult<OwnedSemaphorePermit> {
    std::sync::Arc::clone(&shared.bulk).try_acquire_owned().map_err(|_| {
        let detail = "the limit of concurrent imports and exports is reached; try again";
        Failure::later(StatusCode::SERVICE_UNAVAILABLE, 5, detail)
    })
}

fn interrupted() -> Failure {
    Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "reading the lines was interrupted; nothing was imported")
}
