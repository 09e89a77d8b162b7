//! The channel that a store offers to the bus.

use futures_core::future::BoxFuture;
use std::fmt;
use std::sync::Arc;

use thiserror::Error;

/// A channel on which every proxy receives what any proxy sends, its own messages included.
pub trait Channel: Send + Sync + fmt::Debug {
    /// Sends `message` (at most [`MAX_MESSAGE`] bytes) once, to every subscriber. The caller bounds the wait.
    fn send<'a>(&'a self, message: &'a str) -> BoxFuture<'a, Result<(), ChannelError>>;

    /// Subscribes, over a connection of its own. Once it returns, no message is missed until [`MessageStream::next`]
    /// fails.
    fn subscribe(&self) -> BoxFuture<'_, Result<Box<dyn MessageStream>, ChannelError>>;
}

/// A connection that receives the channel's messages. Dropping it ends the subscription.
pub trait MessageStream: Send {
    /// Returns the next message.
    ///
    /// # Errors
    /// The connection was cut, so that messages may have been missed; the stream is of no use any more.
    fn next(&mut self) -> BoxFuture<'_, Result<String, ChannelError>>;
}

/// Why a channel could not be used.
#[derive(Clone, Debug, Error)]
#[error("{0}")]
pub struct ChannelError(pub Arc<str>);

/// The longest message: PostgreSQL's `NOTIFY` takes less than 8000 bytes.
pub const MAX_MESSAGE: usize = 7_900;
