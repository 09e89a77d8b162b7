//! The rules that span tables: names that must be declared, legs that must be there, secrets that must not
//! cross a wire in the clear, and a proxy that must not talk to itself.

use std::net::{IpAddr, SocketAddr};

use wire::protocol::Protocol;

use crate::built;
use crate::diagnostic::Problems;
use crate::load::Draft;
use crate::plan::{Destination, Listener, TlsMode, Verify};
use crate::read::closest;

/// Applies every rule.
pub(crate) fn all(draft: &Draft, problems: &Problems) {
    references(draft, problems);
    listeners(draft, problems);
    same_address(draft, problems);
    passthrough(draft, problems);
    destinations(draft, problems);
}

/// Every name of a destination is declared.
fn references(draft: &Draft, problems: &Problems) {
    let declared = || draft.plan.destinations.keys().map(|name| &**name);
    for at in &draft.references {
        if draft.plan.destinations.contains_key(&*at.value) {
            continue;
        }
        let names: Vec<_> = declared().collect();
        let help = closest(&at.value, declared()).map_or_else(
            || {
                format!(
                    "declare [destination.{}], or name one of: {}",
                    at.value.escape_debug(),
                    names.join(", ")
                )
            },
            |name| format!("did you mean \"{name}\"?"),
        );
        let message = format!("found \"{}\", which is no declared destination", at.value.escape_debug());
        problems.error(&at.key, at.span.clone(), message, help);
    }
}

fn listeners(draft: &Draft, problems: &Problems) {
    for (listener, places) in draft.plan.listeners.iter().zip(&draft.listeners) {
        let key = |name: &str| format!("{}.{name}", places.path);
        let protocol = listener.protocol;
        if !built::PROTOCOLS.contains(&protocol) {
            let message = format!("listeners for \"{protocol}\" are not built yet");
            problems.error(
                &key("protocol"),
                places.protocol.clone(),
                message,
                "remove this listener until they are",
            );
        }
        if !protocol.carries_credentials() && listener.tls == TlsMode::StartTls {
            let message = format!(
                "found \"starttls\" on a listener for \"{protocol}\", expected \"plain\" or \"implicit\""
            );
            let help = "write \"plain\": STARTTLS passes through, between client and backend";
            problems.error(&key("tls"), places.tls.clone(), message, help);
        }
        let default = draft.plan.destinations.get(&draft.plan.routing.default);
        let lacks = protocol.carries_credentials()
            && protocol != Protocol::Http
            && default.is_some_and(|default| default.leg(protocol).is_none());
        if lacks {
            let name = &draft.plan.routing.default;
            let message = format!("the default destination \"{name}\" has no leg for \"{protocol}\"");
            let help = format!("add [destination.{name}.protocol.{protocol}], or remove this listener");
            problems.error(&key("protocol"), places.protocol.clone(), message, help);
        }
    }
}

/// No two listeners on one address. "0.0.0.0:993" takes that port on every IPv4 address.
fn same_address(draft: &Draft, problems: &Problems) {
    let mut seen: Vec<(SocketAddr, &str)> = Vec::new();
    for places in &draft.listeners {
        for at in &places.bind {
            if let Some((_, other)) = seen.iter().find(|(address, _)| overlap(*address, at.value)) {
                let message = format!("{} is taken by [{other}]", at.value);
                problems.error(&at.key, at.span.clone(), message, "give each listener addresses of its own");
            }
            seen.push((at.value, &places.path));
        }
    }
}

fn overlap(a: SocketAddr, b: SocketAddr) -> bool {
    let any = |ip: IpAddr| ip.is_unspecified();
    a.port() == b.port()
        && a.port() != 0
        && a.is_ipv4() == b.is_ipv4()
        && (a.ip() == b.ip() || any(a.ip()) || any(b.ip()))
}

