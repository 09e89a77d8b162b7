//! The audit log: a record of every action.

use serde::{Deserialize, Serialize};

/// `GET /audit`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditPage {
    /// The newest first.
    pub records: Vec<AuditRecord>,
    /// `from` of the next, older page; absent after the oldest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}

/// One action: a line of the audit log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditRecord {
    /// Increases by one with every record, across restarts.
    pub seq: u64,
    /// The time in UTC: `2026-11-25T09:44:00.123Z`.
    pub time: String,
    /// How the action was requested: `token` for the API, `signal` for SIGHUP, `proxy` for the proxy itself.
    pub who: String,
    /// The name in the request's `From` header (RFC 9110 section 10.1.2). It is not verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The address that the request came from; absent for a signal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The action: `mapping.set`, `mapping.remove`, `mapping.import`, `mapping.reload`, `cache.invalidate`,
    /// `connections.kick`, `connections.delay`, `destination.reset`, `config.reload`, `audit.lost`.
    pub act: String,
    /// What the action applied to, as the call named it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub subject: String,
    /// The value before, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// The value after, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// `ok`, or the status of the error response.
    pub result: String,
}
