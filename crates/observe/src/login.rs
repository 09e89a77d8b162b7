//! The one line of a failed login, in a form that never changes, because fail2ban reads it.
//!
//! ```text
//! login failed: protocol=imap client=203.0.113.7 account="alice@example.com" reason=rejected
//! ```
//!
//! The address comes before everything that the client chose, and the account cannot leave its quotes: otherwise a
//! login name could put another address where the filter looks. The filter is
//! `contrib/fail2ban/filter.d/pointsman.conf`, and the tests below compare it with this line.

use std::fmt;
use std::net::IpAddr;

use types::outcome::LoginResult;
use types::session_id::SessionId;

use crate::account::Accounts;

/// A login that failed because of its credential.
#[derive(Clone, Copy, Debug)]
pub struct LoginFailure<'a> {
    /// The protocol's name in lower case: `imap`, `pop3`, `sieve`, `submission`, `http`.
    pub protocol: &'a str,
    /// The client's address: from the PROXY header where one is trusted.
    pub client: IpAddr,
    /// The identifier; the login name as it was sent where there is none yet.
    pub account: &'a [u8],
    /// Why: [`LoginResult::Rejected`] or [`LoginResult::Unidentified`].
    pub reason: LoginResult,
}

/// The line of a failure.
struct Line<'a> {
    failure: &'a LoginFailure<'a>,
    accounts: &'a Accounts,
}

/// Logs `failure` of `session` at `info`, outside every span, because spans are printed before the message.
pub fn login_failed(session: SessionId, accounts: &Accounts, failure: &LoginFailure<'_>) {
    tracing::info!(target: "pointsman::login", parent: None, %session, "{}", Line { failure, accounts });
}

// === impl Line ===

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let LoginFailure { protocol, client, account, reason } = self.failure;
        // A listener on `::` sees IPv4 clients as mapped addresses; a ban of those would not match.
        let client = client.to_canonical();
        let account = self.accounts.show_bytes(account);
        write!(
            f,
            "login failed: protocol={protocol} client={client} account=\"{account}\" reason={}",
            reason.label()
        )
    }
}

#[cfg(test)]
mod tests;
