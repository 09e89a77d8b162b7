//! The rules for a destination's legs: one for each listener, no credential in the clear, a name to verify, and no loop.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use types::protocol::Protocol;

use super::overlap::overlap;
use crate::diagnostic::Problems;
use crate::draft::{DestinationPlaces, Draft};
use plan::{Destination, TlsMode, Verify};

/// The protocols that clients log in with, other than HTTP, whose routes may be pinned.
const MAIL: [Protocol; 4] = [Protocol::Imap, Protocol::Pop3, Protocol::ManageSieve, Protocol::Submission];

/// Applies the rules to every destination.
pub(super) fn all(draft: &Draft, problems: &Problems) {
    let listeners = draft.listeners.iter().flat_map(|places| &places.bind);
    let ours: Vec<SocketAddr> = listeners.chain(&draft.admin_bind).map(|at| canonical(at.value)).collect();
    for places in &draft.destinations {
        let Some(destination) = draft.plan.destinations.get(&places.name) else { continue };
        missing(draft, destination, places, problems);
        plaintext(destination, places, problems);
        no_starttls(destination, places, problems);
        server_name(destination, places, problems);
        loops(destination, places, &ours, problems);
    }
}

/// Reports the mail protocols of listeners for which a destination with mailboxes has no leg: an account that moves there
/// could no longer log in. The default destination has a rule of its own, at the listener.
fn missing(draft: &Draft, destination: &Destination, places: &DestinationPlaces, problems: &Problems) {
    // A destination for pass-through or for pinned routes only holds no accounts.
    if destination.name == draft.plan.routing.default
        || !MAIL.iter().any(|protocol| destination.leg(*protocol).is_some())
    {
        return;
    }
    for protocol in MAIL.iter().filter(|protocol| destination.leg(**protocol).is_none()) {
        let listeners = draft.plan.listeners.iter().zip(&draft.listeners);
        let Some((_, listener)) = listeners.into_iter().find(|(listener, _)| listener.protocol == *protocol)
        else {
            continue;
        };
        let name = &destination.name;
        let message = format!(
            "the destination has no leg for \"{protocol}\", and [{}] needs it: accounts on \"{name}\" could not log in there",
            listener.path
        );
        let help = format!("add [destination.{name}.protocol.{protocol}], or remove the listener");
        problems.error(&format!("{}.protocol", places.path), places.header.clone(), message, help);
    }
}

/// Reports legs that would send credentials in the clear without `allow_plaintext_auth`.
fn plaintext(destination: &Destination, places: &DestinationPlaces, problems: &Problems) {
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

/// HTTP has no STARTTLS.
fn no_starttls(destination: &Destination, places: &DestinationPlaces, problems: &Problems) {
    let http = places.legs.iter().find(|(protocol, _)| *protocol == Protocol::Http);
    if let Some((protocol, span)) = http
        && destination.leg(*protocol).is_some_and(|leg| leg.tls == TlsMode::StartTls)
    {
        let key = format!("{}.protocol.{protocol}.tls", places.path);
        let message = "found \"starttls\", which HTTP does not have";
        problems.error(&key, span.clone(), message, "write \"implicit\" for https");
    }
}

/// A certificate cannot be verified for an address without a name to look for.
fn server_name(destination: &Destination, places: &DestinationPlaces, problems: &Problems) {
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

/// A leg that leads to one of our own listeners, the management API's included, is a loop.
fn loops(destination: &Destination, places: &DestinationPlaces, ours: &[SocketAddr], problems: &Problems) {
    for (protocol, span) in &places.legs {
        let Some(leg) = destination.leg(*protocol) else { continue };
        let is_ours = |ip: &IpAddr| {
            let end = canonical(SocketAddr::new(*ip, leg.port));
            let is_loopback = end.ip().is_loopback();
            ours.iter().any(|bind| {
                *bind == end || (bind.ip().is_unspecified() && is_loopback && overlap(*bind, end))
            })
        };
        let found = destination.hosts.iter().flat_map(|host| addresses(host)).find(is_ours);
        if let Some(ip) = found {
            let key = format!("{}.protocol.{protocol}.port", places.path);
            let message =
                format!("{} is one of this proxy's own listeners: a loop", SocketAddr::new(ip, leg.port));
            problems.error(&key, span.clone(), message, "give the address and port of the server itself");
        }
    }
}

/// Returns the known addresses of a host. Other names are resolved, and checked again, when connecting.
fn addresses(host: &str) -> Vec<IpAddr> {
    if host.eq_ignore_ascii_case("localhost") {
        return vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    }
    host.parse().into_iter().collect()
}

/// An IPv4 address written as IPv6 (RFC 4291, section 2.5.5.2) leads to the same place.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}
