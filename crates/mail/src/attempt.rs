//! One login: from the credential to a confirmed session on the right backend, or to a verdict.

use std::sync::Arc;
use std::time::Duration;

use connection::{Broken, Next};
use credentials::attempt::{Attempt, Credential, Mechanism};
use credentials::names::{self, Claimed};
use identity::{Identifier, Identity};
use mail_proto::step::{BackendEvent, ClientEvent, ReplayContext, Step};
use mail_proto::verdict::{Reply, Verdict};
use observe::metrics::{self, LegMeter, ListenerMeter};
use sessions::{LoginTicket, SessionTicket, Unconfirmed};
use tokio::time::{Instant, timeout_at};
use tracing::Instrument;
use types::fault::Fault;
use upstream::{Backend, ClientIdentity, Leg, Steps};

use crate::cause::{Cause, Failed};
use crate::conversation::Conversation;
use crate::protocols;

/// A login that succeeded: everything the bridge needs.
pub(crate) struct LoggedIn {
    pub(crate) leg: Leg,
    pub(crate) reply: Reply,
    pub(crate) ticket: SessionTicket,
    pub(crate) destination: Arc<str>,
    pub(crate) mechanism: Mechanism,
    pub(crate) times: Times,
    pub(crate) client_identity: ClientIdentity,
}

/// How long each step of a login took.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Times {
    pub(crate) hold: Duration,
    pub(crate) route: Duration,
    pub(crate) steps: Steps,
    pub(crate) replay: Duration,
}

/// How far a login has come, for whoever counts it.
#[derive(Default)]
struct Progress {
    account: Option<Identifier>,
    times: Times,
    destination: Option<Arc<str>>,
}

/// Rounds of one login whose account keeps moving under it.
const MAX_ROUNDS: u32 = 4;

/// How one exchange with a backend ended.
enum Outcome {
    Accepted(Reply),
    Verdict(Verdict),
    Fault(Fault),
    Client(Broken),
}

// === impl Times ===

impl Times {
    fn count(&self, meter: &ListenerMeter, total: Duration) {
        let steps = &self.steps;
        for (step, time) in [
            (metrics::Step::Hold, self.hold),
            (metrics::Step::Route, self.route),
            (metrics::Step::Connect, steps.connect),
            (metrics::Step::Greeting, steps.greeting),
            (metrics::Step::Replay, self.replay),
            (metrics::Step::Total, total),
        ] {
            meter.took(step, time);
        }
        if !steps.tls.is_zero() {
            meter.took(metrics::Step::Tls, steps.tls);
        }
    }
}

// === impl Conversation ===

impl Conversation {
    /// Carries out one login, and counts it. The attempt, and with it the credential, ends with this call; a
    /// verdict that is slowed down is waited for without it.
    pub(crate) async fn login(&mut self, attempt: Attempt) -> Result<LoggedIn, Failed> {
        let (began, mechanism) = (Instant::now(), attempt.mechanism());
        // A client may have waited at our prompt for longer than the plan that greeted it was in force.
        self.context = self.current.now();
        let client_identity = self.client_identity(attempt.client_info.front.as_ref());
        let client = self.listener.suspect(client_identity.client.ip());
        let mut progress = Progress::default();
        let outcome = Box::pin(self.try_login(&attempt, client_identity, &mut progress)).await;
        drop(attempt);
        let destination = progress.destination.as_deref().unwrap_or_default();
        let leg = self.context.meters.leg(self.listener.protocol.name(), destination);
        match &outcome {
            Ok(entered) => {
                leg.login(mechanism.name(), "accepted");
                entered.times.count(self.context.meters.listener(&self.listener.name), began.elapsed());
            }
            Err(failed) => leg.login(mechanism.name(), failed.label()),
        }
        let account = progress.account.as_ref().map(Identifier::as_str);
        match &outcome {
            Ok(_) => self.context.live.throttle.succeeded(account),
            Err(Failed::Verdict(Verdict::Refused(_), _)) => {
                let delay = self.context.live.throttle.failed(client, account);
                // The connection is not looked at meanwhile: hanging up and coming back would save no time,
                // since the place of the connection is taken until then.
                if !delay.is_zero() {
                    tokio::time::sleep(delay).await;
                }
            }
            Err(_) => {}
        }
        outcome
    }

