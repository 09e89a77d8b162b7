//! Which sessions a call means.

use api::parameters::{CLIENT, DESTINATION, IDENTIFIER, PROTOCOL};
use cluster::SessionFilter;
use plan::network::Network;
use sessions::SessionInfo;
use types::protocol::Protocol;

use super::destinations::undeclared;
use crate::failure::{Answer, Failure};
use crate::parameters::Parameters;
use crate::shared::Shared;

/// Every given condition has to hold.
#[derive(Debug, Default)]
pub(super) struct Filter {
    account: Option<Account>,
    destination: Option<String>,
    client: Option<Network>,
    protocol: Option<Protocol>,
}

#[derive(Debug, PartialEq, Eq)]
enum Account {
    /// This one.
    One(String),
    /// Every one whose name ends so: `@example.org`.
    OfDomain(String),
}

// === impl Filter ===

impl Filter {
    pub(super) fn of(shared: &Shared, parameters: &Parameters) -> Answer<Self> {
        let account = match parameters.optional(IDENTIFIER) {
            None => None,
            Some(pattern) => Some(match pattern.strip_prefix('*') {
                None => Account::One(shared.account(pattern)?),
                Some(domain) => Account::OfDomain(of_domain(shared, domain)?),
            }),
        };
        let destination =
            parameters.optional(DESTINATION).map(|name| destination(shared, name)).transpose()?;
        let client = parameters.optional(CLIENT).map(network).transpose()?;
        let protocol = parameters.optional(PROTOCOL).map(protocol).transpose()?;
        Ok(Self { account, destination, client, protocol })
    }

    /// One account, whose name is normalised.
    #[cfg(test)]
    pub(super) fn of_account(name: &str) -> Self {
        Self { account: Some(Account::One(name.to_owned())), ..Self::default() }
    }

    /// The one account, when that is the only condition.
    pub(super) fn only_account(&self) -> Option<&str> {
        let is_only = self.destination.is_none() && self.client.is_none() && self.protocol.is_none();
        match &self.account {
            Some(Account::One(name)) if is_only => Some(name),
            _ => None,
        }
    }

    /// The same for the other proxies; `None` when it cannot be told in their words.
    pub(super) fn everywhere(&self) -> Option<SessionFilter> {
        let client = match self.client {
            None => None,
            Some(network) => Some(network.single()?),
        };
        let account = self.account.as_ref().map(|account| match account {
            Account::One(name) => name.as_str().into(),
            Account::OfDomain(domain) => format!("*{domain}").into(),
        });
        let destination = self.destination.as_deref().map(Into::into);
        self.protocol.is_none().then_some(SessionFilter { account, destination, client })
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.account.is_none()
            && self.destination.is_none()
            && self.client.is_none()
            && self.protocol.is_none()
    }

    pub(super) fn matches(&self, info: &SessionInfo) -> bool {
        let has_account = match &self.account {
            None => true,
            Some(Account::One(name)) => info.account.as_deref() == Some(name),
            Some(Account::OfDomain(domain)) => {
                info.account.as_deref().is_some_and(|account| account.ends_with(domain))
            }
        };
        has_account
            && self.destination.as_deref().is_none_or(|name| *info.destination == *name)
            && self.client.is_none_or(|network| network.contains(info.client))
            && self.protocol.is_none_or(|protocol| info.protocol == protocol)
    }
}

fn of_domain(shared: &Shared, domain: &str) -> Answer<String> {
    if domain.len() < 2 || !domain.starts_with('@') || domain[1..].contains(['@', '*']) {
        let detail = "identifier: a star stands for every account of a domain: *@example.org";
        return Err(Failure::bad_request(detail));
    }
    shared.normalized(domain)
}

/// A declared one, or one that a reload has taken away and sessions are still on. Of a misspelt one, "nobody was
/// there" would be the wrong thing to believe.
fn destination(shared: &Shared, name: &str) -> Answer<String> {
    let active = shared.plan();
    let is_in_use = || !shared.registry().sessions_where(1, |info| *info.destination == *name).is_empty();
    if active.plan.destinations.contains_key(name) || is_in_use() {
        Ok(name.to_owned())
    } else {
        Err(undeclared(&active, name))
    }
}

fn network(text: &str) -> Answer<Network> {
    text.parse().map_err(|_| {
        Failure::bad_request(format!(
            "client: found {text:?}, expected an address, or a network as 192.0.2.0/24"
        ))
    })
}

fn protocol(text: &str) -> Answer<Protocol> {
    Protocol::from_name(text).ok_or_else(|| {
        let names = Protocol::ALL.map(Protocol::name).join(", ");
        Failure::bad_request(format!("protocol: found {text:?}, expected one of {names}"))
    })
}
