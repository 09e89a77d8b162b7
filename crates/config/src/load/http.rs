//! `[http]` and its routes.

use std::time::Duration;

use globset::GlobBuilder;

use crate::plan::{ExtractFrom, Http, HttpRoute, HttpTarget, Name};
use crate::read::{At, Table};

/// Bound of a compiled body pattern: patterns are the operator's, but their mistakes should stay cheap.
const REGEX_SIZE: usize = 1024 * 1024;

/// `[http]`, which may be missing.
pub(super) fn read(root: &Table<'_>, references: &mut Vec<At<String>>) -> Http {
    let mut http = Http {
        body_extract_cap: 64 * 1024,
        max_head_size: 64 * 1024,
        relay_idle: Duration::from_secs(1800),
        keepalive_timeout: Duration::from_secs(60),
        max_keepalive_requests: 1000,
        routes: Vec::new(),
    };
    let Some(table) = root.table("http") else { return http };
    http.body_extract_cap = table.size("body_extract_cap", http.body_extract_cap);
    http.max_head_size = table.size("max_head_size", http.max_head_size);
    http.relay_idle = table.duration("relay_idle", http.relay_idle);
    http.keepalive_timeout = table.duration("keepalive_timeout", http.keepalive_timeout);
    http.max_keepalive_requests = table.integer("max_keepalive_requests", 1000, 1..=1_000_000_000);
    for entry in table.tables("route") {
        http.routes.extend(route(&entry, references));
        entry.finish();
    }
    table.finish();
    http
}

fn route(entry: &Table<'_>, references: &mut Vec<At<String>>) -> Option<HttpRoute> {
    let pattern = entry.string("match");
    if pattern.is_none() && !entry.has("match") {
        entry.missing("match", "write a glob on the path, such as \"/admin/**\"");
    }
    let destination = entry.string("destination");
    let from = entry.table("extract").and_then(|extract| extract_from(&extract));
    let fallback = entry.string("fallback");
    references.extend(destination.clone());
    references.extend(fallback.clone().filter(|at| at.value != "default"));
    let target = match (destination, entry.has("extract")) {
        (Some(destination), false) => {
            if let Some(fallback) = fallback {
                let message = "a route with a destination has no use for a fallback";
                entry.problems.error(&fallback.key, fallback.span, message, "remove it");
            }
            Some(HttpTarget::Destination(destination.value.into()))
        }
        (None, true) => {
            let fallback = fallback.filter(|at| at.value != "default").map(|at| Name::from(at.value));
            from.map(|from| HttpTarget::Extract { from, fallback })
        }
        (destination, _) => {
            let found = if destination.is_some() {
                "both destination and extract"
            } else {
                "neither destination nor extract"
            };
            let message = format!("found {found}, expected one of them");
            entry.problems.error(
                &entry.path,
                entry.span.clone(),
                message,
                "pin the path to a destination, or extract the account",
            );
            None
        }
    };
    let pattern = pattern?;
    let glob = GlobBuilder::new(pattern.value.trim_end_matches('/')).literal_separator(true).build();
    match glob {
        Ok(glob) if pattern.value.starts_with('/') => {
            Some(HttpRoute { pattern: pattern.value, matcher: glob.compile_matcher(), target: target? })
        }
        Ok(_) => {
            let message =
                format!("found \"{}\", expected a pattern that begins with /", pattern.value.escape_debug());
            entry.problems.error(&pattern.key, pattern.span, message, "begin it with /");
            None
        }
        Err(error) => {
            let message = format!("the pattern is no glob: {}", error.kind());
            entry.problems.error(
                &pattern.key,
                pattern.span,
                message,
                "`*` stands for one segment, `**` for any number",
            );
            None
        }
    }
}

fn extract_from(entry: &Table<'_>) -> Option<ExtractFrom> {
    let words = ["authorization", "query", "header", "body"].map(|word| (word, word));
    let from = entry.word("from", &words);
    if !entry.has("from") {
        entry.missing("from", "write \"authorization\", \"query\", \"header\" or \"body\"");
    }
    let (param, header, regex) = (entry.string("param"), entry.string("header"), entry.string("regex"));
    let needed = |key: &str, found: Option<At<String>>| {
        if found.is_none() && !entry.has(key) {
            entry.missing(key, "the place is named by this key");
        }
        found
    };
    let found = match from.map(|at| at.value) {
        None => None,
        Some("authorization") => Some(ExtractFrom::Authorization),
        Some("query") => needed("param", param).map(|at| ExtractFrom::Query(at.value)),
        Some("header") => {
            needed("header", header).map(|at| ExtractFrom::Header(at.value.to_ascii_lowercase()))
        }
        Some(_) => needed("regex", regex).and_then(|at| body(entry, &at)),
    };
    entry.finish();
    found
}

fn body(entry: &Table<'_>, at: &At<String>) -> Option<ExtractFrom> {
    let built = regex::bytes::RegexBuilder::new(&at.value).size_limit(REGEX_SIZE).build();
    match built {
        Ok(regex) if regex.captures_len() >= 2 => Some(ExtractFrom::Body(regex)),
        Ok(_) => {
            let help = "put the account's part in parentheses, such as \"client_id=([^&]+)\"";
            entry.problems.error(&at.key, at.span.clone(), "the pattern has no capture group", help);
            None
        }
        Err(error) => {
            let message = format!("the pattern is no regular expression: {error}");
            entry.problems.error(
                &at.key,
                at.span.clone(),
                message,
                "see https://docs.rs/regex for the syntax",
            );
            None
        }
    }
}
