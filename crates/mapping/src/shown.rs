//! Quotes names for messages, so that a name cannot forge a log line or flood it.

/// Returns a name for a message: quoted, escaped, and cut to a line.
pub(crate) fn shown(name: &str) -> String {
    const MAX_CHARS: usize = 80;
    match name.char_indices().nth(MAX_CHARS) {
        None => format!("{name:?}"),
        Some((end, _)) => format!("{:?}…", &name[..end]),
    }
}
