//! The events of `GET /events`: the `data` of each; its `event` field is the variant's name.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// An event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StatusEvent {
    /// The number of sessions: at first, and whenever it has changed, at most once a second.
    Sessions(SessionCounts),
    /// A move began a step or ended. Steps that follow each other within a second may be left out.
    Move(MoveProgress),
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

/// See [`StatusEvent::Move`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MoveProgress {
    /// The move's number.
    pub id: i64,
    /// The batch that it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch: Option<String>,
    /// The last step that was begun.
    pub step: String,
    /// How it ended; absent while it is in progress.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
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
            Self::Move(_) => "move",
            Self::Health(_) => "health",
        }
    }
}
