//! Replays a credential at the backend that the placement names, and relays a SASL exchange between the two sides.

use std::time::Duration;

use connection::{Broken, Next};
use credentials::attempt::Attempt;
use credentials::mechanism::Family;
use mail_leg::{Leg, LegRequest};
use mail_proto::step::{BackendEvent, ClientEvent, Step};
use mail_proto::verdict::{Reply, Verdict};
use placement::{Candidate, Dial};
use tokio::time::{Instant, timeout, timeout_at};
use types::fault::Fault;
use types::outcome::LoginResult;
use upstream::ClientIdentity;

use crate::client::Client;
use crate::failure::LoginError;

/// Dials on behalf of one login.
pub(crate) struct LoginDial<'a> {
    pub(crate) client: &'a mut Client,
    pub(crate) attempt: &'a Attempt,
    pub(crate) identity: &'a ClientIdentity,
}

/// A leg on which the backend has said yes.
pub(crate) struct AuthenticatedLeg {
    pub(crate) leg: Leg,
    /// The backend's words.
    pub(crate) reply: Reply,
    /// How long the credential took, from the first byte to the verdict.
    pub(crate) replay_took: Duration,
}

/// How the exchange with a backend ended.
enum ReplayOutcome {
    Accepted(Reply),
    Verdict(Verdict),
    /// No credential was sent.
    Unusable(Fault),
    /// The backend has received the credential, or a part of it, and sent no verdict.
    Unanswered(Fault),
    ClientGone(Broken),
    /// The client did not answer the challenges within [`CLIENT_TIME`].
    ClientTimedOut,
}

/// How long a client may take to answer the challenges of one login, in total. Mail programs answer at once. Meanwhile
/// the login occupies one of the places of its account and client network, and a connection to the backend.
const CLIENT_TIME: Duration = Duration::from_secs(10);

// === impl LoginDial ===

impl Dial for LoginDial<'_> {
    type Leg = AuthenticatedLeg;
    type Error = LoginError;

    async fn dial(&mut self, candidate: &Candidate) -> Result<AuthenticatedLeg, LoginError> {
        let protocol = self.client.listener.protocol;
        let deadline = Instant::now() + candidate.backend.timeout();
        self.client.plan.clone_from(&candidate.plan);
        let request = LegRequest {
            protocol,
            client: self.identity,
            client_info: &self.attempt.client_info,
            hostname: &candidate.plan.hostname(self.client.local),
            deadline,
        };
        // Boxed: clippy::large_futures; opening a leg holds a TLS handshake.
        let opened = Box::pin(mail_leg::open(&candidate.backend, request)).await;
        let mut leg = opened.map_err(|fault| self.unavailable(candidate, fault))?;
        let meter = candidate.plan.meters.leg(protocol.name(), &candidate.destination);
        let tls = (!leg.steps.tls.is_zero()).then_some(leg.steps.tls);
        meter.opened(leg.steps.connect, tls, leg.steps.greeting);

        let began = Instant::now();
        let limit = candidate.plan.plan.server.backend_auth_timeout;
        let deadline = (began + limit).min(self.client.login_deadline());
        let outcome = Box::pin(self.exchange(&mut leg, deadline)).await;
        let replay_took = began.elapsed();
        match outcome {
            ReplayOutcome::Accepted(reply) => {
                meter.authenticated(replay_took);
                Ok(AuthenticatedLeg { leg, reply, replay_took })
            }
            ReplayOutcome::Verdict(Verdict::Refused(reply)) => {
                meter.authenticated(replay_took);
                Err(self.rejected(candidate, reply))
            }
            ReplayOutcome::Verdict(verdict @ Verdict::NotNow(_)) => {
                meter.authenticated(replay_took);
                Err(LoginError::Failed(verdict, LoginResult::NotNow))
            }
            ReplayOutcome::Verdict(verdict @ Verdict::Cancelled) => {
                Err(LoginError::Failed(verdict, LoginResult::Cancelled))
            }
            ReplayOutcome::Verdict(verdict @ (Verdict::Accepted(_) | Verdict::Unavailable)) => {
                Err(LoginError::Failed(verdict, LoginResult::NotNow))
            }
            ReplayOutcome::Unusable(fault) => Err(self.unavailable(candidate, fault)),
            ReplayOutcome::Unanswered(fault) => {
                self.log_fault(candidate, fault);
                Err(LoginError::Unanswered)
            }
            ReplayOutcome::ClientGone(broken) => {
                Err(LoginError::ClientGone(broken, self.abandoned(candidate)))
            }
            ReplayOutcome::ClientTimedOut => Err(LoginError::ClientTimedOut(self.abandoned(candidate))),
        }
    }

    fn can_repeat(&self) -> bool {
        self.attempt.credential.can_repeat()
    }
}

