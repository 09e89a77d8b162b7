//! `[server]` and `[routing]`.

use std::ops::Range;
use std::path::Path;

use super::log_level;
use crate::read::{Located, Table};
use plan::{LogFormat, LogIdentifiers, Routing, Server};

/// `[server]`, which may be missing; and where its `hostname` stands.
pub(super) fn read(root: &Table<'_>, folder: &Path) -> (Server, Range<usize>) {
    let mut server = Server::default();
    let Some(table) = root.table("server") else { return (server, 0..0) };
    let count =
        |key, default, max| u32::try_from(table.integer(key, u64::from(default), 0..=max)).unwrap_or(default);
    server.threads = usize::try_from(table.integer("threads", 0, 0..=1024)).unwrap_or(0);
    server.hostname = table.string("hostname").and_then(|at| hostname(&table, at));
    server.shutdown_grace = table.duration("shutdown_grace", server.shutdown_grace);
    server.bridge_idle = table.limit("bridge_idle", server.bridge_idle);
    server.backend_timeout = table.limit("backend_timeout", server.backend_timeout);
    server.backend_auth_timeout = table.limit("backend_auth_timeout", server.backend_auth_timeout);
    server.backend_connect_retries = count("backend_connect_retries", server.backend_connect_retries, 100);
    server.host_down_threshold = count("host_down_threshold", server.host_down_threshold, 1_000_000);
    server.host_down_min_clients = count("host_down_min_clients", server.host_down_min_clients, 64);
    server.host_down_cooldown = table.duration("host_down_cooldown", server.host_down_cooldown);
    if table.has("dns_cache_ttl") {
        // Validated, so that the file stays one that newer programs take.
        table.duration("dns_cache_ttl", std::time::Duration::ZERO);
        table.unused("dns_cache_ttl", "host names are resolved at each connection, and no result is kept");
    }
    server.proxy_ttl = u8::try_from(table.integer("proxy_ttl", 7, 1..=255)).unwrap_or(7);
    if let Some(level) = table.string("log_level").and_then(|at| log_level::check(&table, at)) {
        server.log_level = level;
    }
    let formats = [("text", LogFormat::Text), ("json", LogFormat::Json)];
    server.log_format = table.word("log_format", &formats).map_or(LogFormat::Text, |at| at.value);
    server.log_timestamps = table.optional_boolean("log_timestamps");
    let identifiers = [("full", LogIdentifiers::Full), ("hash", LogIdentifiers::Hash)];
    server.log_identifiers =
        table.word("log_identifiers", &identifiers).map_or(LogIdentifiers::Full, |at| at.value);
    if let Some(state_dir) = table.string("state_dir") {
        server.state_dir = folder.join(state_dir.value);
        server.state_dir_is_set = true;
    }
    table.finish();
    (server, table.place("hostname"))
}

/// `[routing]`, which must be there.
pub(super) fn routing(root: &Table<'_>, references: &mut Vec<Located<String>>) -> (Routing, Range<usize>) {
    // Stands where one is missing, so that the rest is judged all the same; the report keeps it from being run.
    let mut routing =
        Routing { default: "".into(), passthrough: None, master_user_separators: vec!["%".to_owned()] };
    let Some(table) = root.table("routing") else {
        if !root.has("routing") {
            root.missing("routing", "add [routing] with default_destination = \"NAME\": the server that holds every account not in the mapping");
        }
        return (routing, 0..0);
    };
    let default = table.string("default_destination");
    if !table.has("default_destination") {
        table.missing(
            "default_destination",
            "name the source: the server that holds every account not in the mapping",
        );
    }
    let passthrough = table.string("smtp_passthrough_destination");
    let separators = table.strings("master_user_separators");
    for at in separators.iter().flatten().filter(|at| at.value.is_empty()) {
        table.problems.error(
            &at.key,
            at.span.clone(),
            "found \"\", expected a separator",
            "write one such as \"%\" or \"*\", or remove it",
        );
    }
    references.extend(default.iter().cloned());
    references.extend(passthrough.iter().cloned());
    table.finish();
    if let Some(default) = default {
        routing.default = default.value.into();
    }
    routing.passthrough = passthrough.map(|at| at.value.into());
    if let Some(list) = separators {
        routing.master_user_separators =
            list.into_iter().map(|at| at.value).filter(|separator| !separator.is_empty()).collect();
    }
    (routing, table.span)
}

/// A host name that can stand in a greeting.
fn hostname(table: &Table<'_>, at: Located<String>) -> Option<String> {
    let is_fit = !at.value.is_empty()
        && at.value.len() <= 255
        && at.value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._[]:".contains(&byte));
    if is_fit {
        return Some(at.value);
    }
    let message = format!("found \"{}\", expected a host name", at.value.escape_debug());
    table.problems.error(
        &at.key,
        at.span,
        message,
        "write the public host name, such as \"mail.example.org\"",
    );
    None
}
