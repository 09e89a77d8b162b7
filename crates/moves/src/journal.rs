//! The journal of moves: an SQLite file in which every step is written before it is taken.
//!
//! What must never happen here: a step that is reported as written and is lost in a crash (`synchronous = FULL`); a group
//! that is only partly there; a journal of a newer version that is written to.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use plan::Name;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Executor, Sqlite, Transaction};

use crate::move_id::MoveId;
use crate::record::{Figures, MoveOutcome, MoveRecord, Step};
use crate::request::MoveOptions;

mod batches;
mod error;
mod list;
mod rows;

pub use self::error::JournalError;
pub use self::list::Query;

/// The journal. Clones share the same file.
#[derive(Clone, Debug)]
pub(crate) struct Journal {
    pool: SqlitePool,
}

/// A move that is about to be accepted.
#[derive(Debug)]
pub(crate) struct NewMove {
    pub(crate) rollback_of: Option<MoveId>,
    pub(crate) accounts: Vec<Arc<str>>,
    pub(crate) source: Name,
    pub(crate) target: Name,
    pub(crate) options: MoveOptions,
}

/// A batch that is about to be accepted.
#[derive(Debug)]
pub(crate) struct NewBatch {
    pub(crate) name: Arc<str>,
    pub(crate) max_failures: usize,
}

/// How a move ended, and what it cost.
#[derive(Debug)]
pub(crate) struct Ending<'a> {
    pub(crate) outcome: MoveOutcome,
    pub(crate) message: Option<&'a str>,
    pub(crate) figures: &'a Figures,
    /// The end of what its commands printed.
    pub(crate) output: &'a str,
}

/// The format of the file, in `PRAGMA user_version`.
const SCHEMA_VERSION: i64 = 1;

