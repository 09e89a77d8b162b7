//! What a reload cannot change: sockets, the management API's address and token, threads, sizes that are fixed at
//! the start, and the form of the log.
//!
//! An operator who changes one of these has to be told, or would believe that it is in force.

use plan::Plan;

/// Keys whose values in `new` differ from those that the process was started with, in the file's order.
pub(crate) fn required(started: &Plan, new: &Plan) -> Vec<String> {
    let mut keys = Vec::new();
    let mut differs = |key: &str, is_different: bool| {
        if is_different {
            keys.push(key.to_owned());
        }
    };
    let old = &started.server;
    let now = &new.server;
    differs("server.threads", old.threads != now.threads);
    differs("server.log_format", old.log_format != now.log_format);
    differs("server.log_timestamps", old.log_timestamps != now.log_timestamps);
    differs("server.log_identifiers", old.log_identifiers != now.log_identifiers);
    differs("server.state_dir", old.state_dir != now.state_dir);
    differs("mapping.cache_max_entries", started.mapping.cache_max_entries != new.mapping.cache_max_entries);
    differs(
        "limits.handshakes_per_core",
        started.limits.handshakes_per_core != new.limits.handshakes_per_core,
    );
    differs("cluster.node", started.node != new.node);
    match (&started.admin, &new.admin) {
        (Some(old), Some(now)) => {
            differs("admin.bind", old.bind != now.bind);
            differs("admin.bearer_token", old.token.expose() != now.token.expose());
        }
        (None, None) => {}
        (Some(_), None) | (None, Some(_)) => differs("admin", true),
    }
    keys.extend(listeners(started, new));
    keys
}

/// Listeners that came, went, or moved. (What else they ask for is in force for the next connection.)
fn listeners(started: &Plan, new: &Plan) -> Vec<String> {
    let find = |plan: &Plan, name: &str| plan.listeners.iter().position(|listener| *listener.name == *name);
    let mut keys = Vec::new();
    for old in &started.listeners {
        match find(new, &old.name).map(|index| &new.listeners[index]) {
            None => keys.push(format!("listener.{}", old.name)),
            Some(now) if now.bind != old.bind => keys.push(format!("listener.{}.bind", old.name)),
            Some(now) if now.protocol != old.protocol => keys.push(format!("listener.{}.protocol", old.name)),
            Some(_) => {}
        }
    }
    let came = new.listeners.iter().filter(|now| find(started, &now.name).is_none());
    keys.extend(came.map(|now| format!("listener.{}", now.name)));
    keys
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const TEXT: &str = r#"
[server]
threads = 2
[tls.protocols]
min_version = "1.2"
[listener.imap]
protocol = "imap"
bind = ["127.0.0.1:10143"]
tls = "implicit"
[listener.pop3]
protocol = "pop3"
bind = ["127.0.0.1:10110"]
tls = "implicit"
[destination.old]
host = "old.example.org"
protocol.imap = { port = 993, tls = "implicit" }
protocol.pop3 = { port = 995, tls = "implicit" }
[routing]
default_destination = "old"
[mapping]
source = "file"
cache_max_entries = 10
[mapping.file]
path = "mappings"
[admin]
bind = "127.0.0.1:9443"
bearer_token = "0123456789abcdef0123456789abcdef"
[limits]
handshakes_per_core = 4
"#;

    fn plan(text: &str) -> Plan {
        config::parse(Path::new("pointsman.toml"), text.to_owned()).expect("a valid file").plan
    }

    #[test]
    fn each_key_is_named() {
        for (from, to, keys) in [
            ("threads = 2", "threads = 2", &[][..]),
            ("threads = 2", "threads = 3", &["server.threads"]),
            ("threads = 2", "threads = 2\nlog_format = \"json\"", &["server.log_format"]),
            ("threads = 2", "threads = 2\nlog_timestamps = false", &["server.log_timestamps"]),
            ("threads = 2", "threads = 2\nlog_identifiers = \"hash\"", &["server.log_identifiers"]),
            ("threads = 2", "threads = 2\nstate_dir = \"/s\"", &["server.state_dir"]),
            ("threads = 2", "threads = 2\nlog_level = \"debug\"", &[]),
            ("entries = 10", "entries = 11", &["mapping.cache_max_entries"]),
            ("per_core = 4", "per_core = 5", &["limits.handshakes_per_core"]),
            ("[admin]", "[cluster]\nnode = \"one\"\n[admin]", &["cluster.node"]),
            (":9443", ":9444", &["admin.bind"]),
            ("= \"0123", "= \"3210", &["admin.bearer_token"]),
            ("[admin]", "[admin]\nlockout_threshold = 9", &[]),
            (":10143", ":10144", &["listener.imap.bind"]),
            ("[listener.imap]", "[listener.imap]\nmax_connections = 5", &[]),
            ("[listener.imap]", "[listener.mail]", &["listener.imap", "listener.mail"]),
            ("old.example.org", "older.example.org", &[]),
        ] {
            assert!(TEXT.contains(from), "{from}");
            assert_eq!(required(&plan(TEXT), &plan(&TEXT.replace(from, to))), keys, "{to}");
        }
    }
}
