//! What the bus asks of a store's channel.

use futures_core::future::BoxFuture;
use std::fmt;
use std::sync::Arc;

use thiserror::Error;

/// A channel on which every proxy hears what any proxy says, itself included.
pub trait Channel: Send + Sync + fmt::Debug {
    /// Says `message` (at most [`MAX_MESSAGE`] bytes) once, to whoever listens. The caller bounds the
    /// wait.
    fn say<'a>(&'a self, message: &'a str) -> BoxFuture<'a, Result<(), ChannelError>>;

    /// Listens, over a connection of its own. From the return on nothing is missed until [`Line::hear`] fails.
    fn listen(&self) -> BoxFuture<'_, Result<Box<dyn Line>, ChannelError>>;
}

/// A connection that listens.
pub trait Line: Send {
    /// The next message. Who no longer waits for it drops the line.
    ///
    /// # Errors
    /// The connection was cut, so that messages may have been missed; the line is of no use any more.
    fn hear(&mut self) -> BoxFuture<'_, Result<String, ChannelError>>;
}

/// A channel could not be used.
#[derive(Clone, Debug, Error)]
#[error("{0}")]
pub struct ChannelError(pub Arc<str>);

/// The longest message: PostgreSQL's `NOTIFY` takes less than 8000 bytes.
pub const MAX_MESSAGE: usize = 7_900;
