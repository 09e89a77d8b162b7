//! One login: from the credential to a confirmed session on the right backend, or to a verdict.

use std::sync::Arc;
use std::time::Duration;

use backend::{Backend, Leg, Steps, Visitor};
use desk::{LoginTicket, SessionTicket, Unconfirmed};
use drive::{Broken, Next};
use identity::Identity;
use tokio::time::{Instant, timeout_at};
use wire::attempt::{Attempt, Credential, Mechanism, Reply, Verdict};
use wire::fault::Fault;
use wire::step::{Asked, Errand, Heard, Step};

use crate::conversation::Conversation;
use crate::protocols;

/// A login that succeeded: everything the bridge needs.
pub(crate) struct Entered {
    pub(crate) leg: Leg,
    pub(crate) reply: Reply,
    pub(crate) ticket: SessionTicket,
    pub(crate) destination: Arc<str>,
    pub(crate) mechanism: Mechanism,
    pub(crate) times: Times,
    pub(crate) visitor: Visitor,
}

/// How a login failed.
pub(crate) enum Failed {
    /// A verdict for the client, which stays at our prompt.
    Verdict(Verdict),
    /// The client is gone.
    Client(Broken),
}

/// How long each step of a login took.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Times {
    pub(crate) hold: Duration,
    pub(crate) route: Duration,
    pub(crate) steps: Steps,
    pub(crate) replay: Duration,
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

impl Conversation {
    /// Carries out one login. The attempt, and with it the credential, ends with this call.
    pub(crate) async fn login(&mut self, attempt: Attempt) -> Result<Entered, Failed> {
        let visitor = self.visitor(attempt.told.front.as_ref());
        let identity = match self.context.rules.identify(&attempt.credential) {
            Ok(identity) => identity,
            Err(refusal) => {
                self.log_failure(&visitor, b"", refusal.label());
                return Err(Failed::Verdict(Verdict::Refused(None)));
            }
        };
        if visitor.ttl == 0 {
            tracing::error!(
                "refused as a loop: the forwarding TTL is used up; a destination leads back here"
            );
            return Err(Failed::Verdict(Verdict::Unavailable));
        }
        let ticket = self.ticket(&identity, &visitor)?;
        self.rounds(&attempt, ticket, visitor).await
    }

    fn ticket(&self, identity: &Identity, visitor: &Visitor) -> Result<LoginTicket, Failed> {
        let (desk, protocol) = (&self.context.live.desk, self.listener.protocol);
        match identity.identifier() {
            None => Ok(desk.begin_anonymous(protocol, visitor.client.ip())),
            Some(identifier) => {
                desk.begin(identifier.as_str(), protocol, visitor.client.ip()).map_err(|busy| {
                    // Not the line of a failed login: that one bans, and nobody has guessed a password.
                    let account = self.context.live.accounts.show(identifier.as_str());
                    tracing::warn!(%account, reason = %busy, "login turned away");
                    Failed::Verdict(Verdict::Unavailable)
                })
            }
        }
    }

    /// Routes and replays until a backend's yes is confirmed at the desk: an account that moved meanwhile is
    /// routed afresh.
    async fn rounds(
        &mut self,
        attempt: &Attempt,
        mut ticket: LoginTicket,
        visitor: Visitor,
    ) -> Result<Entered, Failed> {
        for _ in 0..MAX_ROUNDS {
            let mut times = Times::default();
            let began = Instant::now();
            if let Err(held) = ticket.wait_released().await {
                tracing::warn!(reason = %held, "login turned away");
                return Err(Failed::Verdict(Verdict::Unavailable));
            }
            times.hold = began.elapsed();
            let (destination, backend) = self.route(&ticket, &mut times).await?;
            let (leg, reply) = self.replay(attempt, &ticket, &backend, &visitor, &mut times).await?;
            if self.has_moved(&ticket, &destination).await {
                if is_spent(&attempt.credential) {
                    return Err(Failed::Verdict(Verdict::Unavailable));
                }
                continue;
            }
            match ticket.confirm(Arc::clone(&destination)) {
                Ok(ticket) => {
                    let mechanism = attempt.mechanism();
                    return Ok(Entered { leg, reply, ticket, destination, mechanism, times, visitor });
                }
                Err(Unconfirmed::Busy(busy)) => {
                    tracing::warn!(reason = %busy, "login turned away");
                    return Err(Failed::Verdict(Verdict::Unavailable));
                }
                Err(Unconfirmed::Outdated(_)) if is_spent(&attempt.credential) => {
                    // The client has taken part in the exchange: it cannot be had a second time.
                    return Err(Failed::Verdict(Verdict::Unavailable));
                }
                Err(Unconfirmed::Outdated(again)) => ticket = again,
            }
        }
        Err(Failed::Verdict(Verdict::Unavailable))
    }

    async fn route(
        &self,
        ticket: &LoginTicket,
        times: &mut Times,
    ) -> Result<(Arc<str>, Arc<Backend>), Failed> {
        let began = Instant::now();
        let destination = match ticket.account() {
            Some(account) => self.context.live.router.resolve(account).await.destination,
            None => Arc::clone(&self.context.plan.routing.default),
        };
        times.route = began.elapsed();
        match self.context.backends.get(&destination) {
            Some(backend) => Ok((destination, Arc::clone(backend))),
            // The mapping is of a newer plan than this session.
            None => Err(Failed::Verdict(Verdict::Unavailable)),
        }
    }

