//! Keeps mappings in Redis: one key per account, `PREFIX` + identifier, whose value is the destination.
//!
//! Keys and values are protocol arguments, so an identifier cannot contain a command. Many lookups share a connection, and
//! lost connections are re-established. What must never happen: start-up or a lookup waits for a server that does not
//! answer; the password in the URL appears in a message.

use futures_core::future::BoxFuture;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ::redis::aio::{ConnectionManager, ConnectionManagerConfig};
use ::redis::{Client, ErrorKind, RedisError, Value, cmd, pipe};
use futures_core::Stream;
use plan::Name;
use types::secret::Secret;

use crate::store::{Applied, Change, Entry, Listing, MAX_PAGE, Store, StoreError};
use cluster::{Channel, ChannelError, MessageStream};

/// A store of mappings in Redis.
pub struct RedisStore {
    client: Client,
    connections: Vec<ConnectionManager>,
    next: AtomicUsize,
    prefix: Arc<str>,
    channel: Arc<str>,
}

/// How long connecting may take. The router limits the wait of a lookup separately.
const CONNECT: Duration = Duration::from_secs(5);
/// How long a response may take. Listings need more time than a lookup may wait.
const ANSWER: Duration = Duration::from_secs(10);
/// The pause between two attempts to reconnect.
const MIN_PAUSE: Duration = Duration::from_millis(50);
const MAX_PAUSE: Duration = Duration::from_secs(2);
/// The most values that a listing reads in one command.
const MAX_VALUES: usize = 1_000;

// === impl RedisStore ===

impl RedisStore {
    /// Makes a store at `url` with `connections` connections, opened on demand. Must be called within a runtime.
    ///
    /// # Errors
    /// [`StoreError::Unreachable`] if the URL cannot be used.
    pub fn open(url: &Secret, prefix: &str, connections: usize, channel: &str) -> Result<Self, StoreError> {
        let bad = || StoreError::Unreachable("mapping.redis.url is not the URL of a Redis server".into());
        let url = str::from_utf8(url.expose()).map_err(|_| bad())?;
        let client = Client::open(url).map_err(|_| bad())?;
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(CONNECT))
            .set_response_timeout(Some(ANSWER))
            .set_min_delay(MIN_PAUSE)
            .set_max_delay(MAX_PAUSE);
        let connections = (0..connections.max(1))
            .map(|_| ConnectionManager::new_lazy_with_config(client.clone(), config.clone()))
            .collect::<Result<_, _>>()
            .map_err(|error| store_error(&error))?;
        Ok(Self {
            client,
            connections,
            next: AtomicUsize::new(0),
            prefix: prefix.into(),
            channel: channel.into(),
        })
    }

    fn connection(&self) -> ConnectionManager {
        let turn = self.next.fetch_add(1, Ordering::Relaxed) % self.connections.len();
        self.connections[turn].clone()
    }

    fn key(&self, identifier: &str) -> String {
        format!("{}{identifier}", self.prefix)
    }

    /// Runs one step of a scan over the keys. A step may find no key.
    async fn scan(&self, from: u64, limit: usize) -> Result<Listing, StoreError> {
        let mut connection = self.connection();
        let pattern = format!("{}*", escaped(&self.prefix));
        let mut scan = cmd("SCAN");
        scan.arg(from).arg("MATCH").arg(pattern).arg("COUNT").arg(limit.clamp(1, MAX_PAGE));
        let (next, keys): (u64, Vec<Vec<u8>>) =
            scan.query_async(&mut connection).await.map_err(|error| store_error(&error))?;
        let mut entries = Vec::with_capacity(keys.len());
        for keys in keys.chunks(MAX_VALUES) {
            let values: Vec<Option<Vec<u8>>> = cmd("MGET")
                .arg(keys)
                .query_async(&mut connection)
                .await
                .map_err(|error| store_error(&error))?;
            for (key, value) in keys.iter().zip(values) {
                let identifier =
                    key.strip_prefix(self.prefix.as_bytes()).and_then(|key| str::from_utf8(key).ok());
                // A key that has been removed meanwhile, or is not UTF-8, is not an entry.
                let (Some(identifier), Some(value)) = (identifier, value) else { continue };
                entries
                    .push(Entry { identifier: identifier.into(), destination: parse_destination(&value)? });
            }
        }
        Ok(Listing { entries, next: (next != 0).then_some(next) })
    }
}

impl Store for RedisStore {
    fn lookup<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Name>, StoreError>> {
        Box::pin(async move {
            let found: Option<Vec<u8>> = cmd("GET")
                .arg(self.key(key))
                .query_async(&mut self.connection())
                .await
                .map_err(|error| store_error(&error))?;
            found.map(|value| parse_destination(&value)).transpose()
        })
    }

