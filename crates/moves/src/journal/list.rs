//! Lists of moves.
//!
//! What must never happen here: an answer without a bound. The journal of a large migration has a hundred thousand moves.

use std::collections::HashMap;
use std::sync::Arc;

use sqlx::Row;

use super::{Journal, JournalError, as_integer, rows};
use crate::move_id::MoveId;
use crate::record::MoveRecord;

/// Which moves are wanted. Newest first.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// Of this batch.
    pub batch: Option<Arc<str>>,
    /// With this account, normalised.
    pub account: Option<Arc<str>>,
    /// Not finished yet.
    pub unfinished: bool,
    /// With a smaller number.
    pub before: Option<MoveId>,
    /// At most this many, and at most [`Query::MAX`].
    pub limit: usize,
}

// === impl Query ===

impl Query {
    /// The most moves in one answer.
    pub const MAX: usize = 1_000;
}

// === impl Journal ===

impl Journal {
    /// Returns the moves that match, newest first, without their output.
    pub(crate) async fn list(&self, query: &Query) -> Result<Vec<MoveRecord>, JournalError> {
        let mut transaction = self.pool.begin().await?;
        let found = sqlx::query(
            "SELECT id, batch, rollback_of, source, target, options, step, outcome, message, held_ms, sessions_ended, \
             logins_waited, longest_wait_ms, created_ms, finished_ms, '' AS output FROM move \
             WHERE (?1 IS NULL OR batch = ?1) \
             AND (?2 IS NULL OR id IN (SELECT move FROM account WHERE account = ?2)) \
             AND (NOT ?3 OR outcome IS NULL) AND (?4 IS NULL OR id < ?4) ORDER BY id DESC LIMIT ?5",
        )
        .bind(query.batch.as_deref())
        .bind(query.account.as_deref())
        .bind(query.unfinished)
        .bind(query.before.map(|id| id.0))
        .bind(as_integer(query.limit.min(Query::MAX)))
        .fetch_all(&mut *transaction)
        .await?;
        let ids: Vec<i64> = found.iter().map(|row| row.try_get("id")).collect::<Result<_, _>>()?;
        let ids = serde_json::to_string(&ids).unwrap_or_default();
        let of_all = sqlx::query(
            "SELECT move, account FROM account WHERE move IN (SELECT value FROM json_each(?)) \
             ORDER BY move, position",
        )
        .bind(ids)
        .fetch_all(&mut *transaction)
        .await?;
        let mut accounts: HashMap<i64, Vec<Arc<str>>> = HashMap::new();
        for row in &of_all {
            accounts.entry(row.try_get("move")?).or_default().push(rows::account(row)?);
        }
        let mut records = Vec::with_capacity(found.len());
        for row in &found {
            let id: i64 = row.try_get("id")?;
            records.push(rows::record(row, accounts.remove(&id).unwrap_or_default())?);
        }
        Ok(records)
    }
}
