//! A store in Redis: a key for each account, `PREFIX` + identifier, whose value is the destination.
//!
//! Keys and values are arguments of the protocol, so nothing in an identifier can be a command. Connections are
//! shared by many lookups at once and come back by themselves. What must never happen: a start, or a lookup,
//! that waits for a server which does not answer; a password of the URL in a message.

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
use cluster::{Channel, ChannelError, Line};

/// See the module's comment.
pub struct RedisStore {
    client: Client,
    connections: Vec<ConnectionManager>,
    next: AtomicUsize,
    prefix: Arc<str>,
    channel: Arc<str>,
}

/// How long connecting may take; the router bounds what a lookup waits.
const CONNECT: Duration = Duration::from_secs(5);
/// How long an answer may take. Longer than any lookup waits: it is for listings.
const ANSWER: Duration = Duration::from_secs(10);
/// Between two attempts to connect again.
const MIN_PAUSE: Duration = Duration::from_millis(50);
const MAX_PAUSE: Duration = Duration::from_secs(2);
/// Values that are read at once for a listing.
const MAX_VALUES: usize = 1_000;

// === impl RedisStore ===

impl RedisStore {
    /// A store at `url`, with `connections` connections, which are made when they are needed. Has to be called
    /// within a runtime.
    ///
    /// # Errors
    /// [`StoreError::Unreachable`] when the URL is none that can be used.
    pub fn open(url: &Secret, prefix: &str, connections: usize, channel: &str) -> Result<Self, StoreError> {
        let bad = || StoreError::Unreachable("mapping.redis.url is no URL of a Redis server".into());
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

    /// One step of a walk over the keys; a step may find none.
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
                // A key that is gone by now, or is no name, is no entry.
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
                    // What was there before comes back.
                    Some(destination) => batch.cmd("SET").arg(key).arg(&**destination).arg("GET"),
                    None => batch.cmd("DEL").arg(key),
                };
            }
            let done: Vec<Value> =
                batch.query_async(&mut self.connection()).await.map_err(|error| store_error(&error))?;
            let is_change = |(change, before): &(&Change, &Value)| match (&change.destination, before) {
                (Some(destination), Value::BulkString(before)) => before != destination.as_bytes(),
                (Some(destination), Value::SimpleString(before)) => **before != **destination,
                (Some(_), _) => true,
                (None, Value::Int(count)) => *count > 0,
                (None, _) => false,
            };
            Ok(Applied { changed: changes.iter().zip(&done).filter(is_change).count() })
        })
    }

    fn list(&self, from: u64, limit: usize) -> BoxFuture<'_, Result<Listing, StoreError>> {
        Box::pin(async move {
            // A step over a large database of others' keys may find nothing: then the walk goes on.
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
    fn say<'a>(&'a self, message: &'a str) -> BoxFuture<'a, Result<(), ChannelError>> {
        Box::pin(async move {
            let publish = cmd("PUBLISH").arg(&*self.channel).arg(message).to_owned();
            let told: Result<i64, _> = publish.query_async(&mut self.connection()).await;
            told.map(drop).map_err(|error| channel_error(&error))
        })
    }

    fn listen(&self) -> BoxFuture<'_, Result<Box<dyn Line>, ChannelError>> {
        Box::pin(async {
            let mut line = self.client.get_async_pubsub().await.map_err(|error| channel_error(&error))?;
            line.subscribe(&*self.channel).await.map_err(|error| channel_error(&error))?;
            Ok(Box::new(RedisSubscription(line)) as Box<dyn Line>)
        })
    }
}

/// A subscription.
struct RedisSubscription(::redis::aio::PubSub);

impl Line for RedisSubscription {
    fn hear(&mut self) -> BoxFuture<'_, Result<String, ChannelError>> {
        Box::pin(async {
            let mut messages = self.0.on_message();
            let next = std::future::poll_fn(|context| std::pin::Pin::new(&mut messages).poll_next(context));
            let message = next.await.ok_or_else(|| ChannelError("the connection was closed".into()))?;
            message.get_payload().map_err(|error| ChannelError(error.to_string().into()))
        })
    }
}

/// The destination that a value names.
fn parse_destination(value: &[u8]) -> Result<Name, StoreError> {
    let text =
        str::from_utf8(value).map_err(|_| StoreError::Unreachable("a value in Redis is not UTF-8".into()))?;
    Ok(text.trim().into())
}

/// The library's messages name addresses and what the server said, never the password.
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

/// A prefix as a pattern that matches itself alone.
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