impl LoginDial<'_> {
    /// From the credential to the verdict, the client's own part of the exchange included. The time that the client
    /// takes to answer is not the backend's.
    async fn exchange(&mut self, leg: &mut Leg, mut deadline: Instant) -> ReplayOutcome {
        let mut written = match leg.replay.authenticate(self.attempt) {
            Step::Write(bytes) => leg.connection.write(bytes.expose()).await,
            Step::Event(BackendEvent::Broken(fault)) => return ReplayOutcome::Unusable(fault),
            _ => return ReplayOutcome::Unusable(Fault::Protocol),
        };
        let mut client_time = CLIENT_TIME;
        loop {
            if written.is_err() {
                return unanswered(leg, Fault::Closed);
            }
            let event = match timeout_at(deadline, leg.connection.next(&mut *leg.replay)).await {
                Err(_) => return unanswered(leg, Fault::TimedOut),
                Ok(Err(_)) => return unanswered(leg, Fault::Closed),
                Ok(Ok(Next::StartTls | Next::Close)) => return ReplayOutcome::Unanswered(Fault::Protocol),
                Ok(Ok(Next::Event(event))) => event,
            };
            let challenge = match event {
                BackendEvent::Challenge(challenge) => challenge,
                BackendEvent::Accepted(reply) => return ReplayOutcome::Accepted(reply),
                BackendEvent::Refused(reply) => {
                    return ReplayOutcome::Verdict(Verdict::Refused(Some(reply)));
                }
                BackendEvent::NotNow(reply) => return ReplayOutcome::Verdict(Verdict::NotNow(reply)),
                BackendEvent::Broken(fault) => return ReplayOutcome::Unanswered(fault),
                BackendEvent::Ready { .. } => return ReplayOutcome::Unanswered(Fault::Protocol),
            };
            let passed_on = Instant::now();
            let response = match timeout(client_time, self.challenge_client(&challenge)).await {
                Ok(Ok(Some(ClientEvent::Response(response)))) => response,
                Ok(Ok(Some(ClientEvent::Cancelled))) => return ReplayOutcome::Verdict(Verdict::Cancelled),
                Ok(Ok(Some(ClientEvent::Attempt(_)) | None)) => {
                    return ReplayOutcome::ClientGone(Broken::Closed);
                }
                Ok(Err(broken)) => return ReplayOutcome::ClientGone(broken),
                Err(_) => return ReplayOutcome::ClientTimedOut,
            };
            let client_took = passed_on.elapsed();
            deadline += client_took;
            client_time = client_time.saturating_sub(client_took);
            written = leg.connection.write(leg.replay.respond(response).expose()).await;
        }
    }

    async fn challenge_client(&mut self, challenge: &[u8]) -> Result<Option<ClientEvent>, Broken> {
        let words = self.client.dialogue.challenge(challenge);
        self.client.send(&words).await?;
        self.client.next().await
    }

    fn rejected(&self, candidate: &Candidate, reply: Option<Reply>) -> LoginError {
        let account = candidate.account.as_deref().unwrap_or_default();
        self.client.log_failure(self.identity, account.as_bytes(), LoginResult::Rejected);
        let reply = if candidate.backend.destination().hide_auth_errors { None } else { reply };
        LoginError::Failed(Verdict::Refused(reply), LoginResult::Rejected)
    }

    /// Returns the result of a login that the client did not finish. A challenge to a token means that the backend has
    /// rejected it (RFC 7628 section 3.2.3), so such a login is a failed one, which the client must not be able to hide.
    fn abandoned(&self, candidate: &Candidate) -> LoginResult {
        match self.attempt.mechanism().family() {
            Family::OAuthBearer | Family::XOAuth2 => {
                let account = candidate.account.as_deref().unwrap_or_default();
                self.client.log_failure(self.identity, account.as_bytes(), LoginResult::Rejected);
                LoginResult::Rejected
            }
            Family::Plain | Family::Login | Family::Scram => LoginResult::ClientGone,
        }
    }

    fn unavailable(&self, candidate: &Candidate, fault: Fault) -> LoginError {
        self.log_fault(candidate, fault);
        LoginError::unavailable(LoginResult::Unavailable)
    }

    fn log_fault(&self, candidate: &Candidate, fault: Fault) {
        let destination = &candidate.destination;
        candidate.plan.meters.leg(self.client.listener.protocol.name(), destination).fault(fault);
        tracing::warn!(%destination, fault = fault.label(), "the destination could not be used for a login");
    }
}

/// Returns the outcome of an exchange in which the backend completes no command any more: a refusal, where it has sent one
/// before.
fn unanswered(leg: &mut Leg, fault: Fault) -> ReplayOutcome {
    match leg.replay.incomplete_refusal() {
        Some(reply) => ReplayOutcome::Verdict(Verdict::Refused(Some(reply))),
        None => ReplayOutcome::Unanswered(fault),
    }
}
