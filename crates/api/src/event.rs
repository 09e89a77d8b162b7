//! What `GET /events` sends: the `data` of each event; its `event` is the variant's name.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// An event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// How many sessions there are: at first, and whenever it changed, at most once a second.
    Sessions(Sessions),
    /// A leg went down or came back; at first, every leg that is down.
    Health(Health),
}

/// See [`Event::Sessions`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sessions {
    /// Sessions.
    pub sessions: usize,
    /// Logins under way.
    pub logins: usize,
    /// Sessions by protocol.
    pub by_protocol: BTreeMap<String, usize>,
    /// Sessions by destination.
    pub by_destination: BTreeMap<String, usize>,
}

/// See [`Event::Health`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// Whose leg.
    pub destination: String,
    /// Which leg.
    pub protocol: String,
    /// Whether it is down now.
    pub down: bool,
    /// The streak's last failure, in a word.
    pub last_error: Option<String>,
}

// === impl Event ===

impl Event {
    /// The name in the stream's `event` field.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Sessions(_) => "sessions",
            Self::Health(_) => "health",
        }
    }
}
