//! A message that waits to be sent.

use tokio::sync::oneshot;

use crate::acknowledgements::AckWait;
use crate::channel::ChannelError;
use crate::message::Body;

/// A message that waits to be sent.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) body: Body,
    /// Gets the result of the sending, with the wait for the acknowledgements.
    pub(crate) report: Option<oneshot::Sender<Result<AckWait, ChannelError>>>,
}
