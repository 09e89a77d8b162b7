//! The third stage: one login, from the credential to a confirmed session or to a verdict.
//!
//! The attempt, and with it the credential, ends with this stage. What must never happen here: a login that is counted
//! twice or not at all, or a delayed verdict that keeps the credential in memory while it waits.

use std::time::Duration;

use credentials::attempt::{Attempt, Credential};
use credentials::names::{self, ClaimedAccount};
use identity::{Identity, ThrottleKey};
use mail_proto::verdict::Verdict;
use observe::metrics::{ListenerMeter, Step};
use placement::{Reason, Refusal, Request, Subject};
use tokio::time::Instant;
use tracing::Instrument;
use types::outcome::LoginResult;
use upstream::ClientIdentity;

use crate::client::Client;
use crate::failure::LoginError;
use crate::placed::Login;
use crate::replay::LoginDial;

/// A client that has sent a credential.
pub(crate) struct Attempted<'c> {
    client: &'c mut Client,
    attempt: Attempt,
    /// The client as a backend may learn of it.
    identity: ClientIdentity,
}

/// A login that was not placed: why, whose it was, and where it was tried.
struct Unplaced {
    error: LoginError,
    account: Option<String>,
    destination: Option<plan::Name>,
}

// === impl Attempted ===

impl<'c> Attempted<'c> {
    pub(crate) fn new(client: &'c mut Client, attempt: Attempt) -> Self {
        // The client may have waited at our prompt for longer than the plan that greeted it was in force.
        client.plan = client.shared.placement.current().now();
        let identity = client.identity(attempt.client_info.forwarded.as_ref());
        Self { client, attempt, identity }
    }

    /// Carries out the login and counts it. The verdict on a refused credential is delayed as the throttle asks.
    pub(crate) async fn log_in(self) -> Result<Login, LoginError> {
        let began = Instant::now();
        let mechanism = self.attempt.mechanism();
        let protocol = self.client.listener.protocol.name();
        let shared = self.client.shared.clone();
        let listener = self.client.listener.clone();
        let address = self.identity.client.ip();
        let key = self.client.plan.rules.throttle_key(&self.attempt.credential);
        // Kept until the verdict, and the delay where the credential is refused.
        let _guess = shared.recorder.enter(&listener, address, key.as_ref(), None).await;
        // The attempt ends with this call: a delay is waited for without the credential.
        // Boxed: clippy::large_futures; a login holds the machines of both sides.
        let unplaced = match Box::pin(self.place()).await {
            Ok(login) => {
                let meters = &login.placed.plan.meters;
                meters
                    .leg(protocol, &login.placed.destination)
                    .login(mechanism.name(), LoginResult::Accepted);
                count_steps(meters.listener(&listener.name), &login, began.elapsed());
                let account = login.placed.ticket.account().map(|account| &**account);
                shared.recorder.accepted(key_or_account(key, account).as_ref());
                return Ok(login);
            }
            Err(unplaced) => unplaced,
        };
        let Unplaced { error, account, destination } = unplaced;
        let plan = shared.placement.current().now();
        plan.meters
            .leg(protocol, destination.as_deref().unwrap_or_default())
            .login(mechanism.name(), error.result());
        if error.is_guess() {
            let delay =
                shared.recorder.refused(&listener, address, key_or_account(key, account.as_deref()).as_ref());
            // Nothing is read from the client meanwhile. Hanging up and connecting again would save it no time, since
            // the slot of this connection is taken until then.
            if !delay.is_zero() {
                tokio::time::sleep(delay).await;
            }
        }
        Err(error)
    }