const SCHEMA: &str = "
CREATE TABLE batch (
    name TEXT PRIMARY KEY,
    max_failures INTEGER NOT NULL,
    forgiven INTEGER NOT NULL DEFAULT 0,
    paused INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE move (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    batch TEXT REFERENCES batch (name),
    rollback_of INTEGER REFERENCES move (id),
    source TEXT NOT NULL,
    target TEXT NOT NULL,
    options TEXT NOT NULL,
    step TEXT NOT NULL,
    outcome TEXT,
    message TEXT,
    held_ms INTEGER NOT NULL DEFAULT 0,
    sessions_ended INTEGER NOT NULL DEFAULT 0,
    logins_waited INTEGER NOT NULL DEFAULT 0,
    longest_wait_ms INTEGER NOT NULL DEFAULT 0,
    created_ms INTEGER NOT NULL,
    finished_ms INTEGER,
    output TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX move_batch ON move (batch, id);
CREATE INDEX move_unfinished ON move (id) WHERE outcome IS NULL;
CREATE TABLE account (
    move INTEGER NOT NULL REFERENCES move (id),
    position INTEGER NOT NULL,
    account TEXT NOT NULL,
    PRIMARY KEY (move, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX account_move ON account (account, move);
PRAGMA user_version = 1;
";

// === impl Journal ===

impl Journal {
    /// Opens the file, and creates it when it is missing.
    pub(crate) async fn open(path: &Path) -> Result<Self, JournalError> {
        create_private(path).map_err(|error| cannot_open(path, error.into()))?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(Duration::from_secs(5));
        // One connection: the journal is small, and writes wait for the disk anyway.
        let pool = SqlitePoolOptions::new()
            .max_connections(1)
            .connect_with(options)
            .await
            .map_err(|error| cannot_open(path, error))?;
        let found: i64 = sqlx::query_scalar("PRAGMA user_version")
            .fetch_one(&pool)
            .await
            .map_err(|error| cannot_open(path, error))?;
        match found {
            0 => {
                pool.execute(sqlx::raw_sql(SCHEMA)).await.map_err(|error| cannot_open(path, error))?;
            }
            SCHEMA_VERSION => {}
            found => {
                return Err(JournalError::TooNew { path: path.to_owned(), found, readable: SCHEMA_VERSION });
            }
        }
        Ok(Self { pool })
    }

    /// Adds moves, all or none, and returns their numbers.
    pub(crate) async fn add(
        &self,
        moves: &[NewMove],
        batch: Option<&NewBatch>,
    ) -> Result<Vec<MoveId>, JournalError> {
        let mut transaction = self.pool.begin().await?;
        if let Some(batch) = batch {
            sqlx::query("INSERT INTO batch (name, max_failures) VALUES (?, ?)")
                .bind(&*batch.name)
                .bind(as_integer(batch.max_failures))
                .execute(&mut *transaction)
                .await?;
        }
        let mut ids = Vec::with_capacity(moves.len());
        for new in moves {
            ids.push(insert(&mut transaction, new, batch).await?);
        }
        transaction.commit().await?;
        Ok(ids)
    }

    /// Writes that a step is about to be taken.
    pub(crate) async fn enter(&self, id: MoveId, step: Step) -> Result<(), JournalError> {
        sqlx::query("UPDATE move SET step = ? WHERE id = ?")
            .bind(step.label())
            .bind(id.0)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Writes where the check found the accounts.
    pub(crate) async fn checked(&self, id: MoveId, source: &Name) -> Result<(), JournalError> {
        sqlx::query("UPDATE move SET source = ? WHERE id = ?")
            .bind(&**source)
            .bind(id.0)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Writes a move's end.
    pub(crate) async fn finish(&self, id: MoveId, ending: &Ending<'_>) -> Result<(), JournalError> {
        let Ending { outcome, message, figures, output } = *ending;
        sqlx::query(
            "UPDATE move SET outcome = ?, message = ?, finished_ms = ?, held_ms = ?, sessions_ended = ?, \
             logins_waited = ?, longest_wait_ms = ?, output = ? WHERE id = ?",
        )
        .bind(outcome.label())
        .bind(message)
        .bind(now_ms())
        .bind(as_millis(figures.held))
        .bind(as_integer(figures.sessions_ended))
        .bind(as_integer(figures.logins_waited))
        .bind(as_millis(figures.longest_wait))
        .bind(output)
        .bind(id.0)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Writes a note on a move that is not finished.
    pub(crate) async fn note(&self, id: MoveId, message: &str) -> Result<(), JournalError> {
        sqlx::query("UPDATE move SET message = ? WHERE id = ?")
            .bind(message)
            .bind(id.0)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Returns one move.
    pub(crate) async fn get(&self, id: MoveId) -> Result<Option<MoveRecord>, JournalError> {
        let row =
            sqlx::query("SELECT * FROM move WHERE id = ?").bind(id.0).fetch_optional(&self.pool).await?;
        match row {
            Some(row) => Ok(Some(rows::record(&row, self.accounts_of(id).await?)?)),
            None => Ok(None),
        }
    }

    /// Returns the numbers of the moves that a crash has left between their first step and their end.
    pub(crate) async fn interrupted(&self) -> Result<Vec<MoveId>, JournalError> {
        let ids: Vec<i64> =
            sqlx::query_scalar("SELECT id FROM move WHERE outcome IS NULL AND step <> 'queued' ORDER BY id")
                .fetch_all(&self.pool)
                .await?;
        Ok(ids.into_iter().map(MoveId).collect())
    }

    /// Returns the next queued move whose batch is not paused.
    pub(crate) async fn next_queued(&self) -> Result<Option<MoveRecord>, JournalError> {
        let id: Option<i64> = sqlx::query_scalar(
            "SELECT move.id FROM move LEFT JOIN batch ON batch = name \
             WHERE outcome IS NULL AND step = 'queued' AND NOT coalesce(paused, 0) ORDER BY move.id LIMIT 1",
        )
        .fetch_optional(&self.pool)
        .await?;
        match id {
            Some(id) => self.get(MoveId(id)).await,
            None => Ok(None),
        }
    }

    /// Cancels a move that waits for its turn. Returns whether it still did.
    pub(crate) async fn cancel_queued(&self, id: MoveId) -> Result<bool, JournalError> {
        let done = sqlx::query(
            "UPDATE move SET outcome = 'cancelled', finished_ms = ? WHERE id = ? AND outcome IS NULL AND step = 'queued'",
        )
        .bind(now_ms())
        .bind(id.0)
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected() > 0)
    }

    /// Returns the last move that has brought `account` to `destination`, wherever later moves have taken it: what arrived
    /// there meanwhile may be there still.
    pub(crate) async fn last_arrival(
        &self,
        account: &str,
        destination: &str,
    ) -> Result<Option<MoveId>, JournalError> {
        let id: Option<i64> = sqlx::query_scalar(
            "SELECT max(move.id) FROM move JOIN account ON account.move = move.id \
             WHERE account = ? AND target = ? AND outcome IN ('done', 'reverted', 'unverified')",
        )
        .bind(account)
        .bind(destination)
        .fetch_one(&self.pool)
        .await?;
        Ok(id.map(MoveId))
    }

    async fn accounts_of(&self, id: MoveId) -> Result<Vec<Arc<str>>, JournalError> {
        let rows = sqlx::query("SELECT account FROM account WHERE move = ? ORDER BY position")
            .bind(id.0)
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(rows::account).collect()
    }
}

/// Creates the file when it is missing, for our user only: it has account names and commands in it. SQLite gives the files
/// beside it the same mode.
fn create_private(path: &Path) -> io::Result<()> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path).map(drop)
}

fn cannot_open(path: &Path, error: sqlx::Error) -> JournalError {
    JournalError::Open { path: path.to_owned(), error }
}

async fn insert(
    transaction: &mut Transaction<'_, Sqlite>,
    new: &NewMove,
    batch: Option<&NewBatch>,
) -> Result<MoveId, JournalError> {
    let id: i64 = sqlx::query_scalar(
        "INSERT INTO move (batch, rollback_of, source, target, options, step, created_ms) \
         VALUES (?, ?, ?, ?, ?, 'queued', ?) RETURNING id",
    )
    .bind(batch.map(|batch| &*batch.name))
    .bind(new.rollback_of.map(|id| id.0))
    .bind(&*new.source)
    .bind(&*new.target)
    .bind(rows::write_options(&new.options))
    .bind(now_ms())
    .fetch_one(&mut **transaction)
    .await?;
    for (position, account) in (0_i64..).zip(&new.accounts) {
        sqlx::query("INSERT INTO account (move, position, account) VALUES (?, ?, ?)")
            .bind(id)
            .bind(position)
            .bind(&**account)
            .execute(&mut **transaction)
            .await?;
    }
    Ok(MoveId(id))
}

fn now_ms() -> i64 {
    as_millis(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

fn as_millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

fn as_integer(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
