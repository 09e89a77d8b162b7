//! Rows of the journal as records.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use compare::Tolerance;
use serde::{Deserialize, Serialize};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::error::JournalError;
use crate::move_id::MoveId;
use crate::record::{BatchState, Figures, MoveOutcome, MoveRecord, Step};
use crate::request::{CompareOptions, MoveOptions};

pub(super) fn record(row: &SqliteRow, accounts: Vec<Arc<str>>) -> Result<MoveRecord, JournalError> {
    let step: String = row.try_get("step")?;
    let outcome: Option<String> = row.try_get("outcome")?;
    let outcome = match outcome {
        Some(label) => Some(
            MoveOutcome::from_label(&label)
                .ok_or(JournalError::BadValue { column: "outcome", found: label })?,
        ),
        None => None,
    };
    let finished: Option<i64> = row.try_get("finished_ms")?;
    Ok(MoveRecord {
        id: MoveId(row.try_get("id")?),
        batch: row.try_get::<Option<String>, _>("batch")?.map(Arc::from),
        rollback_of: row.try_get::<Option<i64>, _>("rollback_of")?.map(MoveId),
        accounts,
        source: text(row, "source")?,
        target: text(row, "target")?,
        options: read_options(&row.try_get::<String, _>("options")?)?,
        step: Step::from_label(&step).ok_or(JournalError::BadValue { column: "step", found: step })?,
        outcome,
        message: row.try_get("message")?,
        figures: Figures {
            held: millis(row.try_get("held_ms")?),
            sessions_ended: count(row, "sessions_ended")?,
            logins_waited: count(row, "logins_waited")?,
            longest_wait: millis(row.try_get("longest_wait_ms")?),
        },
        created: time(row.try_get("created_ms")?),
        finished: finished.map(time),
        output: row.try_get("output")?,
    })
}

pub(super) fn account(row: &SqliteRow) -> Result<Arc<str>, JournalError> {
    text(row, "account")
}

pub(super) fn batch(row: &SqliteRow, name: &str) -> Result<BatchState, JournalError> {
    Ok(BatchState {
        name: name.into(),
        paused: row.try_get("paused")?,
        max_failures: count(row, "max_failures")?,
        queued: count(row, "queued")?,
        running: count(row, "running")?,
        done: count(row, "done")?,
        not_done: count(row, "not_done")?,
    })
}

/// The options as the journal keeps them. Fields of a later version are ignored, missing ones are off.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct StoredOptions {
    sync: Option<String>,
    verify: Option<String>,
    hold_ms: u64,
    grace_ms: u64,
    force: bool,
    leave_behind: bool,
    compare: bool,
    max_missing: usize,
    strict: bool,
    with_shared: bool,
}

pub(super) fn write_options(options: &MoveOptions) -> String {
    let CompareOptions { tolerance, with_shared } = options.compare.unwrap_or_default();
    let stored = StoredOptions {
        sync: options.sync.clone(),
        verify: options.verify.clone(),
        hold_ms: as_millis(options.hold),
        grace_ms: as_millis(options.grace),
        force: options.force,
        leave_behind: options.leave_behind,
        compare: options.compare.is_some(),
        max_missing: tolerance.max_missing,
        strict: tolerance.strict,
        with_shared,
    };
    // Strings, numbers and booleans always have a JSON form.
    serde_json::to_string(&stored).unwrap_or_default()
}

fn read_options(json: &str) -> Result<MoveOptions, JournalError> {
    let stored: StoredOptions = serde_json::from_str(json)
        .map_err(|_| JournalError::BadValue { column: "options", found: json.to_owned() })?;
    let tolerance = Tolerance { max_missing: stored.max_missing, strict: stored.strict };
    let compare = CompareOptions { tolerance, with_shared: stored.with_shared };
    Ok(MoveOptions {
        sync: stored.sync,
        verify: stored.verify,
        hold: Duration::from_millis(stored.hold_ms),
        grace: Duration::from_millis(stored.grace_ms),
        force: stored.force,
        leave_behind: stored.leave_behind,
        compare: stored.compare.then_some(compare),
    })
}

fn text(row: &SqliteRow, column: &str) -> Result<Arc<str>, JournalError> {
    Ok(row.try_get::<String, _>(column)?.into())
}

fn count(row: &SqliteRow, column: &str) -> Result<usize, JournalError> {
    Ok(usize::try_from(row.try_get::<i64, _>(column)?).unwrap_or(0))
}

fn millis(stored: i64) -> Duration {
    Duration::from_millis(u64::try_from(stored).unwrap_or(0))
}

fn time(stored: i64) -> SystemTime {
    UNIX_EPOCH + millis(stored)
}

fn as_millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
