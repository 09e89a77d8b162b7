//! The result of one test of `verify`.

use plan::Listener;
use serde::Serialize;

use crate::api_client::connectable;

/// How a test ended, and the details for the operator.
pub(super) enum TestResult {
    Passed(String),
    Failed(String),
    Skipped(String),
}

/// The result for one listener.
#[derive(Debug, Serialize)]
pub(super) struct ListenerResult {
    pub(super) listener: String,
    pub(super) protocol: &'static str,
    pub(super) address: String,
    /// `ok`, `failed` or `skipped`.
    pub(super) state: &'static str,
    /// What was found, and what to check next.
    pub(super) detail: String,
}

// === impl ListenerResult ===

impl ListenerResult {
    pub(super) fn new(listener: &Listener, result: TestResult) -> Self {
        let (state, detail) = match result {
            TestResult::Passed(detail) => ("ok", detail),
            TestResult::Failed(detail) => ("failed", detail),
            TestResult::Skipped(detail) => ("skipped", detail),
        };
        let address = listener.bind.first().map(|&bound| connectable(bound).to_string());
        Self {
            listener: listener.name.to_string(),
            protocol: listener.protocol.name(),
            address: address.unwrap_or_default(),
            state,
            detail,
        }
    }
}
