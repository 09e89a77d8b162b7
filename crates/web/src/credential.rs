//! The credential of a request: its place among the guesses of its client, and what the backend's answer shows about it.
//!
//! What must never happen here: a guess that is not counted because its client does not wait for the verdict, or whose
//! place is free before the delay of its answer is over; a response that everybody gets, taken for a login.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use identity::ThrottleKey;
use listen::Permit;
use sessions::Guess;
use tokio::time::timeout;

use crate::connection::HttpConnection;

/// The `Authorization` of a request that is being served.
pub(crate) struct PresentedCredential {
    /// The scheme, for metrics and the log.
    pub(crate) scheme: &'static str,
    /// The field's value.
    value: Bytes,
    /// A keyed hash of the whole value.
    pub(crate) fingerprint: u64,
    /// Whether a backend's verdict is to come.
    awaits_verdict: AtomicBool,
    /// What the request holds until it is answered, and a wrong guess until its delay is over.
    held: Mutex<Option<Held>>,
}

struct Held {
    _guess: Option<Guess>,
    _permit: Permit,
}

/// The guesses of the client's network hold all places of the account.
#[derive(Debug)]
pub(crate) struct NoPlace;

// === impl PresentedCredential ===

impl PresentedCredential {
    /// Takes the `value` of an `Authorization`, in a request that `permit` counts. Waits for the place of a guess, unless
    /// a backend has accepted the credential on this connection.
    pub(crate) async fn enter(
        connection: &HttpConnection,
        value: &Bytes,
        permit: Permit,
    ) -> Result<Self, NoPlace> {
        let recorder = &connection.service.recorder;
        let fingerprint = recorder.fingerprint(value);
        let is_verified = connection.has_verified(fingerprint);
        let guess = if is_verified {
            None
        } else {
            let client = connection.client.ip();
            let key = connection.plan.rules.throttle_key_of_authorization(value);
            let entering = recorder.enter(&connection.listener, client, key.as_ref(), Some(fingerprint));
            timeout(connection.listener.preauth_timeout, entering).await.map_err(|_| NoPlace)?
        };
        Ok(Self {
            scheme: scheme(value),
            value: value.clone(),
            fingerprint,
            awaits_verdict: AtomicBool::new(!is_verified),
            held: Mutex::new(Some(Held { _guess: guess, _permit: permit })),
        })
    }

    /// Returns whether a backend may still show whether the credential is right.
    pub(crate) fn awaits_verdict(&self) -> bool {
        self.awaits_verdict.load(Ordering::Relaxed)
    }

    /// Notes that the backend has answered the request.
    pub(crate) fn answered(&self) {
        self.awaits_verdict.store(false, Ordering::Relaxed);
    }

    /// Counts the credential as wrong, and returns how long the answer must be delayed. Whatever becomes of the client,
    /// the credential keeps its place for that time. `account`: whose it is, for a credential without a name.
    pub(crate) fn refused(&self, connection: &HttpConnection, account: Option<&str>) -> Duration {
        let key = self.key(connection, account);
        let recorder = &connection.service.recorder;
        let delay = recorder.refused(&connection.listener, connection.client.ip(), key.as_ref());
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner).take();
        if !delay.is_zero() {
            // Bounded like the requests in progress, whose permit it keeps.
            tokio::spawn(async move {
                tokio::time::sleep(delay).await;
                drop(held);
            });
        }
        delay
    }

    /// Returns the name under which its guesses are counted: its own, or the account of a token.
    pub(crate) fn key(&self, connection: &HttpConnection, account: Option<&str>) -> Option<ThrottleKey> {
        match connection.plan.rules.throttle_key_of_authorization(&self.value) {
            Some(key) => Some(key),
            None => account.map(ThrottleKey::of_account),
        }
    }
}

/// Returns the scheme of credentials, out of a closed list of labels.
fn scheme(value: &[u8]) -> &'static str {
    let found = value.split(|&byte| byte == b' ').next().unwrap_or_default();
    ["basic", "bearer", "digest", "negotiate", "ntlm"]
        .into_iter()
        .find(|known| found.eq_ignore_ascii_case(known.as_bytes()))
        .unwrap_or("other")
}
