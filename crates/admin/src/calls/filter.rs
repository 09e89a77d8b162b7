//! Reads which sessions a call selects.

use api::parameters::{CLIENT, DESTINATION, IDENTIFIER, PROTOCOL};
use control::SessionFilter;
use types::network::Network;
use types::protocol::Protocol;

use super::destinations::undeclared;
use crate::failure::{CallResult, Failure};
use crate::parameters::Parameters;
use crate::shared::Shared;

/// Reads the sessions that the parameters select.
pub(super) fn session_filter(shared: &Shared, parameters: &Parameters) -> CallResult<SessionFilter> {
    let mut filter = SessionFilter::default();
    if let Some(identifier) = parameters.optional(IDENTIFIER) {
        filter.account = Some(account(shared, identifier)?.into());
    }
    if let Some(name) = parameters.optional(DESTINATION) {
        filter.destination = Some(destination(shared, name)?.into());
    }
    if let Some(text) = parameters.optional(CLIENT) {
        filter.client = Some(network(text)?);
    }
    if let Some(name) = parameters.optional(PROTOCOL) {
        filter.protocol = Some(protocol(name)?);
    }
    Ok(filter)
}

/// One account, or every account of a domain.
fn account(shared: &Shared, identifier: &str) -> CallResult<String> {
    match identifier.strip_prefix('*') {
        None => shared.account(identifier),
        Some(domain) => Ok(format!("*{}", of_domain(shared, domain)?)),
    }
}

fn of_domain(shared: &Shared, domain: &str) -> CallResult<String> {
    if domain.len() < 2 || !domain.starts_with('@') || domain[1..].contains(['@', '*']) {
        let detail = "identifier: a star stands for every account of a domain: *@example.org";
        return Err(Failure::bad_request(detail));
    }
    shared.normalized(domain)
}

/// A declared destination, or one that a reload has removed while sessions are still on it. For a misspelt one, "no
/// sessions" would be a misleading answer.
fn destination(shared: &Shared, name: &str) -> CallResult<String> {
    let active = shared.plan();
    let is_in_use = || !shared.registry().sessions_where(1, |info| *info.destination == *name).is_empty();
    if active.plan.destinations.contains_key(name) || is_in_use() {
        Ok(name.to_owned())
    } else {
        Err(undeclared(&active, name))
    }
}

fn network(text: &str) -> CallResult<Network> {
    text.parse().map_err(|_| {
        Failure::bad_request(format!(
            "client: found {text:?}, expected an address, or a network as 192.0.2.0/24"
        ))
    })
}

fn protocol(text: &str) -> CallResult<Protocol> {
    Protocol::from_name(text).ok_or_else(|| {
        let names = Protocol::ALL.map(Protocol::name).join(", ");
        Failure::bad_request(format!("protocol: found {text:?}, expected one of {names}"))
    })
}
