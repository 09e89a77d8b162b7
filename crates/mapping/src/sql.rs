//! Keeps mappings in PostgreSQL, MySQL (MariaDB) or SQLite, with the operator's own statements.
//!
//! The identifier is always the first parameter of a statement and the destination the second; neither is ever part of a
//! statement's text. What must never happen: a batch is applied in part; start-up waits for the database; the password in
//! the URL appears in a message.

use futures_core::future::BoxFuture;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use plan::Name;
use sqlx::mysql::{MySqlPool, MySqlPoolOptions};
use sqlx::postgres::{PgListener, PgPool, PgPoolOptions};
use sqlx::sqlite::{SqlitePool, SqlitePoolOptions};
use sqlx::{AssertSqlSafe, Error};
use types::secret::Secret;

use crate::store::{Applied, Change, Entry, Listing, MAX_PAGE, Store, StoreError};
use cluster::{Channel, ChannelError, MessageStream};

/// The operator's statements.
#[derive(Clone, Debug)]
pub struct Statements {
    /// Returns the destination. Parameter: identifier.
    pub query: String,
    /// Writes an entry. Parameters: identifier, destination.
    pub upsert: Option<String>,
    /// Removes an entry. Parameter: identifier.
    pub delete: Option<String>,
    /// Returns every entry. Columns: identifier, destination.
    pub list: Option<String>,
}

/// A store of mappings in an SQL database.
pub struct SqlStore {
    pool: Pool,
    statements: Statements,
    channel: Arc<str>,
}

/// The connection pool of one kind of database.
enum Pool {
    Postgres(PgPool),
    MySql(MySqlPool),
    Sqlite(SqlitePool),
}

/// How long to wait for a connection. The router limits the wait of a lookup separately.
const ACQUIRE: Duration = Duration::from_secs(5);
/// How long a connection may be idle before it is closed, so that a database can be restarted without waiting for us.
const IDLE: Duration = Duration::from_secs(300);

/// Evaluates the same expression with the pool of any kind of database.
macro_rules! with_pool {
    ($store:expr, $pool:ident => $body:expr) => {
        match &$store.pool {
            Pool::Postgres($pool) => $body,
            Pool::MySql($pool) => $body,
            Pool::Sqlite($pool) => $body,
        }
    };
}

// === impl SqlStore ===

impl SqlStore {
    /// Makes a store at `url` with at most `connections` connections, opened on demand. Must be called within a runtime.
    ///
    /// # Errors
    /// [`StoreError::Unreachable`] if the URL cannot be used.
    pub fn open(
        url: &Secret,
        statements: Statements,
        connections: usize,
        channel: &str,
    ) -> Result<Self, StoreError> {
        let bad = |why: &str| StoreError::Unreachable(format!("mapping.sql.url {why}").into());
        let url = str::from_utf8(url.expose()).map_err(|_| bad("is not UTF-8"))?;
        let max = u32::try_from(connections.max(1)).unwrap_or(u32::MAX);
        let unusable = |_: Error| bad("is not the URL of a usable database");
        let pool = match url.split_once(':').map(|(scheme, _)| scheme) {
            Some("postgres" | "postgresql") => Pool::Postgres(
                PgPoolOptions::new()
                    .max_connections(max)
                    .acquire_timeout(ACQUIRE)
                    .idle_timeout(IDLE)
                    .connect_lazy(url)
                    .map_err(unusable)?,
            ),
            Some("mysql" | "mariadb") => Pool::MySql(
                MySqlPoolOptions::new()
                    .max_connections(max)
                    .acquire_timeout(ACQUIRE)
                    .idle_timeout(IDLE)
                    .connect_lazy(url)
                    .map_err(unusable)?,
            ),
            Some("sqlite") => Pool::Sqlite(
                SqlitePoolOptions::new()
                    .max_connections(max)
                    .acquire_timeout(ACQUIRE)
                    .connect_lazy(url)
                    .map_err(unusable)?,
            ),
            _ => return Err(bad("must begin with postgres:, mysql: or sqlite:")),
        };
        Ok(Self { pool, statements, channel: channel.into() })
    }

    /// Returns whether proxies can notify each other through this database.
    #[must_use]
    pub const fn has_channel(&self) -> bool {
        matches!(self.pool, Pool::Postgres(_))
    }
}

impl Store for SqlStore {
    fn lookup<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Name>, StoreError>> {
        Box::pin(async move {
            let found: Option<String> = with_pool!(self, pool => {
                sqlx::query_scalar(AssertSqlSafe(self.statements.query.as_str())).bind(key).fetch_optional(pool).await
            })
            .map_err(|error| store_error(&error))?;
            Ok(found.map(|name| name.trim().into()))
        })
    }

