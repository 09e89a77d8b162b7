//! Errors as RFC 9457 defines them, with the errors in a file as extension members.

use serde::{Deserialize, Serialize};

/// The media type of a [`Problem`].
pub const MEDIA_TYPE: &str = "application/problem+json";

/// An error response.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The reason phrase of the status.
    pub title: String,
    /// What was found, what was expected, how to fix it.
    pub detail: String,
    /// The HTTP status.
    pub status: u16,
    /// With 422: every error in a file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<Diagnostic>,
}

/// An error or a warning about a place in a configuration or mapping file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnostic {
    /// `error` or `warning`.
    pub severity: String,
    /// The file.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// The key's full path; empty in a mapping file.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub key: String,
    /// What was found and what was expected.
    pub message: String,
    /// How to fix it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub help: String,
}
