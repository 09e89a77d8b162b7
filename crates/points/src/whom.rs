//! Whose sessions a kick is for.

use std::net::IpAddr;
use std::sync::Arc;

use desk::SessionInfo;
use route::Name;

/// Sessions that fit everything that is given. With nothing given it is nobody: a slip in a script must not
/// send everybody away.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Whom {
    /// An account, or all accounts of a domain: `*@example.org`.
    pub account: Option<Arc<str>>,
    /// Where the session is bridged to.
    pub destination: Option<Name>,
    /// The client's own address.
    pub client: Option<IpAddr>,
}

// === impl Whom ===

impl Whom {
    /// The sessions of an account, or of a domain's accounts.
    #[must_use]
    pub fn account(account: impl Into<Arc<str>>) -> Self {
        Self { account: Some(account.into()), ..Self::default() }
    }

    /// Whether nothing is given.
    #[must_use]
    pub const fn is_nobody(&self) -> bool {
        self.account.is_none() && self.destination.is_none() && self.client.is_none()
    }

    /// Whether `session` is one of them. The account is compared as it stands: normalise it first.
    #[must_use]
    pub fn is(&self, session: &SessionInfo) -> bool {
        let fits_account = |wanted: &Arc<str>| {
            let Some(account) = session.account.as_deref() else {
                return false;
            };
            match domain(wanted) {
                Some(domain) => account.ends_with(domain) && account.len() > domain.len(),
                None => *account == **wanted,
            }
        };
        !self.is_nobody()
            && self.account.as_ref().is_none_or(fits_account)
            && self.destination.as_ref().is_none_or(|wanted| *wanted == session.destination)
            && self.client.is_none_or(|wanted| wanted == session.client)
    }

    /// The one account that this is, when it is nothing but that.
    pub(crate) fn one_account(&self) -> Option<&Arc<str>> {
        let is_only = self.destination.is_none() && self.client.is_none();
        self.account.as_ref().filter(|account| is_only && domain(account).is_none())
    }
}

/// `@example.org` of `*@example.org`.
fn domain(account: &str) -> Option<&str> {
    account.strip_prefix('*').filter(|rest| rest.len() > 1 && rest.starts_with('@'))
}
