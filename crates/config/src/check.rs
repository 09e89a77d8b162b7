//! The rules across tables: names that must be declared, legs that must exist, credentials that must not be sent in
//! the clear, and loops.

mod certificates;
mod legs;
mod overlap;
mod routes;

use std::net::SocketAddr;

use types::protocol::Protocol;

use self::overlap::overlap;
use crate::diagnostic::Problems;
use crate::draft::Draft;
use crate::suggest::closest;
use plan::{HttpTarget, TlsMode};

/// Applies every rule.
pub(crate) fn all(draft: &Draft, problems: &Problems) {
    references(draft, problems);
    listeners(draft, problems);
    same_address(draft, problems);
    passthrough(draft, problems);
    separators(draft, problems);
    legs::all(draft, problems);
    certificates::all(draft, problems);
    routes::all(draft, problems);
}

/// Reports names of destinations that are not declared.
fn references(draft: &Draft, problems: &Problems) {
    let declared = || draft.declared.iter().map(String::as_str);
    for at in &draft.references {
        if draft.declared.contains(&at.value) {
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
        let message = format!("found \"{}\", expected a declared destination", at.value.escape_debug());
        problems.error(&at.key, at.span.clone(), message, help);
    }
}

fn listeners(draft: &Draft, problems: &Problems) {
    for (listener, places) in draft.plan.listeners.iter().zip(&draft.listeners) {
        let key = |name: &str| format!("{}.{name}", places.path);
        let protocol = listener.protocol;
        if !protocol.carries_credentials() && listener.tls == TlsMode::StartTls {
            let message = format!(
                "found \"starttls\" on a listener for \"{protocol}\", expected \"plain\" or \"implicit\""
            );
            let help = "write \"plain\": STARTTLS passes through, between client and backend";
            problems.error(&key("tls"), places.tls.clone(), message, help);
        }
        if protocol == Protocol::Http && listener.tls == TlsMode::StartTls {
            let message = "found \"starttls\", which HTTP does not have";
            problems.error(&key("tls"), places.tls.clone(), message, "write \"implicit\" for https");
        }
        let default = draft.plan.destinations.get(&draft.plan.routing.default);
        if may_reach_default(draft, protocol)
            && default.is_some_and(|default| default.leg(protocol).is_none())
        {
            let name = &draft.plan.routing.default;
            let message = format!("the default destination \"{name}\" has no leg for \"{protocol}\"");
            let help = format!("add [destination.{name}.protocol.{protocol}], or remove this listener");
            problems.error(&key("protocol"), places.protocol.clone(), message, help);
        }
    }
}

/// Whether a session may end up at the default destination. Mail that passes through never does, nor do
/// requests when every route is pinned.
fn may_reach_default(draft: &Draft, protocol: Protocol) -> bool {
    let routes = &draft.plan.http.routes;
    let is_pinned = |target: &HttpTarget| matches!(target, HttpTarget::Destination(_));
    match protocol {
        Protocol::Http => routes.is_empty() || !routes.iter().all(|route| is_pinned(&route.target)),
        _ => protocol.carries_credentials(),
    }
}

/// Reports listeners that share an address. "0.0.0.0:993" takes that port on every IPv4 address.
fn same_address(draft: &Draft, problems: &Problems) {
    let mut seen: Vec<(SocketAddr, &str)> = Vec::new();
    let listeners = draft.listeners.iter().map(|places| (&*places.path, &places.bind));
    for (path, bind) in listeners.chain([("admin", &draft.admin_bind)]) {
        for at in bind {
            if let Some((_, other)) = seen.iter().find(|(address, _)| overlap(*address, at.value)) {
                let message = format!("{} is already used by [{other}]", at.value);
                problems.error(&at.key, at.span.clone(), message, "give each listener its own addresses");
            }
            seen.push((at.value, path));
        }
    }
}

/// SMTP and LMTP listeners lead to one destination, which must have their legs.
fn passthrough(draft: &Draft, problems: &Problems) {
    let key = "routing.smtp_passthrough_destination";
    let at = draft.references.iter().find(|at| at.key == key);
    for (listener, places) in draft.plan.listeners.iter().zip(&draft.listeners) {
        let protocol = listener.protocol;
        if protocol.carries_credentials() {
            continue;
        }
        let Some(at) = at else {
            let message = format!("the key is missing, and [{}] needs it", places.path);
            let help = "name the destination that takes mail, usually the new server";
            problems.error(key, draft.routing.clone(), message, help);
            return;
        };
        let destination = draft.plan.destinations.get(&*at.value);
        if destination.is_some_and(|destination| destination.leg(protocol).is_none()) {
            let name = at.value.escape_debug();
            let message = format!("\"{name}\" has no leg for \"{protocol}\", and [{}] needs it", places.path);
            let help = format!("add [destination.{name}.protocol.{protocol}]");
            problems.error(key, at.span.clone(), message, help);
        }
    }
}

/// Reports a domain separator that is also a master-user separator: a login name would have two readings.
fn separators(draft: &Draft, problems: &Problems) {
    for places in &draft.destinations {
        let Some(span) = &places.login_domain_separator else { continue };
        let destination = draft.plan.destinations.get(&places.name);
        let Some(separator) = destination.and_then(|found| found.login_domain_separator.as_deref()) else {
            continue;
        };
        let masters = &draft.plan.routing.master_user_separators;
        let Some(master) =
            masters.iter().find(|&master| separator.contains(master) || master.contains(separator))
        else {
            continue;
        };
        let key = format!("{}.login_domain_separator", places.path);
        let message = format!(
            "found \"{}\", and routing.master_user_separators has \"{}\": a login name would have two readings",
            separator.escape_debug(),
            master.escape_debug()
        );
        let help = "set routing.master_user_separators to others, such as [\"*\"], or to [] if there is no master user";
        problems.error(&key, span.clone(), message, help);
    }
}
