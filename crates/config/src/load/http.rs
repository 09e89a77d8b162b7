//! `[http]` and its routes.

use std::time::Duration;

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use crate::read::{Located, Table};
use plan::{ExtractFrom, Http, HttpRoute, HttpTarget, Name};

/// Bound of a compiled body pattern: patterns are the operator's, but their mistakes should stay cheap.
const REGEX_SIZE: usize = 1024 * 1024;

/// Most that `body_extract_cap` may be: it is memory of every request whose body is searched.
const MAX_BODY: usize = 64 * 1024 * 1024;

/// Least and most that `max_head_size` may be: no browser's request fits into less.
const MIN_HEAD: usize = 1024;
const MAX_HEAD: usize = 1024 * 1024;

/// `[http]`, which may be missing.
pub(super) fn read(root: &Table<'_>, references: &mut Vec<Located<String>>) -> Http {
    let mut http = Http {
        body_extract_cap: 64 * 1024,
        max_head_size: 64 * 1024,
        relay_idle: Duration::from_secs(1800),
        keepalive_timeout: Duration::from_secs(60),
        max_keepalive_requests: 1000,
        routes: Vec::new(),
    };
    let Some(table) = root.table("http") else { return http };
    http.body_extract_cap = table.size("body_extract_cap", http.body_extract_cap, 0..=MAX_BODY);
    http.max_head_size = table.size("max_head_size", http.max_head_size, MIN_HEAD..=MAX_HEAD);
    http.relay_idle = table.limit("relay_idle", http.relay_idle);
    http.keepalive_timeout = table.duration("keepalive_timeout", http.keepalive_timeout);
    http.max_keepalive_requests = table.integer("max_keepalive_requests", 1000, 0..=1_000_000_000);
    // 0 = no limit, as in newer published files.
    if http.max_keepalive_requests == 0 {
        http.max_keepalive_requests = u64::MAX;
    }
    for entry in table.tables("route") {
        http.routes.extend(route(&entry, references));
        entry.finish();
    }
    table.finish();
    http
}

fn route(entry: &Table<'_>, references: &mut Vec<Located<String>>) -> Option<HttpRoute> {
    let pattern = entry.string("match");
    if pattern.is_none() && !entry.has("match") {
        entry.missing("match", "write a glob on the path, such as \"/admin/**\"");
    }
    let target = target(entry, references);
    let authenticates = entry.has("authenticates").then(|| entry.boolean("authenticates", false));
    if let (Some(true), Some(target)) = (authenticates, &target)
        && !matches!(target, HttpTarget::Extract { from: ExtractFrom::Authorization, .. })
    {
        let message = "found authenticates on a route that does not read the account from Authorization";
        let help = "remove it, or extract the account from \"authorization\"";
        entry.problems.error(&entry.key("authenticates"), entry.place("authenticates"), message, help);
    }
    let pattern = pattern?;
    let matcher = matcher(entry, &pattern);
    Some(HttpRoute { pattern: pattern.value, matcher: matcher?, target: target?, authenticates })
}

/// Either a destination, or a place to extract the account from.
fn target(entry: &Table<'_>, references: &mut Vec<Located<String>>) -> Option<HttpTarget> {
    let destination = entry.string("destination");
    let from = entry.table("extract").and_then(|extract| extract_from(&extract));
    let fallback = entry.string("fallback");
    references.extend(destination.clone());
    references.extend(fallback.clone().filter(|at| at.value != "default"));
    let found = match (entry.has("destination"), entry.has("extract")) {
        (true, false) => {
            if let Some(fallback) = fallback {
                let message = "a route with a destination cannot have a fallback";
                entry.problems.error(&fallback.key, fallback.span, message, "remove it");
            }
            return destination.map(|at| HttpTarget::Destination(at.value.into()));
        }
        (false, true) => {
            let fallback = fallback.filter(|at| at.value != "default").map(|at| Name::from(at.value));
            return from.map(|from| HttpTarget::Extract { from, fallback });
        }
        (true, true) => "both destination and extract",
        (false, false) => "neither destination nor extract",
    };
    let message = format!("found {found}, expected one of them");
    let help = "pin the path to a destination, or extract the account";
    entry.problems.error(&entry.path, entry.span.clone(), message, help);
    None
}

/// The pattern, and the same with a slash more and a slash less at its end.
fn matcher(entry: &Table<'_>, pattern: &Located<String>) -> Option<GlobSet> {
    let text = &*pattern.value;
    if !text.starts_with('/') {
        let message = format!("found \"{}\", expected a pattern that begins with /", text.escape_debug());
        entry.problems.error(&pattern.key, pattern.span.clone(), message, "begin it with /");
        return None;
    }
    let bare = text.trim_end_matches('/');
    // "/admin/**" matches "/admin/", and so "/admin".
    let above = bare.strip_suffix("/**").unwrap_or(bare);
    let build = || {
        let mut set = GlobSetBuilder::new();
        for glob in [bare, above, &format!("{bare}/")].into_iter().filter(|glob| !glob.is_empty()) {
            set.add(GlobBuilder::new(glob).literal_separator(true).build()?);
        }
        set.build()
    };
    match build() {
        Ok(set) => Some(set),
        Err(error) => {
            let message = format!("the pattern is not a valid glob: {}", error.kind());
            let help = "`*` stands for one segment, `**` for any number";
            entry.problems.error(&pattern.key, pattern.span.clone(), message, help);
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
    let param = entry.string("param");
    let header = entry.string("header");
    let regex = entry.string("regex");
    let needed = |key: &str, found: Option<Located<String>>| {
        if found.is_none() && !entry.has(key) {
            entry.missing(key, "this key names where the account is");
        }
        found
    };
    let found = match from.map(|at| at.value) {
        None => None,
        Some("authorization") => Some(ExtractFrom::Authorization),
        Some("query") => needed("param", param).map(|at| ExtractFrom::Query(at.value)),
        Some("header") => {
            needed("header", header).and_then(|at| header_name(entry, at)).map(ExtractFrom::Header)
        }
        Some(_) => needed("regex", regex).and_then(|at| body(entry, &at)),
    };
    entry.finish();
    found
}

/// A field name (RFC 9110, section 5.1), lower case.
fn header_name(entry: &Table<'_>, at: Located<String>) -> Option<String> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if !at.value.is_empty() && at.value.bytes().all(is_token) {
        return Some(at.value.to_ascii_lowercase());
    }
    let message = format!("found \"{}\", expected the name of a header", at.value.escape_debug());
    entry.problems.error(&at.key, at.span, message, "write a name such as \"X-Account\", without a colon");
    None
}

fn body(entry: &Table<'_>, at: &Located<String>) -> Option<ExtractFrom> {
    let built = regex::bytes::RegexBuilder::new(&at.value).size_limit(REGEX_SIZE).build();
    match built {
        Ok(regex) if regex.captures_len() >= 2 => Some(ExtractFrom::Body(regex)),
        Ok(_) => {
            let help = "put the account's part in parentheses, such as \"client_id=([^&]+)\"";
            entry.problems.error(&at.key, at.span.clone(), "the pattern has no capture group", help);
            None
        }
        Err(error) => {
            let message = format!("the pattern is not a valid regular expression: {error}");
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
