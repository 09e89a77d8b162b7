//! How an exchange ended.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use h2::{RecvStream, SendStream};
use http_proto::ResponseHead;
use sessions::EndReason;
use types::outcome::SessionEnd;

use crate::body::Broken;

/// How an exchange ended.
pub(crate) enum ExchangeOutcome {
    /// The response is whole.
    Whole {
        status: u16,
        /// Whether the backend's connection is ready for another request.
        reusable: bool,
        /// Whether the request's body was not read to its end, which leaves the client's connection out of step.
        unread: bool,
        /// How long the backend keeps an idle connection open, if it has announced it.
        idle_limit: Option<Duration>,
    },
    /// The backend upgrades: both connections belong together from now on.
    Upgraded(Box<ResponseHead>, Option<H2Halves>),
    /// Nothing was sent to the client yet.
    Failed(ExchangeFailure),
    /// The response had begun, or the client is gone: only closing is left.
    Cut(&'static str),
    /// An event stream was ended from outside, in an orderly way.
    Ended(EndReason),
}

/// Both directions of a backend's HTTP/2 stream that became a tunnel.
pub(crate) type H2Halves = (RecvStream, SendStream<Bytes>);

/// Why there is no response to pass on.
#[derive(Debug)]
pub(crate) enum ExchangeFailure {
    /// The backend closed or broke the connection before it responded.
    NoAnswer {
        /// Whether the backend reports that it has not processed the request.
        unprocessed: bool,
    },
    /// The response is malformed.
    BadAnswer(&'static str),
    /// The backend was silent for `http.relay_idle`.
    Silent,
    /// The client's body cannot be read.
    BadBody(&'static str),
}

// === impl ExchangeOutcome ===

impl ExchangeOutcome {
    /// Returns whether an exchange without a response was ended by the client, rather than by the backend or an operator.
    pub(crate) const fn is_ended_by_client(&self) -> bool {
        matches!(self, Self::Cut(_) | Self::Failed(ExchangeFailure::BadBody(_)))
    }

    /// Returns the name in metrics.
    pub(crate) const fn session_end(&self) -> SessionEnd {
        match self {
            Self::Whole { .. } => SessionEnd::Whole,
            Self::Upgraded(..) => SessionEnd::Upgraded,
            Self::Failed(failure) => failure.session_end(),
            Self::Cut(_) => SessionEnd::Cut,
            Self::Ended(EndReason::Drain) => SessionEnd::StreamDrained,
            Self::Ended(EndReason::Move) => SessionEnd::StreamMoved,
            Self::Ended(EndReason::Kick) => SessionEnd::StreamKicked,
        }
    }
}

// === impl ExchangeFailure ===

impl ExchangeFailure {
    /// Returns what a broken connection means before a response has begun.
    pub(crate) fn before_response(broken: &Broken) -> Self {
        match broken {
            Broken::Malformed(what) => Self::BadAnswer(what),
            Broken::Stream(error) => Self::NoAnswer {
                unprocessed: error.reason() == Some(h2::Reason::REFUSED_STREAM)
                    || (error.is_go_away() && error.reason() == Some(h2::Reason::NO_ERROR)),
            },
            Broken::Closed | Broken::Io(_) => Self::NoAnswer { unprocessed: false },
        }
    }

    /// Returns the name in logs.
    pub(crate) const fn label(&self) -> &'static str {
        self.session_end().label()
    }

    const fn session_end(&self) -> SessionEnd {
        match self {
            Self::NoAnswer { .. } => SessionEnd::NoAnswer,
            Self::BadAnswer(_) => SessionEnd::BadAnswer,
            Self::Silent => SessionEnd::Silent,
            Self::BadBody(_) => SessionEnd::BadBody,
        }
    }
}

impl fmt::Display for ExchangeFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadAnswer(what) | Self::BadBody(what) => write!(f, "{}: {what}", self.label()),
            Self::NoAnswer { .. } | Self::Silent => f.write_str(self.label()),
        }
    }
}
