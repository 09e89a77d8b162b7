//! Answers of calls that change something other than a mapping.

use serde::{Deserialize, Serialize};

use crate::problem::Diagnostic;

/// `POST /destinations/reset`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reset {
    /// Whose failures are forgotten.
    pub destination: String,
}

/// `POST /cache/invalidate`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invalidated {
    /// Whose answer is asked anew; absent = everybody's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub normalized: Option<String>,
}

/// `POST /connections/kick`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kicked {
    /// Sessions that were told to end.
    pub kicked: usize,
    /// Logins under way that are routed afresh.
    pub logins: usize,
    /// Sessions among those meant that have not ended yet. They were told, and are closed within seconds.
    pub ending: usize,
}

/// `POST /connections/delay`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delayed {
    /// As given.
    pub identifier: String,
    /// Whose new logins wait.
    pub normalized: String,
    /// For how long, after clamping.
    pub seconds: u64,
}

/// `POST /config/reload`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigReloaded {
    /// Keys whose new values need a restart.
    pub restart_required: Vec<String>,
    /// What is worth knowing about the file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Diagnostic>,
}