    async fn try_login(
        &mut self,
        attempt: &Attempt,
        client_identity: ClientIdentity,
        progress: &mut Progress,
    ) -> Result<LoggedIn, Failed> {
        let identity = match self.context.rules.identify(&attempt.credential) {
            Ok(Identity::Opaque) => self.resolve(&attempt.credential, &client_identity).await,
            Ok(identity) => identity,
            Err(refusal) => {
                self.log_failure(&client_identity, b"", refusal.label());
                return Err(Failed::Verdict(Verdict::Refused(None), Cause::Identity(refusal)));
            }
        };
        progress.account = identity.identifier().cloned();
        let accounts = Arc::clone(&self.context.live.accounts);
        let account = identity.identifier().map(|identifier| accounts.show(identifier.as_str()));
        // Every line about this login names its account, the other rooms' too.
        let span = tracing::info_span!("login", account = account.as_deref().unwrap_or("-"));
        Box::pin(self.enter(attempt, &identity, client_identity, progress).instrument(span)).await
    }

    async fn enter(
        &mut self,
        attempt: &Attempt,
        identity: &Identity,
        client_identity: ClientIdentity,
        progress: &mut Progress,
    ) -> Result<LoggedIn, Failed> {
        if client_identity.ttl == 0 {
            tracing::error!(
                client = %client_identity.client,
                "refused as a loop: the forwarding TTL is used up; a destination leads back here"
            );
            return Err(Failed::unavailable(Cause::Loop));
        }
        let ticket = self.ticket(identity, &client_identity)?;
        Box::pin(self.rounds(attempt, ticket, client_identity, progress)).await
    }

    /// Asks whose an opaque token is, where there is somebody to ask.
    async fn resolve(&self, credential: &Credential, client_identity: &ClientIdentity) -> Identity {
        let (Some(resolver), Ok(Claimed::Token(token))) =
            (&self.context.resolver, names::claimed(credential))
        else {
            return Identity::Opaque;
        };
        let account = Box::pin(resolver.account(token.expose(), client_identity)).await;
        account.map_or(Identity::Opaque, Identity::Known)
    }

    fn ticket(&self, identity: &Identity, client_identity: &ClientIdentity) -> Result<LoginTicket, Failed> {
        let (registry, protocol) = (&self.context.live.registry, self.listener.protocol);
        let client = client_identity.client.ip();
        match identity.identifier() {
            None => Ok(registry.begin_anonymous(protocol, client)),
            // Not the line of a failed login: that one bans, and nobody has guessed a password.
            Some(identifier) => registry
                .begin(identifier.as_str(), protocol, client)
                .map_err(|busy| turned_away(client_identity, Cause::Busy, &busy)),
        }
    }

    /// Routes and replays until a backend's yes is confirmed at the desk: an account that moved meanwhile, by its
    /// mapping or by a reload, is routed afresh.
    async fn rounds(
        &mut self,
        attempt: &Attempt,
        mut ticket: LoginTicket,
        client_identity: ClientIdentity,
        progress: &mut Progress,
    ) -> Result<LoggedIn, Failed> {
        for _ in 0..MAX_ROUNDS {
            (progress.times, progress.destination) = (Times::default(), None);
            let began = Instant::now();
            if let Err(held) = ticket.wait_released().await {
                return Err(turned_away(&client_identity, Cause::Held, &held));
            }
            progress.times.hold = began.elapsed();
            let Some((destination, backend)) = self.route(&ticket, progress).await else { continue };
            let times = &mut progress.times;
            let (leg, reply) = self.replay(attempt, &ticket, &backend, &client_identity, times).await?;
            match self.confirm(ticket, &backend).await {
                Ok(ticket) => {
                    let (mechanism, times) = (attempt.mechanism(), progress.times);
                    return Ok(LoggedIn {
                        leg,
                        reply,
                        ticket,
                        destination,
                        mechanism,
                        times,
                        client_identity,
                    });
                }
                Err(Unconfirmed::Busy(busy)) => {
                    return Err(turned_away(&client_identity, Cause::Busy, &busy));
                }
                Err(Unconfirmed::Outdated(_)) if is_spent(&attempt.credential) => {
                    // The client has taken part in the exchange: it cannot be had a second time.
                    return Err(Failed::unavailable(Cause::Moved));
                }
                Err(Unconfirmed::Outdated(again)) => ticket = again,
            }
        }
        Err(turned_away(&client_identity, Cause::Moved, &"the account keeps moving while it logs in"))
    }