/// SMTP and LMTP listeners lead to one destination, which must have their legs.
fn passthrough(draft: &Draft, problems: &Problems) {
    for (listener, places) in draft.plan.listeners.iter().zip(&draft.listeners) {
        if listener.protocol.carries_credentials() {
            continue;
        }
        let key = "routing.smtp_passthrough_destination";
        let protocol = listener.protocol;
        let Some(name) = &draft.plan.routing.passthrough else {
            let message = format!("the key is missing, and [{}] needs it", places.path);
            problems.error(
                key,
                draft.routing.clone(),
                message,
                "name the destination that takes mail, usually the new server",
            );
            continue;
        };
        if draft.plan.destinations.get(name).is_some_and(|destination| destination.leg(protocol).is_none()) {
            let message = format!("\"{name}\" has no leg for \"{protocol}\", and [{}] needs it", places.path);
            let help = format!("add [destination.{name}.protocol.{protocol}]");
            problems.error(key, draft.routing.clone(), message, help);
        }
    }
}

fn destinations(draft: &Draft, problems: &Problems) {
    for places in &draft.destinations {
        let Some(destination) = draft.plan.destinations.get(&places.name) else { continue };
        plaintext(destination, places, problems);
        server_name(destination, places, problems);
        loops(destination, places, &draft.plan.listeners, problems);
    }
}

/// Credentials do not cross a leg in the clear unless told to.
fn plaintext(destination: &Destination, places: &crate::load::DestinationPlaces, problems: &Problems) {
    for (protocol, span) in &places.legs {
        let is_plain = destination.leg(*protocol).is_some_and(|leg| leg.tls == TlsMode::Plain);
        if is_plain && protocol.carries_credentials() && !destination.allow_plaintext_auth {
            let key = format!("{}.protocol.{protocol}.tls", places.path);
            let message = "found \"plain\": passwords would cross the network in the clear";
            let help = "use \"implicit\" or \"starttls\"; on a network you trust, set allow_plaintext_auth = true on the destination";
            problems.error(&key, span.clone(), message, help);
        }
    }
}

/// A certificate cannot be verified for an address without a name to look for.
fn server_name(destination: &Destination, places: &crate::load::DestinationPlaces, problems: &Problems) {
    let is_verified = !matches!(destination.verify, Verify::Pins(_) | Verify::Nothing);
    let uses_tls = destination.legs.iter().flatten().any(|leg| leg.tls != TlsMode::Plain);
    let is_ip = destination.hosts.iter().any(|host| host.parse::<IpAddr>().is_ok());
    if is_verified && uses_tls && is_ip && destination.tls_server_name.is_none() {
        let key = format!("{}.tls_server_name", places.path);
        let message = "the key is missing: host is an IP address, and a leg uses TLS";
        let help = "write the name in the server's certificate, or pin it with tls_pinned_cert_sha256";
        problems.error(&key, places.host.clone(), message, help);
    }
}

/// A leg that leads to one of our own listeners is a loop.
fn loops(
    destination: &Destination,
    places: &crate::load::DestinationPlaces,
    listeners: &[std::sync::Arc<Listener>],
    problems: &Problems,
) {
    for (protocol, span) in &places.legs {
        let Some(leg) = destination.leg(*protocol) else { continue };
        let is_ours = |ip: &IpAddr| {
            let end = SocketAddr::new(*ip, leg.port);
            listeners.iter().flat_map(|listener| &listener.bind).any(|bind| {
                *bind == end || (bind.ip().is_unspecified() && ip.is_loopback() && overlap(*bind, end))
            })
        };
        let found = destination.hosts.iter().filter_map(|host| host.parse().ok()).find(is_ours);
        if let Some(ip) = found {
            let key = format!("{}.protocol.{protocol}.port", places.path);
            let message =
                format!("{} is one of this proxy's own listeners: a loop", SocketAddr::new(ip, leg.port));
            problems.error(&key, span.clone(), message, "give the address and port of the server itself");
        }
    }
}
