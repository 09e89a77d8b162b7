//! H1Client request from its head to its end: decide, desk, connect, relay.

use std::borrow::Cow;
use std::time::Duration;

use http_proto::{BadHead, RequestHead, ResponseHead, Version, forwarded, set_destination_scheme};
use identity::ThrottleKey;
use plan::{Name, TlsMode};
use sessions::SessionTicket;
use types::fault::Fault;
use types::outcome::LoginResult;
use types::protocol::Protocol;

use crate::backend_end::BackendEnd;
use crate::body::{Broken, Piece, Source};
use crate::client::Client;
use crate::decide::Refused;
use crate::local_reply::LocalReply;
use crate::outcome::{ExchangeFailure, ExchangeOutcome, H2Halves};
use crate::relay;
use crate::replay::{Keeping, Kept, is_idempotent};
use crate::route::{NoRoute, Route};
use crate::service::HttpConnection;
use crate::upgrade;
use crate::watch::Watch;

/// What becomes of the client's connection behind an exchange.
pub(crate) enum After {
    /// The request was read and answered.
    InStep,
    /// Something of the request or of the response is missing: the connection can only be closed.
    OutOfStep,
    /// Both sides belong together from now on.
    Tunnel(Box<Opened>),
}

/// A tunnel that both sides have agreed on.
pub(crate) struct Opened {
    pub(crate) far: BackendEnd,
    pub(crate) ticket: SessionTicket,
    pub(crate) destination: Name,
}

/// A request on its route: what is known of it when it has been decided where it goes.
struct Exchange<'a> {
    head: RequestHead,
    prefix: Vec<Piece>,
    /// Whether a failed answer is a failed login.
    has_credentials: bool,
    /// Of the credentials, for metrics and the log.
    scheme: &'static str,
    connection: &'a HttpConnection,
}

/// Rounds of one request under which reloads replace the rules.
const MAX_RULES: u32 = 4;

impl HttpConnection {
    /// Serves one request.
    pub(crate) async fn serve<S: Source, C: Client>(
        &self,
        mut head: RequestHead,
        source: &mut S,
        client: &mut C,
        last: bool,
    ) -> After {
        let mut connection = Cow::Borrowed(self);
        let mut prefix = Vec::new();
        let method = head.method.clone();
        if &*head.target == b"*" {
            // RFC 9110 section 9.3.7: asks about the server as a whole, which no rule is for.
            return give(LocalReply::SERVER_OPTIONS, &method, source, client, last).await;
        }
        let mut found = Err(NoRoute::Outdated);
        for _ in 0..MAX_RULES {
            let decision = match connection.decide(&head, source, client, &mut prefix).await {
                Ok(decision) => decision,
                Err(refused) => return self.refuse(&refused, &method, source, client, last).await,
            };
            if let Err(answer) = upgrade::judge(&mut head) {
                return give(answer, &method, source, client, last).await;
            }
            found = Box::pin(connection.route(decision, head.upgrade.is_some())).await;
            if !matches!(found, Err(NoRoute::Outdated)) {
                break;
            }
            connection.to_mut().renew();
        }
        let route = match found {
            Ok(route) => route,
            Err(NoRoute::LocalReply(answer)) => return give(answer, &method, source, client, last).await,
            Err(NoRoute::Outdated) => {
                return give(LocalReply::UNAVAILABLE, &method, source, client, last).await;
            }
        };
        let credentials = head.fields.get("authorization");
        let (has_credentials, scheme) =
            (credentials.is_some(), credentials.map_or("none", |value| scheme(value)));
        connection.prepare(&mut head, !prefix.is_empty());
        let mut errand = Exchange { head, prefix, has_credentials, scheme, connection: &connection };
        Box::pin(errand.run(route, source, client, last)).await
    }

    /// Makes the head that a backend gets out of the one that came.
    fn prepare(&self, head: &mut RequestHead, is_begun: bool) {
        head.fields.strip_hop_by_hop();
        if is_begun {
            // We have told the client to go on.
            head.fields.remove("expect");
        }
        // The client's own spelling of the name stays where the value does.
        if head.fields.only("host") != Some(&head.authority) {
            head.fields.set("Host", head.authority.clone());
        }
        if !self.listener.trusts_forwarded {
            head.fields.strip_forwarded();
        }
    }

    async fn refuse<S: Source, C: Client>(
        &self,
        refused: &Refused,
        method: &[u8],
        source: &S,
        client: &mut C,
        last: bool,
    ) -> After {
        let answer = match refused {
            Refused::Bad(bad) => return self.reject(bad, client).await,
            Refused::BadPath(label) => LocalReply::bad(400, label),
            Refused::NoRule => LocalReply::NO_RULE,
            Refused::NoName(refusal) => {
                self.log_failure(b"", LoginResult::Unidentified(*refusal));
                LocalReply::UNAUTHORIZED
            }
            Refused::Client(Broken::Malformed(what)) => {
                let _ = LocalReply::bad(400, what).give(client, method, true).await;
                return After::OutOfStep;
            }
            Refused::Client(_) => return After::OutOfStep,
        };
        give(answer, method, source, client, last).await
    }

