//! Errors: RFC 9457, with what was wrong in a file as extension members.

use serde::{Deserialize, Serialize};

/// The media type of a [`Problem`].
pub const MEDIA_TYPE: &str = "application/problem+json";

/// An answer that is an error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The status in words.
    pub title: String,
    /// What was found, what was expected, how to mend it.
    pub detail: String,
    /// The HTTP status.
    pub status: u16,
    /// With 422: everything that is wrong in a file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<Diagnostic>,
}

/// One thing that is wrong, or worth knowing, in a configuration or mapping file.
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
    /// How to mend it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub help: String,
}
