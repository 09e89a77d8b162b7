//! The problems to report for a file with syntax errors, besides those errors.
//!
//! The parser continues after an error, and its result for the broken part is a guess. Nothing may be reported about a
//! guess: a problem that disappears once a quote is closed misleads the operator.

use std::ops::Range;

use crate::diagnostic::Diagnostic;

/// Keeps the syntax errors, which are the first `syntax` diagnostics, and the problems of sections without any.
///
/// A section goes from a table's header to the next. When a header itself is broken, or something that began
/// in one section may have swallowed the next, no section can be trusted: a string without an end goes on to
/// the end of the file, and what was quoted of it could hold a secret of another section.
pub(super) fn keep(text: &str, mut diagnostics: Vec<Diagnostic>, syntax: usize) -> Vec<Diagnostic> {
    let found = diagnostics.split_off(syntax.min(diagnostics.len()));
    let broken: Vec<Range<usize>> = diagnostics.iter().map(|error| lines(text, &error.span)).collect();
    let last = text.trim_end().len();
    // A line that is not at least "key =" may have been meant to be a header.
    let is_key = |c: char| c.is_ascii_alphanumeric() || "_-\"'".contains(c);
    let is_in_line =
        |line: &str| !line.contains('\n') && line.contains('=') && line.trim_start().starts_with(is_key);
    let stays = |lines: &Range<usize>| lines.start < last && text.get(lines.clone()).is_some_and(is_in_line);
    if broken.iter().all(stays) {
        let sections: Vec<Range<usize>> = broken.iter().map(|lines| section(text, lines)).collect();
        let stands_alone = |one: &Diagnostic| {
            one.span.start > 0
                && text.get(one.span.clone()).is_some_and(|quoted| !quoted.contains('\n'))
                && sections.iter().all(|section| !section.contains(&one.span.start))
        };
        diagnostics.extend(found.into_iter().filter(stands_alone));
    }
    diagnostics
}

/// Returns the whole lines that a span touches.
fn lines(text: &str, span: &Range<usize>) -> Range<usize> {
    let start = text.get(..span.start).and_then(|before| before.rfind('\n')).map_or(0, |at| at + 1);
    let end = text.get(span.end..).and_then(|rest| rest.find('\n')).map_or(text.len(), |at| span.end + at);
    start..end.max(start)
}

fn is_header(line: &str) -> bool {
    line.trim_start().starts_with('[')
}

/// Returns the range from the header above a broken line to the next header. A header on the next line may be meant
/// as its value (`bind =`, and the list on a line of its own): then to the one after that.
fn section(text: &str, broken: &Range<usize>) -> Range<usize> {
    let mut start = 0;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        if is_header(line) && at <= broken.start {
            start = at;
        } else if is_header(line) && at > broken.end + 1 {
            return start..at;
        }
        at += line.len();
    }
    start..text.len()
}
