//! `[destination.NAME]`.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use types::identifier;
use types::protocol::Protocol;

use super::listener::TLS_MODES;
use crate::draft::DestinationPlaces;
use crate::exposure;
use crate::read::{Located, Table};
use crate::value;
use plan::{ClientCertificate, Destination, Forwarding, Leg, Name, TlsMode, Verify};
use tls::certificate;

type Legs = [Option<Leg>; Protocol::ALL.len()];
type LegPlaces = Vec<(Protocol, Range<usize>)>;

const FORWARDING: [(&str, Forwarding); 3] =
    [("proxy", Forwarding::Proxy), ("xclient", Forwarding::Xclient), ("none", Forwarding::None)];

/// The name of the default destination in a route's `fallback`.
const RESERVED: &str = "default";

/// Every destination, those that could not be read by name only.
#[derive(Default)]
pub(super) struct Read {
    pub(super) destinations: BTreeMap<Name, Arc<Destination>>,
    pub(super) places: Vec<DestinationPlaces>,
    pub(super) declared: Vec<String>,
}

/// `[destination.*]`, of which there must be one.
pub(super) fn read(root: &Table<'_>, folder: &Path) -> Read {
    let Some(table) = root.table("destination") else {
        if !root.has("destination") {
            root.missing(
                "destination",
                "add a [destination.NAME] with host and protocol legs for the source and for the new server",
            );
        }
        return Read::default();
    };
    let mut read = Read::default();
    for (name, entry) in table.named() {
        if name == RESERVED {
            let message = "found the name \"default\", which routes use for the default destination";
            entry.problems.error(&entry.path, entry.span.clone(), message, "give it another name");
        }
        if let Some((destination, places)) = one(&name, &entry, folder) {
            read.destinations.insert(Arc::clone(&destination.name), Arc::new(destination));
            read.places.push(places);
        }
        entry.finish();
        read.declared.push(name);
    }
    read
}

fn one(name: &str, entry: &Table<'_>, folder: &Path) -> Option<(Destination, DestinationPlaces)> {
    let hosts = entry.string_or_strings("host");
    if hosts.as_ref().is_none_or(Vec::is_empty) && (hosts.is_some() || !entry.has("host")) {
        entry.missing("host", "give the server's host name or IP address");
    }
    for at in hosts.iter().flatten() {
        check_host(entry, at);
    }
    let server_name = entry.string("tls_server_name");
    if let Some(at) = &server_name {
        check_host(entry, at);
    }
    let verify = verify(entry, folder);
    let client_certificate = client_certificate(entry, folder);
    let forwarding = forwarding(entry);
    let (legs, leg_places) = legs(entry, forwarding);
    let adds_forwarded = entry.boolean("forwarded", false);
    let allow_plaintext_auth = entry.boolean("allow_plaintext_auth", false);
    let hide_auth_errors = entry.boolean("hide_auth_errors", false);
    let separator = login_domain_separator(entry);
    let source_ips = source_ips(entry);
    let proxy_tlvs = entry.boolean("proxy_tlvs", true);
    let health_interval = health_interval(entry);
    let hosts = hosts?;
    let places = DestinationPlaces {
        name: name.into(),
        path: entry.path.clone(),
        header: entry.span.clone(),
        host: hosts.first()?.span.clone(),
        legs: leg_places,
        login_domain_separator: separator.as_ref().map(|at| at.span.clone()),
    };
    let destination = Destination {
        name: name.into(),
        hosts: hosts.into_iter().map(|at| at.value).collect(),
        tls_server_name: server_name.map(|at| at.value),
        verify,
        client_certificate: client_certificate.map(Arc::new),
        adds_forwarded,
        allow_plaintext_auth,
        hide_auth_errors,
        login_domain_separator: separator.map(|at| at.value),
        source_ips,
        proxy_tlvs,
        health_interval,
        legs,
    };
    Some((destination, places))
}

