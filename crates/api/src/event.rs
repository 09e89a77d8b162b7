//! The events of `GET /events`: the `data` of each; its `event` field is the variant's name.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// An event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StatusEvent {
    /// The number of sessions: at first, and whenever it has changed, at most once a second.
    Sessions(SessionCounts),
    /// A leg went down or came back; at first, every leg that is down.
    Health(LegHealth),
}

/// See [`StatusEvent::Sessions`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionCounts {
    /// Sessions.
    pub sessions: usize,
    /// Logins under way.
    pub logins: usize,
    /// Sessions by protocol.
    pub by_protocol: BTreeMap<String, usize>,
    /// Sessions by destination.
    pub by_destination: BTreeMap<String, usize>,
}

/// See [`StatusEvent::Health`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LegHealth {
    /// The destination's name.
    pub destination: String,
    /// The leg's protocol.
    pub protocol: String,
    /// Whether it is down now.
    pub down: bool,
    /// The name of the last failure.
    pub last_error: Option<String>,
}

// === impl StatusEvent ===

impl StatusEvent {
    /// Returns the name in the stream's `event` field.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Sessions(_) => "sessions",
            Self::Health(_) => "health",
        }
    }
}
