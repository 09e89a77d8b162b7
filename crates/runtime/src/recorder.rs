//! What follows from a credential that was accepted or refused, whatever the protocol.
//!
//! It exists so that a guess costs the same over every protocol: the failed-login line that fail2ban reads, and the
//! growing delay. What must never happen here: a credential in the log, or a failure that is blamed on a trusted
//! proxy in front of us, which would slow down everybody behind it.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use identity::ThrottleKey;
use observe::{Accounts, LoginFailure};
use plan::Listener;
use sessions::{Guess, LoginThrottle};
use types::outcome::LoginResult;
use types::session_id::SessionId;

/// Records the outcome of logins. Clones share the throttle.
#[derive(Clone, Debug)]
pub struct LoginRecorder {
    throttle: LoginThrottle,
    accounts: Arc<Accounts>,
}

// === impl LoginRecorder ===

impl LoginRecorder {
    /// Records logins with `throttle`, and shows account names as `accounts` says.
    #[must_use]
    pub fn new(throttle: LoginThrottle, accounts: Arc<Accounts>) -> Self {
        Self { throttle, accounts }
    }

    /// Returns an account's name as the log shows it.
    pub fn show<'a>(&self, account: &'a str) -> Cow<'a, str> {
        self.accounts.show(account)
    }

    /// Returns how account names appear in the log.
    #[must_use]
    pub const fn accounts(&self) -> &Arc<Accounts> {
        &self.accounts
    }

    /// Writes the line of a failed login. `client` is the real client, also behind a trusted proxy: a ban that is based
    /// on this line must not hit the proxy.
    pub fn log_failure(
        &self,
        session: SessionId,
        listener: &Listener,
        client: IpAddr,
        account: &[u8],
        reason: LoginResult,
    ) {
        let failure = LoginFailure { protocol: listener.protocol.name(), client, account, reason };
        observe::login_failed(session, &self.accounts, &failure);
    }

    /// Waits for the place of a login, before its credential is sent to a backend; see [`LoginThrottle::enter`].
    pub async fn enter(
        &self,
        listener: &Listener,
        client: IpAddr,
        key: Option<&ThrottleKey>,
        credential: Option<u64>,
    ) -> Option<Guess> {
        self.throttle.enter(listener.suspect(client), key?.as_str(), credential).await
    }

    /// Returns the keyed hash of a credential, by which its repetitions are known.
    #[must_use]
    pub fn fingerprint(&self, credential: &[u8]) -> u64 {
        self.throttle.fingerprint(credential)
    }

    /// Counts a refused credential, and returns how long its answer must be delayed.
    #[must_use = "the delay slows down guessing"]
    pub fn refused(&self, listener: &Listener, client: IpAddr, key: Option<&ThrottleKey>) -> Duration {
        self.throttle.failed(listener.suspect(client), key.map(ThrottleKey::as_str))
    }

    /// Takes one failure back from a name that has logged in.
    pub fn accepted(&self, key: Option<&ThrottleKey>) {
        self.throttle.succeeded(key.map(ThrottleKey::as_str));
    }
}