/// `login_domain_separator`: what can separate the parts of an identifier, and is not an `@` itself.
fn login_domain_separator(entry: &Table<'_>) -> Option<Located<String>> {
    let at = entry.string("login_domain_separator")?;
    if identifier::validate(&at.value).is_ok() && !at.value.contains('@') {
        return Some(at);
    }
    let message = format!("found \"{}\", expected a separator other than \"@\"", at.value.escape_debug());
    entry.problems.error(&at.key, at.span, message, "write one such as \"%\", or remove it");
    None
}

/// Reports a host that is neither a name nor an address.
fn check_host(entry: &Table<'_>, at: &Located<String>) {
    if ServerName::try_from(at.value.as_str()).is_ok() {
        return;
    }
    let has_port = at.value.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let help = if at.value.starts_with('[') {
        "write an IPv6 address without brackets"
    } else if has_port {
        "write it without the port: each leg has its own"
    } else {
        "write a host name such as \"mail.example.org\" (\"xn--…\" for a non-ASCII name), or an IP address"
    };
    let message = format!("found \"{}\", expected a host name or an IP address", at.value.escape_debug());
    entry.problems.error(&at.key, at.span.clone(), message, help);
}

/// `forwarding`, else what `proxy_protocol` says.
fn forwarding(entry: &Table<'_>) -> Forwarding {
    let proxy_protocol = entry.boolean("proxy_protocol", true);
    let Some(forwarding) = entry.word("forwarding", &FORWARDING) else {
        return if proxy_protocol { Forwarding::Proxy } else { Forwarding::None };
    };
    if proxy_protocol && entry.has("proxy_protocol") && forwarding.value != Forwarding::Proxy {
        let message = "proxy_protocol = true does nothing: forwarding is set and is not \"proxy\", so no PROXY header is sent";
        let help =
            "remove proxy_protocol, or write forwarding = \"proxy\" if the server requires a PROXY header";
        let key = entry.key("proxy_protocol");
        entry.problems.warning(&key, entry.place("proxy_protocol"), message, help);
    }
    forwarding.value
}

fn legs(entry: &Table<'_>, inherited: Forwarding) -> (Legs, LegPlaces) {
    let (mut legs, mut places): (Legs, LegPlaces) = Default::default();
    let Some(table) = entry.table("protocol") else {
        if !entry.has("protocol") {
            entry.missing("protocol", "add a leg such as protocol.imap = { port = 993, tls = \"implicit\" }");
        }
        return (legs, places);
    };
    for protocol in Protocol::ALL {
        let Some(leg) = table.table(protocol.name()) else { continue };
        let port = leg.integer("port", 0, 1..=65535);
        if !leg.has("port") {
            leg.missing("port", "give the TCP port");
        }
        let tls = leg.word("tls", &TLS_MODES);
        if !leg.has("tls") {
            leg.missing("tls", "write \"implicit\", \"starttls\" or \"plain\"");
        }
        let forwarding = leg.word("forwarding", &FORWARDING).map_or(inherited, |at| at.value);
        let http2 = protocol == Protocol::Http
            && leg.word("version", &[("1.1", false), ("2", true)]).is_some_and(|at| at.value);
        leg.finish();
        let place = tls.as_ref().map_or_else(|| leg.span.clone(), |at| at.span.clone());
        places.push((protocol, place));
        let tls = tls.map_or(TlsMode::Implicit, |at| at.value);
        legs[protocol.index()] = Some(Leg { port: u16::try_from(port).unwrap_or(0), tls, forwarding, http2 });
    }
    table.finish();
    (legs, places)
}

