//! `server.log_level`: a level, or a list of directives.
//!
//! The parser of the log takes a mistyped level for the name of a target, and then logs nothing that was wanted. So a
//! bare word must be a level here.

use tracing_subscriber::filter::EnvFilter;

use crate::read::{Located, Table};
use crate::suggest::closest;

const LEVELS: [&str; 6] = ["error", "warn", "info", "debug", "trace", "off"];

/// Returns the value for the log. A single level is in lower case, because only then it applies to our own crates.
pub(super) fn check(table: &Table<'_>, at: Located<String>) -> Option<String> {
    let pieces: Vec<&str> = at.value.split(',').map(str::trim).collect();
    let is_level = |word: &str| LEVELS.iter().any(|level| level.eq_ignore_ascii_case(word));
    let bare = || pieces.iter().filter(|piece| !piece.contains(['=', '[']));
    if let Some(word) = bare().find(|word| !is_level(word)) {
        let message = format!("found \"{}\", expected a level or TARGET=LEVEL", at.value.escape_debug());
        let help = closest(&word.to_ascii_lowercase(), LEVELS.into_iter()).map_or_else(
            || format!("levels are {}", LEVELS.join(", ")),
            |level| format!("did you mean \"{level}\"?"),
        );
        table.problems.error(&at.key, at.span, message, help);
        return None;
    }
    if let Err(error) = EnvFilter::builder().parse(&at.value) {
        let message = format!("found \"{}\", which is not a filter: {error}", at.value.escape_debug());
        let help = "write a level, or directives such as \"warn,pointsman=info,mail=debug\"";
        table.problems.error(&at.key, at.span, message, help);
        return None;
    }
    if pieces.len() == 1 && is_level(&at.value) {
        return Some(at.value.to_ascii_lowercase());
    }
    if let Some(word) =
        bare().find(|word| ["debug", "trace"].iter().any(|level| level.eq_ignore_ascii_case(word)))
    {
        let message = format!(
            "\"{word}\" applies to every library here, and some libraries log header fields that contain passwords"
        );
        let help = format!("write \"warn,pointsman={word}\", and directives for the libraries that you need");
        table.problems.warning(&at.key, at.span.clone(), message, help);
    }
    Some(at.value)
}
