//! Selects sessions: for a listing, for a kick, and in orders between proxies.
//!
//! What must never happen here: a filter without a condition that makes a kick end every session.

use std::sync::Arc;

use types::network::Network;
use types::protocol::Protocol;

use crate::session::SessionInfo;

/// Selects sessions that meet every given condition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionFilter {
    /// A normalised account; `*@example.org` stands for every account of the domain.
    pub account: Option<Arc<str>>,
    /// The destination to which the session is bridged.
    pub destination: Option<Arc<str>>,
    /// The client's address, or a network that contains it.
    pub client: Option<Network>,
    /// The protocol that the session speaks.
    pub protocol: Option<Protocol>,
}

// === impl SessionFilter ===

impl SessionFilter {
    /// Selects the sessions of an account, or of a domain's accounts (`*@example.org`).
    #[must_use]
    pub fn account(identifier: impl Into<Arc<str>>) -> Self {
        Self { account: Some(identifier.into()), ..Self::default() }
    }

    /// Returns whether no condition is given.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.account.is_none()
            && self.destination.is_none()
            && self.client.is_none()
            && self.protocol.is_none()
    }

    /// Returns the account when one account is the only condition.
    #[must_use]
    pub fn only_account(&self) -> Option<&Arc<str>> {
        if self.destination.is_some() || self.client.is_some() || self.protocol.is_some() {
            return None;
        }
        self.account.as_ref().filter(|account| domain_of_pattern(account).is_none())
    }

    /// Returns whether a listing shows the session: with no condition, it shows all of them.
    #[must_use]
    pub fn lists(&self, session: &SessionInfo) -> bool {
        self.is_empty() || self.matches(session)
    }

    /// Returns whether an order concerns the session. A filter without a condition matches nothing: a mistake in a
    /// script must not disconnect everybody.
    #[must_use]
    pub fn matches(&self, session: &SessionInfo) -> bool {
        !self.is_empty()
            && self.matches_account(session.account.as_deref())
            && self.destination.as_ref().is_none_or(|destination| *destination == session.destination)
            && self.client.is_none_or(|network| network.contains(session.client))
            && self.protocol.is_none_or(|protocol| protocol == session.protocol)
    }

    fn matches_account(&self, account: Option<&str>) -> bool {
        let Some(wanted) = &self.account else { return true };
        let Some(account) = account else { return false };
        match domain_of_pattern(wanted) {
            Some(domain) => account.len() > domain.len() && account.ends_with(domain),
            None => *account == **wanted,
        }
    }
}

/// Returns `@example.org` for `*@example.org`. A `*` alone is not a pattern: it would match everybody.
fn domain_of_pattern(account: &str) -> Option<&str> {
    account.strip_prefix('*').filter(|domain| domain.len() > 1 && domain.starts_with('@'))
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::time::SystemTime;

    use super::*;

    fn session(account: Option<&str>) -> SessionInfo {
        SessionInfo {
            id: 1,
            account: account.map(Arc::from),
            protocol: Protocol::Imap,
            client: IpAddr::from([192, 0, 2, 1]),
            destination: "new".into(),
            since: SystemTime::UNIX_EPOCH,
            traffic: Arc::default(),
        }
    }

    fn from_client(client: &str) -> SessionFilter {
        SessionFilter { client: Some(client.parse().unwrap()), ..SessionFilter::default() }
    }

    #[test]
    fn every_condition_has_to_match() {
        let account = |account: &str| SessionFilter::account(account);
        for (filter, of, matches) in [
            (SessionFilter::default(), None, false),
            (account("alice@a.example"), Some("alice@a.example"), true),
            (account("alice@a.example"), Some("alice@a.example.org"), false),
            (account("alice@a.example"), None, false),
            (account("*@a.example"), Some("alice@a.example"), true),
            (account("*@a.example"), Some("alice@b.a.example"), false),
            (account("*@a.example"), Some("@a.example"), false),
            (account("*"), Some("alice"), false),
            (account("*@"), Some("alice@"), false),
            (SessionFilter { destination: Some("new".into()), ..account("alice") }, Some("alice"), true),
            (SessionFilter { destination: Some("old".into()), ..account("alice") }, Some("alice"), false),
            (SessionFilter { protocol: Some(Protocol::Imap), ..account("alice") }, Some("alice"), true),
            (SessionFilter { protocol: Some(Protocol::Smtp), ..account("alice") }, Some("alice"), false),
            (from_client("::ffff:192.0.2.1"), None, true),
            (from_client("192.0.2.0/24"), None, true),
            (from_client("192.0.2.2"), None, false),
        ] {
            assert_eq!(filter.matches(&session(of)), matches, "{filter:?} {of:?}");
        }
        assert!(SessionFilter::default().lists(&session(None)), "a listing without a condition shows all");
    }
}