    fn apply(&self, changes: Vec<Change>) -> BoxFuture<'_, Result<Applied, StoreError>> {
        Box::pin(async move {
            let missing = |key: &str| StoreError::ReadOnly(format!("mapping.sql.{key} is not set").into());
            let upsert = self.statements.upsert.as_deref();
            let delete = self.statements.delete.as_deref();
            let mut statements = Vec::with_capacity(changes.len());
            for change in &changes {
                let statement = match &change.destination {
                    Some(_) => upsert.ok_or_else(|| missing("upsert_query"))?,
                    None => delete.ok_or_else(|| missing("delete_query"))?,
                };
                statements.push(statement);
            }
            let mut changed = 0;
            with_pool!(self, pool => {
                let mut batch = pool.begin().await.map_err(|error| store_error(&error))?;
                for (change, statement) in changes.iter().zip(statements) {
                    let query = sqlx::query(AssertSqlSafe(statement)).bind(&*change.identifier);
                    let query = match &change.destination {
                        Some(destination) => query.bind(&**destination),
                        None => query,
                    };
                    let done = query.execute(&mut *batch).await.map_err(|error| store_error(&error))?;
                    changed += usize::from(done.rows_affected() > 0);
                }
                batch.commit().await.map_err(|error| store_error(&error))?;
            });
            Ok(Applied { changed })
        })
    }

    fn list(&self, from: u64, limit: usize) -> BoxFuture<'_, Result<Listing, StoreError>> {
        Box::pin(async move {
            let Some(list) = &self.statements.list else {
                return Err(StoreError::ReadOnly(
                    "mapping.sql.list_query is not set, so entries cannot be listed".into(),
                ));
            };
            let limit = limit.clamp(1, MAX_PAGE);
            // The operator's statement and two numbers; no identifier or destination.
            let list = list.trim().trim_end_matches(';');
            let page = format!("SELECT * FROM ({list}) AS listed LIMIT {} OFFSET {from}", limit + 1);
            let mut rows: Vec<(String, String)> = with_pool!(self, pool => {
                sqlx::query_as(AssertSqlSafe(page)).fetch_all(pool).await
            })
            .map_err(|error| store_error(&error))?;
            let next = (rows.len() > limit).then_some(from + limit as u64);
            rows.truncate(limit);
            let entries = rows
                .into_iter()
                .map(|(identifier, destination)| Entry {
                    identifier: identifier.into(),
                    destination: destination.into(),
                })
                .collect();
            Ok(Listing { entries, next })
        })
    }
}

impl fmt::Debug for SqlStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqlStore").field("statements", &self.statements).finish_non_exhaustive()
    }
}

impl Channel for SqlStore {
    fn send<'a>(&'a self, message: &'a str) -> BoxFuture<'a, Result<(), ChannelError>> {
        Box::pin(async move {
            let Pool::Postgres(pool) = &self.pool else { return Err(no_channel()) };
            let notify = sqlx::query("SELECT pg_notify($1, $2)").bind(&*self.channel).bind(message);
            notify.execute(pool).await.map(drop).map_err(|error| channel_error(&error))
        })
    }

    fn subscribe(&self) -> BoxFuture<'_, Result<Box<dyn MessageStream>, ChannelError>> {
        Box::pin(async {
            let Pool::Postgres(pool) = &self.pool else { return Err(no_channel()) };
            let mut listener = PgListener::connect_with(pool).await.map_err(|error| channel_error(&error))?;
            listener.listen(&self.channel).await.map_err(|error| channel_error(&error))?;
            Ok(Box::new(PostgresSubscription(listener)) as Box<dyn MessageStream>)
        })
    }
}

/// A connection that has sent `LISTEN`.
struct PostgresSubscription(PgListener);

impl MessageStream for PostgresSubscription {
    fn next(&mut self) -> BoxFuture<'_, Result<String, ChannelError>> {
        Box::pin(async {
            match self.0.try_recv().await {
                Ok(Some(notification)) => Ok(notification.payload().to_owned()),
                // The library would reconnect silently, and messages sent meanwhile would be lost unnoticed.
                Ok(None) => Err(ChannelError("the connection was closed".into())),
                Err(error) => Err(channel_error(&error)),
            }
        })
    }
}

fn no_channel() -> ChannelError {
    ChannelError("only PostgreSQL has a channel".into())
}

/// The library's messages contain the database's error, never the password.
fn store_error(error: &Error) -> StoreError {
    StoreError::Unreachable(error.to_string().into())
}

fn channel_error(error: &Error) -> ChannelError {
    ChannelError(error.to_string().into())
}