    fn apply(&self, changes: Vec<Change>) -> BoxFuture<'_, Result<Applied, StoreError>> {
        Box::pin(async move {
            let mut batch = pipe();
            batch.atomic();
            for change in &changes {
                let key = self.key(&change.identifier);
                match &change.destination {
                    // With GET, the command returns the previous value.
                    Some(destination) => batch.cmd("SET").arg(key).arg(&**destination).arg("GET"),
                    None => batch.cmd("DEL").arg(key),
                };
            }
            let done: Vec<Value> =
                batch.query_async(&mut self.connection()).await.map_err(|error| store_error(&error))?;
            let mut applied = Applied::default();
            for (change, reply) in changes.iter().zip(&done) {
                applied.changed += usize::from(is_change(change, reply));
            }
            Ok(applied)
        })
    }

    fn list(&self, from: u64, limit: usize) -> BoxFuture<'_, Result<Listing, StoreError>> {
        Box::pin(async move {
            // In a large database with other keys a step may find nothing; the scan continues then.
            let mut listing = self.scan(from, limit).await?;
            while let (true, Some(next)) = (listing.entries.is_empty(), listing.next) {
                listing = self.scan(next, limit).await?;
            }
            Ok(listing)
        })
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

impl Channel for RedisStore {
    fn send<'a>(&'a self, message: &'a str) -> BoxFuture<'a, Result<(), ChannelError>> {
        Box::pin(async move {
            let publish = cmd("PUBLISH").arg(&*self.channel).arg(message).to_owned();
            let published: Result<i64, _> = publish.query_async(&mut self.connection()).await;
            published.map(drop).map_err(|error| channel_error(&error))
        })
    }

    fn subscribe(&self) -> BoxFuture<'_, Result<Box<dyn MessageStream>, ChannelError>> {
        Box::pin(async {
            let mut pubsub = self.client.get_async_pubsub().await.map_err(|error| channel_error(&error))?;
            pubsub.subscribe(&*self.channel).await.map_err(|error| channel_error(&error))?;
            Ok(Box::new(RedisSubscription(pubsub)) as Box<dyn MessageStream>)
        })
    }
}

/// A subscription to the channel.
struct RedisSubscription(::redis::aio::PubSub);

impl MessageStream for RedisSubscription {
    fn next(&mut self) -> BoxFuture<'_, Result<String, ChannelError>> {
        Box::pin(async {
            let mut messages = self.0.on_message();
            let next = std::future::poll_fn(|context| std::pin::Pin::new(&mut messages).poll_next(context));
            let message = next.await.ok_or_else(|| ChannelError("the connection was closed".into()))?;
            message.get_payload().map_err(|error| ChannelError(error.to_string().into()))
        })
    }
}

/// Returns whether a command changed its key. `reply` is the previous value for SET, the number of removed keys for DEL.
fn is_change(change: &Change, reply: &Value) -> bool {
    match (&change.destination, reply) {
        (Some(destination), Value::BulkString(previous)) => previous != destination.as_bytes(),
        (Some(destination), Value::SimpleString(previous)) => **previous != **destination,
        (Some(_), _) => true,
        (None, Value::Int(removed)) => *removed > 0,
        (None, _) => false,
    }
}

/// Parses a value as the name of a destination.
fn parse_destination(value: &[u8]) -> Result<Name, StoreError> {
    let text =
        str::from_utf8(value).map_err(|_| StoreError::Unreachable("a value in Redis is not UTF-8".into()))?;
    Ok(text.trim().into())
}

/// The library's messages contain addresses and the server's error, never the password.
fn store_error(error: &RedisError) -> StoreError {
    match error.kind() {
        ErrorKind::Server(::redis::ServerErrorKind::ReadOnly) => StoreError::ReadOnly(
            "this Redis server is a replica; point mapping.redis.url at the primary".into(),
        ),
        _ => StoreError::Unreachable(error.to_string().into()),
    }
}

fn channel_error(error: &RedisError) -> ChannelError {
    ChannelError(error.to_string().into())
}

/// Escapes a prefix so that the pattern matches only the prefix itself.
fn escaped(prefix: &str) -> String {
    let mut pattern = String::with_capacity(prefix.len());
    for letter in prefix.chars() {
        if matches!(letter, '*' | '?' | '[' | ']' | '\\' | '^' | '-') {
            pattern.push('\\');
        }
        pattern.push(letter);
    }
    pattern
}
