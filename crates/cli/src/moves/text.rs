//! Parts of the texts about moves.

use api::moves::Move;

/// Returns the first name of a move's account.
pub(super) fn name(record: &Move) -> String {
    record.accounts.first().cloned().unwrap_or_default()
}

/// Returns milliseconds as seconds with a tenth.
pub(super) fn milliseconds(ms: u64) -> String {
    format!("{}.{:01}s", ms / 1_000, ms % 1_000 / 100)
}
