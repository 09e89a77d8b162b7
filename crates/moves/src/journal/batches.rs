//! The batches in the journal.

use super::{Journal, JournalError, rows};
use crate::record::BatchState;

// === impl Journal ===

impl Journal {
    /// Pauses a batch. Returns whether there is such a batch.
    pub(crate) async fn pause(&self, batch: &str) -> Result<bool, JournalError> {
        let done =
            sqlx::query("UPDATE batch SET paused = 1 WHERE name = ?").bind(batch).execute(&self.pool).await?;
        Ok(done.rows_affected() > 0)
    }

    /// Lets a batch go on; the failures that it has had do not pause it again. Returns whether there is such a batch.
    pub(crate) async fn resume(&self, batch: &str) -> Result<bool, JournalError> {
        let done = sqlx::query(
            "UPDATE batch SET paused = 0, forgiven = (SELECT count(*) FROM move WHERE batch = name AND outcome NOT IN ('done', 'cancelled')) \
             WHERE name = ?",
        )
        .bind(batch)
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected() > 0)
    }

    /// Pauses a batch that has had too many failures; a move that the operator has cancelled does not count. Returns whether it was paused by this.
    pub(crate) async fn pause_after_failures(&self, batch: &str) -> Result<bool, JournalError> {
        let done = sqlx::query(
            "UPDATE batch SET paused = 1 WHERE name = ? AND NOT paused AND max_failures > 0 AND max_failures <= \
             (SELECT count(*) FROM move WHERE batch = name AND outcome NOT IN ('done', 'cancelled')) - forgiven",
        )
        .bind(batch)
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected() > 0)
    }

    /// Pauses every batch that has queued moves. Returns their names.
    pub(crate) async fn pause_queued(&self) -> Result<Vec<String>, JournalError> {
        let names = sqlx::query_scalar(
            "UPDATE batch SET paused = 1 WHERE name IN \
             (SELECT batch FROM move WHERE outcome IS NULL AND step = 'queued') RETURNING name",
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(names)
    }

    /// Returns how far a batch has come; `None` when there is no such batch.
    pub(crate) async fn batch(&self, name: &str) -> Result<Option<BatchState>, JournalError> {
        let row = sqlx::query(
            "SELECT max_failures, paused, \
             (SELECT count(*) FROM move WHERE batch = name AND outcome IS NULL AND step = 'queued') AS queued, \
             (SELECT count(*) FROM move WHERE batch = name AND outcome IS NULL AND step <> 'queued') AS running, \
             (SELECT count(*) FROM move WHERE batch = name AND outcome = 'done') AS done, \
             (SELECT count(*) FROM move WHERE batch = name AND outcome <> 'done') AS not_done \
             FROM batch WHERE name = ?",
        )
        .bind(name)
        .fetch_optional(&self.pool)
        .await?;
        match row {
            Some(row) => Ok(Some(rows::batch(&row, name)?)),
            None => Ok(None),
        }
    }
}