    /// Where the login leads now. `None`: a reload came between the mapping's answer and the plan, and removed the
    /// destination; the next answer is by the plan that is in force.
    async fn route(
        &mut self,
        ticket: &LoginTicket,
        progress: &mut Progress,
    ) -> Option<(Arc<str>, Arc<Backend>)> {
        let began = Instant::now();
        let mapped = self.mapped(ticket).await;
        // After the answer: the plan is at least as new, and an answer by a newer one finds its destination.
        self.context = self.current.now();
        progress.times.route = began.elapsed();
        let destination = mapped.unwrap_or_else(|| Arc::clone(&self.context.plan.routing.default));
        let backend = Arc::clone(self.context.backends.get(&destination)?);
        progress.destination = Some(Arc::clone(&destination));
        Some((destination, backend))
    }

    /// What the mapping says of the account. `None`: it is not known whose login it is.
    async fn mapped(&self, ticket: &LoginTicket) -> Option<Arc<str>> {
        Some(self.context.live.router.resolve(ticket.account()?).await.destination)
    }

    /// Confirms the login at the desk, where it still leads to `backend`: by the mapping, which may have been
    /// changed past us (in the store itself, which leaves no mark at the desk), and by the plan in force.
    async fn confirm(&self, ticket: LoginTicket, backend: &Backend) -> Result<SessionTicket, Unconfirmed> {
        // Each further round is a reload that came between the look and the confirmation. It must not cost a login
        // whose way it did not change: not every credential can be replayed.
        for _ in 0..MAX_ROUNDS {
            let context = self.current.now();
            let mapped = self.mapped(&ticket).await;
            let destination = mapped.as_ref().unwrap_or(&context.plan.routing.default);
            let is_there = context.backends.get(destination).is_some_and(|there| there.is_same(backend));
            if !is_there {
                break;
            }
            let held = self.current.hold();
            if Arc::ptr_eq(&held, &context) {
                return ticket.confirm(Arc::clone(destination));
            }
        }
        Err(Unconfirmed::Outdated(ticket))
    }

    /// Opens a leg and replays the login on it.
    async fn replay(
        &mut self,
        attempt: &Attempt,
        ticket: &LoginTicket,
        backend: &Backend,
        client_identity: &ClientIdentity,
        times: &mut Times,
    ) -> Result<(Leg, Reply), Failed> {
        let protocol = self.listener.protocol;
        let hostname = self.context.hostname(self.local);
        let deadline = Instant::now() + backend.timeout();
        let machine = |forward, starttls| {
            let context = ReplayContext {
                starttls,
                forward,
                client_info: attempt.client_info.clone(),
                hostname: hostname.clone(),
            };
            // The listener has the protocol, so the table has it too.
            protocols::replay(protocol, context)
                .unwrap_or_else(|| unreachable!("a dialogue without a replay"))
        };
        let account = ticket.account().cloned();
        let opened = Box::pin(backend.open(protocol, client_identity, deadline, machine)).await;
        let mut leg = opened.map_err(|fault| self.unavailable(backend, fault))?;
        times.steps = leg.steps;
        let meter = Arc::clone(self.context.meters.leg(protocol.name(), &backend.destination().name));
        count_steps(&meter, &leg.steps);
        let began = Instant::now();
        let outcome = Box::pin(self.exchange(attempt, &mut leg, deadline)).await;
        times.replay = began.elapsed();
        if matches!(
            outcome,
            Outcome::Accepted(_) | Outcome::Verdict(Verdict::Refused(_) | Verdict::NotNow(_))
        ) {
            meter.authenticated(times.replay);
        }
        match outcome {
            Outcome::Accepted(reply) => Ok((leg, reply)),
            Outcome::Fault(fault) => Err(self.unavailable(backend, fault)),
            Outcome::Client(broken) => Err(Failed::Client(broken)),
            Outcome::Verdict(Verdict::Refused(reply)) => {
                self.log_failure(
                    client_identity,
                    account.as_deref().unwrap_or_default().as_bytes(),
                    "rejected",
                );
                let reply = reply.filter(|_| !backend.destination().hide_auth_errors);
                Err(Failed::Verdict(Verdict::Refused(reply), Cause::Rejected))
            }
            Outcome::Verdict(verdict @ Verdict::Cancelled) => Err(Failed::Verdict(verdict, Cause::Cancelled)),
            Outcome::Verdict(verdict) => Err(Failed::Verdict(verdict, Cause::NotNow)),
        }
    }