    /// Whether the mapping was changed past us (in the store itself, which leaves no mark at the desk) while the
    /// backend was asked.
    async fn has_moved(&self, ticket: &LoginTicket, destination: &str) -> bool {
        match ticket.account() {
            Some(account) => *self.context.live.router.resolve(account).await.destination != *destination,
            None => false,
        }
    }

    /// Opens a leg and replays the login on it.
    async fn replay(
        &mut self,
        attempt: &Attempt,
        ticket: &LoginTicket,
        backend: &Backend,
        visitor: &Visitor,
        times: &mut Times,
    ) -> Result<(Leg, Reply), Failed> {
        let protocol = self.listener.protocol;
        let hostname = self.context.hostname(self.local);
        let deadline = Instant::now() + backend.timeout();
        let machine = |forward, starttls| {
            let errand = Errand { starttls, forward, told: attempt.told.clone(), hostname: hostname.clone() };
            // The listener has the protocol, so the table has it too.
            protocols::replay(protocol, errand).unwrap_or_else(|| unreachable!("a dialogue without a replay"))
        };
        let account = ticket.account().cloned();
        let opened = Box::pin(backend.open(protocol, visitor, deadline, machine)).await;
        let mut leg = opened.map_err(|fault| self.unavailable(backend, fault))?;
        times.steps = leg.steps;
        let began = Instant::now();
        let outcome = Box::pin(self.exchange(attempt, &mut leg, deadline)).await;
        times.replay = began.elapsed();
        match outcome {
            Outcome::Accepted(reply) => Ok((leg, reply)),
            Outcome::Fault(fault) => Err(self.unavailable(backend, fault)),
            Outcome::Client(broken) => Err(Failed::Client(broken)),
            Outcome::Verdict(Verdict::Refused(reply)) => {
                self.log_failure(visitor, account.as_deref().unwrap_or_default().as_bytes(), "rejected");
                let reply = reply.filter(|_| !backend.destination().hide_auth_errors);
                Err(Failed::Verdict(Verdict::Refused(reply)))
            }
            Outcome::Verdict(verdict) => Err(Failed::Verdict(verdict)),
        }
    }

    /// The exchange from the credential to the verdict, the client's own part of it included. What the client
    /// takes to answer is not the backend's time.
    async fn exchange(&mut self, attempt: &Attempt, leg: &mut Leg, mut deadline: Instant) -> Outcome {
        let first = leg.replay.authenticate(attempt);
        let mut sent = match first {
            Step::Write(bytes) => leg.talk.write(bytes.expose()).await,
            Step::Event(Heard::Broken(fault)) => return Outcome::Fault(fault),
            _ => return Outcome::Fault(Fault::Protocol),
        };
        loop {
            if sent.is_err() {
                return Outcome::Fault(Fault::Closed);
            }
            let heard = match timeout_at(deadline, leg.talk.next(&mut *leg.replay)).await {
                Err(_) => return Outcome::Fault(Fault::TimedOut),
                Ok(Err(_)) => return Outcome::Fault(Fault::Closed),
                Ok(Ok(Next::Event(heard))) => heard,
                Ok(Ok(Next::StartTls | Next::Close)) => return Outcome::Fault(Fault::Protocol),
            };
            let challenge = match heard {
                Heard::Accepted(reply) => return Outcome::Accepted(reply),
                Heard::Refused(reply) => return Outcome::Verdict(Verdict::Refused(Some(reply))),
                Heard::NotNow(reply) => return Outcome::Verdict(Verdict::NotNow(reply)),
                Heard::Broken(fault) => return Outcome::Fault(fault),
                Heard::Ready { .. } => return Outcome::Fault(Fault::Protocol),
                Heard::Challenge(challenge) => challenge,
            };
            let asked = Instant::now();
            let response = match self.ask(&challenge).await {
                Ok(Some(Asked::Response(response))) => response,
                Ok(Some(Asked::Cancelled)) => return Outcome::Verdict(Verdict::Cancelled),
                Ok(_) => return Outcome::Client(Broken::Closed),
                Err(broken) => return Outcome::Client(broken),
            };
            deadline += asked.elapsed();
            sent = leg.talk.write(leg.replay.respond(response).expose()).await;
        }
    }

    async fn ask(&mut self, challenge: &[u8]) -> Result<Option<Asked>, Broken> {
        let words = self.dialogue.challenge(challenge);
        self.say(&words).await?;
        self.next().await
    }

    fn unavailable(&self, backend: &Backend, fault: Fault) -> Failed {
        let destination = &backend.destination().name;
        tracing::warn!(%destination, fault = fault.label(), "the destination could not be used for a login");
        Failed::Verdict(Verdict::Unavailable)
    }

    /// The client is the real one, also behind a front: whoever bans by this line must not ban the front.
    fn log_failure(&self, visitor: &Visitor, account: &[u8], reason: &str) {
        let failure = observe::LoginFailure {
            protocol: self.listener.protocol.name(),
            client: visitor.client.ip(),
            account,
            reason,
        };
        observe::login_failed(self.id, &self.context.live.accounts, &failure);
    }
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
