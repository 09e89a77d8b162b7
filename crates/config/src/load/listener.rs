//! `[listener.NAME]`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use types::protocol::Protocol;

use crate::draft::ListenerPlaces;
use crate::read::{Located, Table};
use plan::{Listener, ProxyIn, TlsMode};
use types::network::Network;

pub(crate) const TLS_MODES: [(&str, TlsMode); 3] =
    [("implicit", TlsMode::Implicit), ("starttls", TlsMode::StartTls), ("plain", TlsMode::Plain)];

/// Reads every listener.
pub(super) fn read(root: &Table<'_>) -> (Vec<Arc<Listener>>, Vec<ListenerPlaces>) {
    let Some(table) = root.table("listener") else {
        if !root.has("listener") {
            root.missing("listener", "add at least one [listener.NAME] with protocol, bind and tls");
        }
        return (Vec::new(), Vec::new());
    };
    let mut all = (Vec::new(), Vec::new());
    let named = table.named();
    if named.is_empty() {
        let help = "add at least one [listener.NAME] with protocol, bind and tls";
        table.problems.error(&table.path, table.span.clone(), "the table has no listener", help);
    }
    for (name, entry) in named {
        if let Some((listener, places)) = one(&name, &entry) {
            all.0.push(Arc::new(listener));
            all.1.push(places);
        }
        entry.finish();
    }
    all
}

fn one(name: &str, entry: &Table<'_>) -> Option<(Listener, ListenerPlaces)> {
    let protocols = Protocol::ALL.map(|protocol| (protocol.name(), protocol));
    let protocol = required(
        entry,
        "protocol",
        entry.word("protocol", &protocols),
        "name what is spoken, such as \"imap\"",
    );
    let tls = required(
        entry,
        "tls",
        entry.word("tls", &TLS_MODES),
        "write \"implicit\", \"starttls\" or \"plain\"",
    );
    let bind = addresses(entry, "bind");
    let modes = [("off", ProxyIn::Off), ("optional", ProxyIn::Optional), ("required", ProxyIn::Required)];
    let proxy = entry.word("proxy_protocol", &modes);
    let proxy_trusted = networks(entry, "proxy_trusted");
    if let Some(proxy) = &proxy
        && proxy_trusted.is_empty()
    {
        check_balancers(entry, proxy);
    }
    let count = |key, default, min| {
        usize::try_from(entry.integer(key, default, min..=10_000_000)).unwrap_or(usize::MAX)
    };
    let max_connections = count("max_connections", 8192, 1);
    let max_connections_per_ip = count("max_connections_per_ip", 256, 0);
    let max_connections_per_front = count("max_connections_per_front", 4096, 0);
    let preauth_timeout = entry.limit("preauth_timeout", Duration::from_secs(30));
    let max_auth_attempts = u32::try_from(entry.integer("max_auth_attempts", 3, 1..=1000)).unwrap_or(3);
    let trusted_fronts = networks(entry, "trusted_fronts");
    let forwarded = entry.word("forwarded", &[("off", false), ("trust", true)]);
    let protocol = protocol?;
    let tls = tls?;
    let listener = Listener {
        name: name.into(),
        protocol: protocol.value,
        bind: bind.iter().map(|at| at.value).collect(),
        tls: tls.value,
        proxy_protocol: proxy.map_or(ProxyIn::Off, |at| at.value),
        proxy_trusted,
        max_connections,
        max_connections_per_ip,
        max_connections_per_front,
        preauth_timeout,
        max_auth_attempts,
        trusted_fronts,
        trusts_forwarded: forwarded.is_some_and(|at| at.value),
    };
    let places = ListenerPlaces { path: entry.path.clone(), protocol: protocol.span, tls: tls.span, bind };
    Some((listener, places))
}

/// Refuses a listener that reads PROXY headers and names no peer that may send one.
fn check_balancers(entry: &Table<'_>, proxy: &Located<ProxyIn>) {
    if proxy.value == ProxyIn::Off || entry.has_items("proxy_trusted") {
        return;
    }
    entry.problems.error(
        &proxy.key,
        proxy.span.clone(),
        "proxy_protocol is on, and proxy_trusted is empty",
        "add proxy_trusted = [\"192.0.2.0/24\"] with the networks of your load balancers",
    );
}

/// Reads socket addresses, of which there must be at least one.
pub(super) fn addresses(entry: &Table<'_>, key: &str) -> Vec<Located<SocketAddr>> {
    let help = "write addresses with ports, such as [\"0.0.0.0:993\", \"[::]:993\"]";
    let Some(texts) = entry.string_or_strings(key) else {
        if !entry.has(key) {
            entry.missing(key, help);
        }
        return Vec::new();
    };
    if texts.is_empty() {
        entry.missing(key, help);
    }
    let parse = |at: Located<String>| match at.value.parse() {
        Ok(value) => Some(Located { value, span: at.span, key: at.key }),
        Err(_) => {
            let message = format!("found \"{}\", expected an IP address and a port", at.value.escape_debug());
            entry.problems.error(&at.key, at.span, message, help);
            None
        }
    };
    texts.into_iter().filter_map(parse).collect()
}

/// Reads networks in CIDR notation; an address is a network of one address.
pub(super) fn networks(entry: &Table<'_>, key: &str) -> Vec<Network> {
    let parse = |at: Located<String>| {
        let found = at.value.parse();
        if found.is_err() {
            let message = format!("found \"{}\", expected a network", at.value.escape_debug());
            entry.problems.error(
                &at.key,
                at.span,
                message,
                "write CIDR, such as \"192.0.2.0/24\" or \"2001:db8::/32\"",
            );
        }
        found.ok()
    };
    entry.strings(key).unwrap_or_default().into_iter().filter_map(parse).collect()
}

fn required<T>(entry: &Table<'_>, key: &str, found: Option<Located<T>>, help: &str) -> Option<Located<T>> {
    if found.is_none() && !entry.has(key) {
        entry.missing(key, help);
    }
    found
}