    /// Finds out whose login it is, and places it.
    async fn place(self) -> Result<Login, Unplaced> {
        let identity = match self.client.plan.rules.identify(&self.attempt.credential) {
            Ok(Identity::Opaque) => self.resolve_token().await,
            Ok(identity) => identity,
            Err(refusal) => {
                let result = LoginResult::Unidentified(refusal);
                self.client.log_failure(&self.identity, b"", result);
                let error = LoginError::Failed(Verdict::Refused(None), result);
                return Err(Unplaced { error, account: None, destination: None });
            }
        };
        let subject = match identity.identifier() {
            Some(identifier) => Subject::Account(identifier.clone()),
            None => Subject::Unknown,
        };
        let account = identity.identifier().map(|identifier| identifier.as_str().to_owned());
        let shown = account.as_deref().map(|account| self.client.shared.recorder.show(account).into_owned());
        // Every line about this login names its account, in whichever crate it is written.
        let span = tracing::info_span!("login", account = shown.as_deref().unwrap_or("-"));
        let result = self.place_subject(subject).instrument(span).await;
        result.map_err(|refusal| Unplaced {
            error: LoginError::from(refusal.reason),
            account,
            destination: refusal.destination,
        })
    }

    async fn place_subject(self, subject: Subject) -> Result<Login, Refusal<LoginError>> {
        let Self { client, attempt, identity } = self;
        if identity.ttl == 0 {
            tracing::error!(
                client = %identity.client,
                "login refused as a loop: the forwarding TTL is used up, so a destination leads back to this proxy"
            );
            let reason = Reason::Dial(LoginError::unavailable(LoginResult::Loop));
            return Err(Refusal { reason, destination: None, timings: placement::Timings::default() });
        }
        let mechanism = attempt.mechanism();
        let request = Request {
            subject,
            protocol: client.listener.protocol,
            client: identity.client.ip(),
            // The rules that name accounts in credentials only change where a name leads, not whose it is.
            decided_by: None,
        };
        let placement = client.shared.placement.clone();
        let mut dial = LoginDial { client, attempt: &attempt, identity: &identity };
        match placement.place(&request, &mut dial).await {
            Ok(placed) => Ok(Login { placed, mechanism, identity }),
            Err(refusal) => {
                log_turned_away(&identity, &refusal.reason);
                Err(refusal)
            }
        }
    }

    /// Queries whose an opaque token is, where the plan has a server to query.
    async fn resolve_token(&self) -> Identity {
        let Some(resolver) = &self.client.plan.resolver else { return Identity::Opaque };
        let credential: &Credential = &self.attempt.credential;
        let Ok(ClaimedAccount::Token(token)) = names::claimed(credential) else { return Identity::Opaque };
        match Box::pin(resolver.account(token.expose(), &self.identity)).await {
            Some(identifier) => Identity::Known(identifier),
            None => Identity::Opaque,
        }
    }
}

/// Returns the name under which the login is counted: that of its credential, or the account of a token.
fn key_or_account(key: Option<ThrottleKey>, account: Option<&str>) -> Option<ThrottleKey> {
    match key {
        Some(key) => Some(key),
        None => account.map(ThrottleKey::of_account),
    }
}

/// Logs a login that was turned away although neither the client nor the backend made a mistake. It is not a failed
/// login: that line leads to bans, and no password was guessed.
fn log_turned_away(identity: &ClientIdentity, reason: &Reason<LoginError>) {
    let client = identity.client;
    match reason {
        Reason::Busy(busy) => {
            tracing::warn!(%client, result = LoginResult::Busy.label(), reason = %busy, "login turned away");
        }
        Reason::Held(held) => {
            tracing::warn!(%client, result = LoginResult::Held.label(), reason = %held, "login turned away");
        }
        Reason::Moved | Reason::Outdated => {
            let reason = "the account moved while it logged in";
            tracing::warn!(%client, result = LoginResult::Moved.label(), reason, "login turned away");
        }
        Reason::NoDestination => {
            let reason = "the plan names no destination";
            tracing::warn!(%client, result = LoginResult::Unavailable.label(), reason, "login turned away");
        }
        // Logged where it happened.
        Reason::Dial(_) => {}
    }
}

fn count_steps(meter: &ListenerMeter, login: &Login, total: Duration) {
    let steps = &login.placed.leg.leg.steps;
    meter.took(Step::Hold, login.placed.timings.hold);
    meter.took(Step::Route, login.placed.timings.lookup);
    meter.took(Step::Connect, steps.connect);
    meter.took(Step::Greeting, steps.greeting);
    meter.took(Step::Replay, login.placed.leg.replay_took);
    meter.took(Step::Total, total);
    if !steps.tls.is_zero() {
        meter.took(Step::Tls, steps.tls);
    }
}