/// Reads how the certificate is verified. A pin is the strictest way, and overrides `tls_allow_invalid_certs`.
fn verify(entry: &Table<'_>, folder: &Path) -> Verify {
    let invalid = entry.boolean("tls_allow_invalid_certs", false);
    let pins: Vec<_> = entry.string_or_strings("tls_pinned_cert_sha256").unwrap_or_default();
    let ca = entry.string("tls_ca");
    if ca.is_some() && (invalid || !pins.is_empty()) {
        let message = "tls_ca is set, and so is tls_allow_invalid_certs or tls_pinned_cert_sha256";
        let help = "keep the strictest one that works, and remove the others";
        entry.problems.error(&entry.path, entry.span.clone(), message, help);
    }
    if invalid {
        let (message, help) = if pins.is_empty() {
            let help = "anyone on the network path can read every password: use tls_pinned_cert_sha256 or tls_ca instead";
            ("the server's certificate is not verified", help)
        } else {
            (
                "this does nothing: tls_pinned_cert_sha256 is set, and only that certificate is accepted",
                "remove it",
            )
        };
        entry.problems.warning(
            &entry.key("tls_allow_invalid_certs"),
            entry.place("tls_allow_invalid_certs"),
            message,
            help,
        );
    }
    if !pins.is_empty() {
        return Verify::Pins(pins.iter().filter_map(|at| pin(entry, at)).collect());
    }
    if invalid {
        return Verify::Nothing;
    }
    let Some(ca) = ca else { return Verify::Platform };
    match certificate::read_chain(&folder.join(&ca.value)) {
        Ok(roots) => Verify::Roots(roots),
        Err(why) => {
            entry.problems.error(
                &ca.key,
                ca.span,
                why,
                "give a PEM file with the roots that signed the server's certificate",
            );
            Verify::Platform
        }
    }
}

fn pin(entry: &Table<'_>, at: &Located<String>) -> Option<[u8; 32]> {
    let digits: String = at.value.chars().filter(|&c| c != ':').collect();
    let is_hex = digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !is_hex {
        let message = format!("found \"{}\", expected 64 hexadecimal digits", at.value.escape_debug());
        let help = "`openssl x509 -in cert.pem -noout -fingerprint -sha256` prints it";
        entry.problems.error(&at.key, at.span.clone(), message, help);
        return None;
    }
    let mut hash = [0; 32];
    for (byte, pair) in hash.iter_mut().zip(digits.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(hash)
}

fn client_certificate(entry: &Table<'_>, folder: &Path) -> Option<ClientCertificate> {
    let cert = entry.string("tls_client_cert");
    let key = entry.string("tls_client_key");
    let (cert, key) = match (cert, key) {
        (Some(cert), Some(key)) => (cert, key),
        (None, None) => return None,
        (Some(one), None) | (None, Some(one)) => {
            let message = "tls_client_cert and tls_client_key belong together, and one is missing";
            entry.problems.error(&one.key, one.span, message, "give both, or neither");
            return None;
        }
    };
    let cert_path = folder.join(&cert.value);
    let key_path = value::key_path(&key.value, folder);
    // The pair is validated like a listener's; the plan keeps it in the form that a connector needs.
    let read = certificate::read_pair(&cert_path, &key_path)
        .and_then(|_| Ok((certificate::read_chain(&cert_path)?, certificate::read_key(&key_path)?)));
    match read {
        Ok((chain, private)) => {
            exposure::warn(entry, &key_path, &key.key, key.span);
            Some(ClientCertificate { chain, key: private })
        }
        Err(why) => {
            entry.problems.error(&cert.key, cert.span, why, "check both files");
            None
        }
    }
}

fn source_ips(entry: &Table<'_>) -> Vec<IpAddr> {
    let parse = |at: Located<String>| {
        let found = at.value.parse();
        if found.is_err() {
            let message = format!("found \"{}\", expected an IP address", at.value.escape_debug());
            entry.problems.error(
                &at.key,
                at.span,
                message,
                "write a local address without a port, such as \"192.0.2.5\"",
            );
        }
        found.ok()
    };
    entry.strings("source_ips").unwrap_or_default().into_iter().filter_map(parse).collect()
}

fn health_interval(entry: &Table<'_>) -> Option<std::time::Duration> {
    // "off" is the default.
    if !entry.has("health_interval") || entry.is_text("health_interval", "off") {
        return None;
    }
    let message = "active health checks are not implemented yet: a server is checked only when connections of clients to it fail";
    let help = "no change is needed";
    entry.problems.warning(&entry.key("health_interval"), entry.place("health_interval"), message, help);
    Some(entry.limit("health_interval", std::time::Duration::from_secs(30)))
}
