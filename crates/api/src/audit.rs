//! The record of every act.

use serde::{Deserialize, Serialize};

/// `GET /audit`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// The newest first.
    pub records: Vec<Record>,
    /// `from` of the next, older page; absent after the oldest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}

/// One act: a line of the audit log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Counts up by one with every record, across restarts.
    pub seq: u64,
    /// When, in UTC: `2026-11-25T09:44:00.123Z`.
    pub time: String,
    /// Who: `token` for the API, `signal` for SIGHUP.
    pub who: String,
    /// Who they say they are: the request's `From` header (RFC 9110 section 10.1.2). Nobody has verified it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// From which address; absent for a signal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// What: `mapping.set`, `mapping.remove`, `mapping.import`, `mapping.reload`, `cache.invalidate`,
    /// `connections.kick`, `connections.delay`, `destination.reset`, `config.reload`.
    pub act: String,
    /// To whom or what, in the words of the call.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub subject: String,
    /// How it was before, where that can be said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// How it is since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// `ok`, or the status of the problem that was answered.
    pub result: String,
}
