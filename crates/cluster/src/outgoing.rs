//! A message that waits to be sent.

use tokio::sync::oneshot;

use crate::acknowledgements::AckWait;
use crate::channel::ChannelError;
use crate::delivery::Audience;
use crate::message::Body;

/// A message that waits to be sent.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) body: Body,
    /// Whose acknowledgement is waited for, when the body is an order.
    pub(crate) audience: Audience,
    /// Gets the result of the sending, with the wait for the acknowledgements.
    pub(crate) report: Option<oneshot::Sender<Result<AckWait, ChannelError>>>,
}

// === impl Outgoing ===

impl Outgoing {
    /// A message that nobody waits for.
    pub(crate) const fn unattended(body: Body) -> Self {
        Self { body, audience: Audience::Present, report: None }
    }
}
