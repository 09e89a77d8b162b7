//! Parts of the texts about moves.

use api::moves::Move;

/// Returns the first name of a move's account.
pub(super) fn name(record: &Move) -> String {
    record.accounts.first().cloned().unwrap_or_default()
}

/// Returns a short time in milliseconds, a longer one in seconds with a tenth.
pub(super) fn milliseconds(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        _ => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
    }
}