    /// Answers a head that could be read in two ways; nothing behind it is in step.
    pub(crate) async fn reject<C: Client>(&self, bad: &BadHead, client: &mut C) -> After {
        tracing::info!(reason = bad.label(), "request refused");
        let _ = LocalReply::bad(bad.status(), bad.label()).give(client, b"", true).await;
        After::OutOfStep
    }

    pub(crate) fn log_failure(&self, account: &[u8], reason: LoginResult) {
        self.service.recorder.log_failure(self.id, &self.listener, self.client.ip(), account, reason);
    }
}

/// Gives an answer of our own.
async fn give<S: Source, C: Client>(
    answer: LocalReply,
    method: &[u8],
    source: &S,
    client: &mut C,
    last: bool,
) -> After {
    // A body that nobody reads would be taken for the next request.
    let last = last || !source.is_finished();
    match answer.give(client, method, last).await {
        Ok(()) if source.is_finished() => After::InStep,
        _ => After::OutOfStep,
    }
}

// === impl Exchange ===

impl Exchange<'_> {
    async fn run<S: Source, C: Client>(
        &mut self,
        mut route: Route,
        source: &mut S,
        client: &mut C,
        last: bool,
    ) -> After {
        let connection = self.connection;
        if route.backend.destination().adds_forwarded {
            forwarded::append(&mut self.head.fields, &connection.hop(&self.head.authority));
        }
        let https = route.leg.plan.tls != TlsMode::Plain;
        set_destination_scheme(&mut self.head.fields, &self.head.authority, https);
        let mut kept = Kept::new(route.leg.is_reused);
        for piece in &self.prefix {
            kept.push(piece);
        }
        let mut keeping = Keeping { source: &mut *source, kept: &mut kept };
        let mut ended = self.carry(&mut route, &mut keeping, client).await;
        if let ExchangeOutcome::Failed(ExchangeFailure::NoAnswer { unprocessed }) = ended
            && route.leg.is_reused
            && (unprocessed || is_idempotent(&self.head.method))
            && let Some(pieces) = kept.into_pieces()
        {
            self.prefix = pieces;
            let upgrades = self.head.upgrade.is_some();
            route.leg.connection = match connection.connect(&route.backend, route.leg.plan, upgrades).await {
                Ok(connection) => connection,
                Err(answer) => return give(answer, &self.head.method, source, client, last).await,
            };
            route.leg.is_reused = false;
            ended = self.carry(&mut route, source, client).await;
        }
        self.end(ended, route, source, client, last).await
    }

    async fn carry<S: Source, C: Client>(
        &mut self,
        route: &mut Route,
        source: &mut S,
        client: &mut C,
    ) -> ExchangeOutcome {
        let prefix = std::mem::take(&mut self.prefix);
        let plan = &self.connection.plan;
        let session_guard = plan.meters.route(&self.connection.listener.name, &route.destination).begin();
        let account = route.ticket.account().cloned();
        let destination = Name::clone(&route.destination);
        let this = &*self;
        let verdict = |status| match status {
            401 if this.has_credentials => this.refused(account.as_deref(), &destination),
            _ => Duration::ZERO,
        };
        let watch = Watch {
            ticket: &route.ticket,
            idle: plan.plan.http.relay_idle,
            session_guard: &session_guard,
            verdict: &verdict,
        };
        let https = route.leg.plan.tls != TlsMode::Plain;
        let exchange =
            relay::exchange(&mut route.leg.connection, &self.head, https, prefix, source, client, &watch);
        let ended = Box::pin(exchange).await;
        session_guard.ended(ended.session_end());
        ended
    }

    /// A no to credentials: how long it is held back, by the brake that all protocols share. Logged and counted
    /// here, since a guesser that takes the wait for the answer is gone before the end of it.
    fn refused(&self, account: Option<&str>, destination: &Name) -> Duration {
        let connection = self.connection;
        connection
            .plan
            .meters
            .leg(Protocol::Http.name(), destination)
            .login(self.scheme, LoginResult::Rejected);
        connection.log_failure(account.unwrap_or_default().as_bytes(), LoginResult::Rejected);
        let key = self.throttle_key(account);
        connection.service.recorder.refused(&connection.listener, connection.client.ip(), key.as_ref())
    }

    /// Returns the name under which a login is counted: that of its credentials, or the account of a token.
    fn throttle_key(&self, account: Option<&str>) -> Option<ThrottleKey> {
        if let Some(value) = self.head.fields.get("authorization")
            && let Some(key) = self.connection.plan.rules.throttle_key_of_authorization(value)
        {
            return Some(key);
        }
        account.map(ThrottleKey::of_account)
    }

    async fn end<S: Source, C: Client>(
        &self,
        ended: ExchangeOutcome,
        route: Route,
        source: &S,
        client: &mut C,
        last: bool,
    ) -> After {
        let connection = self.connection;
        let method = &self.head.method;
        match ended {
            ExchangeOutcome::Whole { status, reusable, unread, idle_limit } => {
                connection.report(&route, Ok(route.leg.took));
                self.note(&route, status);
                // What was opened for an upgrade may speak another version than its key says.
                let is_of_key = self.head.upgrade.is_none();
                if reusable && is_of_key && !is_bound_to_connection(&self.head) {
                    connection.service.pool.put(&route.leg.key, route.leg.connection, idle_limit);
                }
                if unread { After::OutOfStep } else { After::InStep }
            }
            ExchangeOutcome::Upgraded(head, halves) => {
                connection.report(&route, Ok(route.leg.took));
                self.note(&route, 101);
                self.open(*head, halves, route, source, client).await
            }
            ExchangeOutcome::Failed(failure) => {
                let fault = match failure {
                    ExchangeFailure::NoAnswer { .. } => Some(Fault::Closed),
                    ExchangeFailure::BadAnswer(_) => Some(Fault::Protocol),
                    ExchangeFailure::Silent => Some(Fault::TimedOut),
                    ExchangeFailure::BadBody(_) => None,
                };
                if let Some(fault) = fault {
                    let destination = &route.destination;
                    tracing::warn!(%destination, reason = %failure, "the destination gave no answer");
                    connection.report(&route, Err(fault));
                }
                give(LocalReply::failed(&failure), method, source, client, last).await
            }
            ExchangeOutcome::Cut(why) => {
                tracing::debug!(destination = %route.destination, why, "exchange cut");
                After::OutOfStep
            }
            ExchangeOutcome::Parted(reason) => {
                tracing::info!(destination = %route.destination, why = reason.label(), "event stream ended");
                After::OutOfStep
            }
        }
    }

    /// Tells the client that its upgrade was taken.
    async fn open<S: Source, C: Client>(
        &self,
        head: ResponseHead,
        halves: Option<H2Halves>,
        route: Route,
        source: &S,
        client: &mut C,
    ) -> After {
        let Some(far) = BackendEnd::of(route.leg.connection, halves) else {
            return give(LocalReply::NO_UPGRADE, &self.head.method, source, client, true).await;
        };
        let Some(reply) = upgrade::reply(&self.head, head) else {
            return give(LocalReply::BAD_GATEWAY, &self.head.method, source, client, true).await;
        };
        match client.begin(reply, None, false).await {
            Ok(()) => {
                After::Tunnel(Box::new(Opened { far, ticket: route.ticket, destination: route.destination }))
            }
            Err(_) => After::OutOfStep,
        }
    }

    /// The log lines of an answer, with the login where it is the account's first.
    fn note(&self, route: &Route, status: u16) {
        let connection = self.connection;
        tracing::debug!(
            destination = %route.destination,
            method = %self.head.method.escape_ascii(),
            status,
            reused = route.leg.is_reused,
            "request"
        );
        let Some(account) = route.ticket.account().filter(|_| self.has_credentials && status < 400) else {
            return;
        };
        if connection.is_first(account, &route.destination) {
            connection
                .plan
                .meters
                .leg(Protocol::Http.name(), &route.destination)
                .login(self.scheme, LoginResult::Accepted);
            connection.service.recorder.accepted(self.throttle_key(Some(account)).as_ref());
            let account = connection.service.recorder.show(account);
            tracing::info!(
                %account,
                client = %connection.client,
                destination = %route.destination,
                mechanism = self.scheme,
                version = if self.head.version == Version::Http2 { "2" } else { "1.1" },
                tls = connection.tls.as_ref().map_or("none", |tls| tls.version),
                "login"
            );
        }
    }
}

/// The scheme of credentials, one of a few words whatever a client makes up.
fn scheme(value: &[u8]) -> &'static str {
    let found = value.split(|&byte| byte == b' ').next().unwrap_or_default();
    ["basic", "bearer", "digest", "negotiate", "ntlm"]
        .into_iter()
        .find(|known| found.eq_ignore_ascii_case(known.as_bytes()))
        .unwrap_or("other")
}

/// NTLM and Negotiate log a whole connection in, whatever comes over it next (RFC 4559 section 6): such a
/// connection must never carry another's request.
fn is_bound_to_connection(head: &RequestHead) -> bool {
    head.fields.get("authorization").is_some_and(|value| {
        let scheme = value.split(|&byte| byte == b' ').next().unwrap_or_default();
        scheme.eq_ignore_ascii_case(b"ntlm") || scheme.eq_ignore_ascii_case(b"negotiate")
    })
}

// === impl HttpConnection ===

impl HttpConnection {
    fn hop<'a>(&self, host: &'a [u8]) -> forwarded::Hop<'a> {
        forwarded::Hop { client: self.client.ip(), https: self.tls.is_some(), host }
    }
}
