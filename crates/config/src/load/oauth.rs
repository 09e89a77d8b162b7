//! `[oauth]`.

use std::path::Path;
use std::time::Duration;

use crate::read::{Located, Table};
use plan::{OAuth, Resolve, ResolveWith, Routing};

/// The claims that are tried after the configured one.
const CLAIMS: [&str; 5] = ["email", "preferred_username", "upn", "unique_name", "sub"];

/// `[oauth]`, which may be missing.
pub(super) fn read(
    root: &Table<'_>,
    folder: &Path,
    routing: &Routing,
    references: &mut Vec<Located<String>>,
) -> OAuth {
    let table = root.table("oauth");
    let first = table.as_ref().and_then(|table| table.string("jwt_username_claim"));
    let first = first.map_or_else(|| "email".to_owned(), |at| at.value);
    let others = CLAIMS.iter().filter(|claim| **claim != first).map(ToString::to_string);
    let claims = std::iter::once(first.clone()).chain(others).collect();
    let Some(table) = table else { return OAuth { claims, resolve: None } };
    let resolve = table.table("resolve").and_then(|entry| resolve(&entry, folder, routing, references));
    table.finish();
    OAuth { claims, resolve }
}

fn resolve(
    entry: &Table<'_>,
    folder: &Path,
    routing: &Routing,
    references: &mut Vec<Located<String>>,
) -> Option<Resolve> {
    let with = ways(entry);
    let destination = entry.string("destination");
    references.extend(destination.clone());
    let url = entry.string("url").and_then(|at| endpoint(entry, at));
    let client_id = entry.string("client_id").map(|at| at.value);
    let client_secret = entry.secret("client_secret", folder).map(|at| at.value);
    let ttl = entry.duration("ttl", Duration::from_secs(300));
    let negative_ttl = entry.duration("negative_ttl", Duration::from_secs(30));
    let timeout = entry.limit("timeout", Duration::from_secs(3));
    entry.finish();
    let asks_url = with.iter().any(|way| *way != ResolveWith::Jmap);
    if asks_url && url.is_none() && !entry.has("url") {
        entry.missing("url", "introspection and userinfo need the endpoint's URL");
    }
    let destination = destination.map_or_else(|| routing.default.clone(), |at| at.value.into());
    let resolve = Resolve { with, destination, url, client_id, client_secret, ttl, negative_ttl, timeout };
    (!resolve.with.is_empty()).then_some(resolve)
}

/// The URL of an HTTP endpoint. It may hold a password: it is never quoted.
fn endpoint(entry: &Table<'_>, at: Located<String>) -> Option<String> {
    if at.value.starts_with("https://") || at.value.starts_with("http://") {
        return Some(at.value);
    }
    let message = "found another URL, expected one that begins with https:// or http://";
    entry.problems.error(&at.key, at.span, message, "write the endpoint's whole URL");
    None
}

fn ways(entry: &Table<'_>) -> Vec<ResolveWith> {
    let known = [
        ("jmap", ResolveWith::Jmap),
        ("introspection", ResolveWith::Introspection),
        ("userinfo", ResolveWith::Userinfo),
    ];
    let parse = |at: Located<String>| {
        let found = known.iter().find(|(word, _)| *word == at.value).map(|(_, way)| *way);
        if found.is_none() {
            let message = format!(
                "found \"{}\", expected \"jmap\", \"introspection\" or \"userinfo\"",
                at.value.escape_debug()
            );
            entry.problems.error(
                &at.key,
                at.span,
                message,
                "list the methods in the order in which they are tried",
            );
        }
        found
    };
    entry.strings("with").unwrap_or_default().into_iter().filter_map(parse).collect()
}
