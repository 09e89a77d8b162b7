//! Responses of calls that change something other than a mapping.

use serde::{Deserialize, Serialize};

use crate::problem::Diagnostic;

/// `POST /destinations/reset`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DestinationReset {
    /// The destination whose failures were reset.
    pub destination: String,
}

/// `POST /cache/invalidate`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invalidated {
    /// The account whose cached answer was dropped; absent = all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub normalized: Option<String>,
}

/// `POST /connections/kick`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kicked {
    /// Sessions that were asked to end.
    pub kicked: usize,
    /// Logins under way that are looked up again.
    pub logins: usize,
    /// Sessions that were asked to end and have not ended yet. They are closed within seconds.
    pub ending: usize,
}

/// `POST /connections/delay`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delayed {
    /// As given.
    pub identifier: String,
    /// The account as it is stored and looked up.
    pub normalized: String,
    /// How long its new logins wait, at most [`MAX_DELAY_SECONDS`](crate::parameters::MAX_DELAY_SECONDS).
    pub seconds: u64,
}

/// `POST /config/reload`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigReloaded {
    /// Keys whose new values need a restart.
    pub restart_required: Vec<String>,
    /// Warnings about the file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Diagnostic>,
}