    /// The exchange from the credential to the verdict, the client's own part of it included. What the client
    /// takes to answer is not the backend's time.
    async fn exchange(&mut self, attempt: &Attempt, leg: &mut Leg, mut deadline: Instant) -> Outcome {
        let first = leg.replay.authenticate(attempt);
        let mut sent = match first {
            Step::Write(bytes) => leg.connection.write(bytes.expose()).await,
            Step::Event(BackendEvent::Broken(fault)) => return Outcome::Fault(fault),
            _ => return Outcome::Fault(Fault::Protocol),
        };
        loop {
            if sent.is_err() {
                return Outcome::Fault(Fault::Closed);
            }
            let heard = match timeout_at(deadline, leg.connection.next(&mut *leg.replay)).await {
                Err(_) => return Outcome::Fault(Fault::TimedOut),
                Ok(Err(_)) => return Outcome::Fault(Fault::Closed),
                Ok(Ok(Next::Event(heard))) => heard,
                Ok(Ok(Next::StartTls | Next::Close)) => return Outcome::Fault(Fault::Protocol),
            };
            let challenge = match heard {
                BackendEvent::Accepted(reply) => return Outcome::Accepted(reply),
                BackendEvent::Refused(reply) => return Outcome::Verdict(Verdict::Refused(Some(reply))),
                BackendEvent::NotNow(reply) => return Outcome::Verdict(Verdict::NotNow(reply)),
                BackendEvent::Broken(fault) => return Outcome::Fault(fault),
                BackendEvent::Ready { .. } => return Outcome::Fault(Fault::Protocol),
                BackendEvent::Challenge(challenge) => challenge,
            };
            let asked = Instant::now();
            let response = match self.ask(&challenge).await {
                Ok(Some(ClientEvent::Response(response))) => response,
                Ok(Some(ClientEvent::Cancelled)) => return Outcome::Verdict(Verdict::Cancelled),
                Ok(_) => return Outcome::Client(Broken::Closed),
                Err(broken) => return Outcome::Client(broken),
            };
            deadline += asked.elapsed();
            sent = leg.connection.write(leg.replay.respond(response).expose()).await;
        }
    }

    async fn ask(&mut self, challenge: &[u8]) -> Result<Option<ClientEvent>, Broken> {
        let words = self.dialogue.challenge(challenge);
        self.say(&words).await?;
        self.next().await
    }

    fn unavailable(&self, backend: &Backend, fault: Fault) -> Failed {
        let destination = &backend.destination().name;
        self.context.meters.leg(self.listener.protocol.name(), destination).fault(fault.label());
        tracing::warn!(%destination, fault = fault.label(), "the destination could not be used for a login");
        Failed::unavailable(Cause::Unavailable)
    }

    /// The client is the real one, also behind a front: whoever bans by this line must not ban the front.
    fn log_failure(&self, client_identity: &ClientIdentity, account: &[u8], reason: &str) {
        let failure = observe::LoginFailure {
            protocol: self.listener.protocol.name(),
            client: client_identity.client.ip(),
            account,
            reason,
        };
        observe::login_failed(self.id, &self.context.live.accounts, &failure);
    }
}

/// Counts the way to a leg that is ready for a credential.
pub(crate) fn count_steps(meter: &LegMeter, steps: &Steps) {
    meter.opened(steps.connect, (!steps.tls.is_zero()).then_some(steps.tls), steps.greeting);
}

/// A login that has to be made again later, by nobody's mistake.
fn turned_away(client_identity: &ClientIdentity, cause: Cause, reason: &dyn std::fmt::Display) -> Failed {
    tracing::warn!(client = %client_identity.client, result = cause.label(), %reason, "login turned away");
    Failed::unavailable(cause)
}

/// Whether a credential is good for one exchange only.
const fn is_spent(credential: &Credential) -> bool {
    matches!(
        credential,
        Credential::Sasl {
            mechanism: Mechanism::ScramSha1 | Mechanism::ScramSha256 | Mechanism::ScramSha512,
            ..
        }
    )
}
