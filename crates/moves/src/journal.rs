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
use sqlx::{Executor, Row, Sqlite, Transaction};

use crate::move_id::MoveId;
use crate::record::{Figures, MoveOutcome, MoveRecord, MovedAccount, Step};
use crate::request::MoveOptions;

mod batches;
mod error;
mod rows;

pub use self::error::JournalError;

/// The journal. Clones share the same file.
#[derive(Clone, Debug)]
pub(crate) struct Journal {
    pool: SqlitePool,
}

/// A move that is about to be accepted.
#[derive(Debug)]
pub(crate) struct NewMove {
    pub(crate) rollback_of: Option<MoveId>,
    pub(crate) accounts: Vec<MovedAccount>,
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
    previous TEXT,
    PRIMARY KEY (move, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX account_move ON account (account, move);
PRAGMA user_version = 1;
";

// === impl Query ===

impl Query {
    /// The most moves in one answer.
    pub const MAX: usize = 1_000;
}

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

    /// Writes what the check found out about the accounts: the source, and the entries that they have in the mapping.
    pub(crate) async fn checked(
        &self,
        id: MoveId,
        source: &Name,
        accounts: &[MovedAccount],
    ) -> Result<(), JournalError> {
        let mut transaction = self.pool.begin().await?;
        sqlx::query("UPDATE move SET source = ? WHERE id = ?")
            .bind(&**source)
            .bind(id.0)
            .execute(&mut *transaction)
            .await?;
        for moved in accounts {
            sqlx::query("UPDATE account SET previous = ? WHERE move = ? AND account = ?")
                .bind(moved.previous.as_deref())
                .bind(id.0)
                .bind(&*moved.account)
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Writes a move's end.
    pub(crate) async fn finish(
        &self,
        id: MoveId,
        outcome: MoveOutcome,
        message: Option<&str>,
    ) -> Result<(), JournalError> {
        sqlx::query("UPDATE move SET outcome = ?, message = ?, finished_ms = ? WHERE id = ?")
            .bind(outcome.label())
            .bind(message)
            .bind(now_ms())
            .bind(id.0)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Writes what a move cost, and the end of what its commands printed.
    pub(crate) async fn record(
        &self,
        id: MoveId,
        figures: &Figures,
        output: &str,
    ) -> Result<(), JournalError> {
        sqlx::query(
            "UPDATE move SET held_ms = ?, sessions_ended = ?, logins_waited = ?, longest_wait_ms = ?, output = ? \
             WHERE id = ?",
        )
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

    /// Returns the moves that match, newest first.
    pub(crate) async fn list(&self, query: &Query) -> Result<Vec<MoveRecord>, JournalError> {
        let rows = sqlx::query(
            "SELECT * FROM move WHERE (?1 IS NULL OR batch = ?1) \
             AND (?2 IS NULL OR id IN (SELECT move FROM account WHERE account = ?2)) \
             AND (NOT ?3 OR outcome IS NULL) AND (?4 IS NULL OR id < ?4) ORDER BY id DESC LIMIT ?5",
        )
        .bind(query.batch.as_deref())
        .bind(query.account.as_deref())
        .bind(query.unfinished)
        .bind(query.before.map(|id| id.0))
        .bind(as_integer(query.limit.min(Query::MAX)))
        .fetch_all(&self.pool)
        .await?;
        let mut records = Vec::with_capacity(rows.len());
        for row in rows {
            let accounts = self.accounts_of(MoveId(row.try_get("id")?)).await?;
            records.push(rows::record(&row, accounts)?);
        }
        Ok(records)
    }

    /// Returns the numbers of the moves that a crash has left between their first step and their end.
    pub(crate) async fn interrupted(&self) -> Result<Vec<MoveId>, JournalError> {
        let ids: Vec<i64> =
            sqlx::query_scalar("SELECT id FROM move WHERE outcome IS NULL AND step <> 'queued' ORDER BY id")
                .fetch_all(&self.pool)
                .await?;
        Ok(ids.into_iter().map(MoveId).collect())
    }

    /// Takes the next queued move whose batch is not paused, and marks it as begun.
    pub(crate) async fn take_next(&self) -> Result<Option<MoveId>, JournalError> {
        let id: Option<i64> = sqlx::query_scalar(
            "UPDATE move SET step = 'check' WHERE id = (SELECT move.id FROM move LEFT JOIN batch ON batch = name \
             WHERE outcome IS NULL AND step = 'queued' AND NOT coalesce(paused, 0) ORDER BY move.id LIMIT 1) \
             RETURNING id",
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(id.map(MoveId))
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

    /// Returns the last move that has left `account` at `destination`, when that move is still in effect: no later
    /// move has taken the account elsewhere.
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

    async fn accounts_of(&self, id: MoveId) -> Result<Vec<MovedAccount>, JournalError> {
        let rows = sqlx::query("SELECT account, previous FROM account WHERE move = ? ORDER BY position")
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
    for (position, moved) in (0_i64..).zip(&new.accounts) {
        sqlx::query("INSERT INTO account (move, position, account, previous) VALUES (?, ?, ?, ?)")
            .bind(id)
            .bind(position)
            .bind(&*moved.account)
            .bind(moved.previous.as_deref())
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
