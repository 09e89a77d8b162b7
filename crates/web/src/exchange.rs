//! One exchange: a request on its route, from the backend's connection to the response's end.

use std::time::Duration;

use http_proto::{RequestHead, ResponseHead, Version, forwarded, set_destination_scheme};
use plan::{Name, TlsMode};
use types::fault::Fault;
use types::outcome::LoginResult;
use types::protocol::Protocol;

use crate::after::{After, Opened, give};
use crate::backend_end::BackendEnd;
use crate::body::{Piece, Source};
use crate::client::Client;
use crate::connection::HttpConnection;
use crate::credential::PresentedCredential;
use crate::decide::Prefix;
use crate::local_reply::LocalReply;
use crate::memory::Claim;
use crate::outcome::{ExchangeFailure, ExchangeOutcome, H2Halves};
use crate::relay;
use crate::replay::{Keeping, Kept, is_idempotent};
use crate::route::{Route, RouteFinder};
use crate::upgrade;
use crate::watch::Watch;

/// A request on its route.
pub(crate) struct Exchange<'a> {
    connection: &'a HttpConnection,
    head: RequestHead,
    prefix: Vec<Piece>,
    /// The memory of the request, until a backend has answered it.
    memory: Claim,
    credential: Option<PresentedCredential>,
    /// Whether a 2xx shows that the credential is right.
    authenticates: bool,
}

// === impl Exchange ===

impl<'a> Exchange<'a> {
    /// `authenticates`: a 2xx shows that the credential is right.
    pub(crate) fn new(
        connection: &'a HttpConnection,
        mut head: RequestHead,
        prefix: Prefix,
        credential: Option<PresentedCredential>,
        authenticates: bool,
    ) -> Self {
        prepare(connection, &mut head, !prefix.is_empty());
        let (prefix, memory) = prefix.into_parts();
        Self { connection, head, prefix, memory, credential, authenticates }
    }

    /// Carries the exchange over `route`, a second time where the backend had closed a reused connection.
    pub(crate) async fn run<S: Source, C: Client>(
        mut self,
        mut route: Route,
        source: &mut S,
        client: &mut C,
        last: bool,
    ) -> After {
        let connection = self.connection;
        if route.backend.destination().adds_forwarded {
            let hop = forwarded::Hop {
                client: connection.client.ip(),
                https: connection.tls.is_some(),
                host: &self.head.authority,
            };
            forwarded::append(&mut self.head.fields, &hop);
        }
        let https = route.leg.plan.tls != TlsMode::Plain;
        set_destination_scheme(&mut self.head.fields, &self.head.authority, https);
        let prefix = std::mem::take(&mut self.prefix);
        let kept = Kept::new(&self.memory, route.leg.is_reused);
        for piece in &prefix {
            kept.push_counted(piece);
        }
        let mut keeping = Keeping { source: &mut *source, kept: &kept };
        let mut ended = self.carry(prefix, &kept, &mut route, &mut keeping, client).await;
        if let ExchangeOutcome::Failed(failure @ ExchangeFailure::NoAnswer { unprocessed }) = &ended
            && route.leg.is_reused
            && (*unprocessed || is_idempotent(&self.head.method))
            && let Some(pieces) = kept.take()
        {
            let finder = RouteFinder { connection, upgrades: self.head.upgrade.is_some() };
            route.leg.connection = match finder.connect(&route.backend, route.leg.plan).await {
                Ok(connection) => connection,
                Err(reply) => {
                    self.report_failure(&route, failure);
                    return give(connection, reply, &self.head.method, source, client, last).await;
                }
            };
            route.leg.is_reused = false;
            ended = self.carry(pieces, &kept, &mut route, source, client).await;
        }
        self.end(ended, route, source, client, last).await
    }

    async fn carry<S: Source, C: Client>(
        &self,
        prefix: Vec<Piece>,
        kept: &Kept<'_>,
        route: &mut Route,
        source: &mut S,
        client: &mut C,
    ) -> ExchangeOutcome {
        let plan = &self.connection.plan;
        let session_guard = plan.meters.route(&self.connection.listener.name, &route.destination).begin();
        let account = route.ticket.account().cloned();
        let destination = Name::clone(&route.destination);
        let record_status = |status| {
            if let Some(credential) = &self.credential {
                credential.answered();
            }
            match (status, &self.credential) {
                (401, Some(credential)) => self.refused(credential, account.as_deref(), &destination),
                // A refused request is counted until its end: anybody can have one.
                (401 | 403, _) => Duration::ZERO,
                _ => {
                    kept.release();
                    Duration::ZERO
                }
            }
        };
        let watch = Watch {
            ticket: &route.ticket,
            idle: plan.plan.http.relay_idle,
            session_guard: &session_guard,
            credential: self.credential.as_ref(),
            verdict_timeout: plan.plan.server.backend_auth_timeout,
            record_status: &record_status,
        };
        let https = route.leg.plan.tls != TlsMode::Plain;
        let exchange =
            relay::exchange(&mut route.leg.connection, &self.head, https, prefix, source, client, &watch);
        let ended = Box::pin(exchange).await;
        session_guard.ended(ended.session_end());
        if let Some(credential) = &self.credential
            && credential.awaits_verdict()
            && ended.is_ended_by_client()
        {
            // Otherwise a guesser would leave before each verdict.
            let _ = credential.refused(self.connection, account.as_deref());
        }
        ended
    }

    /// Records refused credentials, and returns how long the response must be delayed. They are logged and counted
    /// before the delay: a client that is guessing may close its connection during it.
    fn refused(
        &self,
        credential: &PresentedCredential,
        account: Option<&str>,
        destination: &Name,
    ) -> Duration {
        let connection = self.connection;
        connection
            .plan
            .meters
            .leg(Protocol::Http.name(), destination)
            .login(credential.scheme, LoginResult::Rejected);
        connection.log_failure(account.unwrap_or_default().as_bytes(), LoginResult::Rejected);
        credential.refused(connection, account)
    }

    /// Returns whether a response with `status` shows that the credential is right. Everybody gets a redirect to a login
    /// page, and the answer to `OPTIONS`.
    fn is_login(&self, status: u16) -> bool {
        let is_success = matches!(status, 101 | 200..=299);
        self.authenticates && is_success && !self.head.method.eq_ignore_ascii_case(b"OPTIONS")
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
                self.report(&route, Ok(route.leg.took));
                self.note(&route, status);
                // A connection that was opened for an upgrade may speak another HTTP version than its key says.
                if reusable && self.head.upgrade.is_none() && !is_bound_to_connection(&self.head) {
                    connection.service.pool.put(&route.leg.key, route.leg.connection, idle_limit);
                }
                if unread { After::OutOfStep } else { After::InStep }
            }
            ExchangeOutcome::Upgraded(head, halves) => {
                self.report(&route, Ok(route.leg.took));
                self.note(&route, 101);
                self.open_tunnel(*head, halves, route, source, client).await
            }
            ExchangeOutcome::Failed(failure) => {
                self.report_failure(&route, &failure);
                give(connection, LocalReply::failed(&failure), method, source, client, last).await
            }
            ExchangeOutcome::Cut(why) => {
                tracing::debug!(destination = %route.destination, why, "exchange cut");
                After::OutOfStep
            }
            ExchangeOutcome::Ended(reason) => {
                tracing::info!(destination = %route.destination, why = reason.label(), "event stream ended");
                After::OutOfStep
            }
        }
    }

    /// Tells the client that its upgrade was accepted.
    async fn open_tunnel<S: Source, C: Client>(
        &self,
        head: ResponseHead,
        halves: Option<H2Halves>,
        route: Route,
        source: &S,
        client: &mut C,
    ) -> After {
        let Some(end) = BackendEnd::of(route.leg.connection, halves) else {
            return give(self.connection, LocalReply::NO_UPGRADE, &self.head.method, source, client, true)
                .await;
        };
        let Some(reply) = upgrade::reply(&self.head, head) else {
            return give(self.connection, LocalReply::BAD_GATEWAY, &self.head.method, source, client, true)
                .await;
        };
        match client.begin(reply, None, false).await {
            Ok(()) => {
                After::Tunnel(Box::new(Opened { end, ticket: route.ticket, destination: route.destination }))
            }
            Err(_) => After::OutOfStep,
        }
    }

    /// Reports what became of a route's connection.
    fn report(&self, route: &Route, result: Result<Duration, Fault>) {
        route.backend.report(Protocol::Http, self.connection.client.ip(), result);
    }

    /// Logs and reports a response that did not come, unless the client is to blame.
    fn report_failure(&self, route: &Route, failure: &ExchangeFailure) {
        let fault = match failure {
            ExchangeFailure::NoAnswer { .. } => Fault::Closed,
            ExchangeFailure::BadAnswer(_) => Fault::Protocol,
            ExchangeFailure::Silent => Fault::TimedOut,
            ExchangeFailure::BadBody(_) => return,
        };
        let destination = &route.destination;
        tracing::warn!(%destination, reason = %failure, "the destination sent no usable response");
        self.report(route, Err(fault));
    }

    /// Logs a response, and the login where it is the account's first on this connection.
    fn note(&self, route: &Route, status: u16) {
        let connection = self.connection;
        tracing::debug!(
            destination = %route.destination,
            method = %self.head.method.escape_ascii(),
            status,
            reused = route.leg.is_reused,
            "request"
        );
        let (Some(account), Some(credential)) = (route.ticket.account(), &self.credential) else { return };
        if self.is_login(status)
            && connection.is_first_login(account, &route.destination, credential.fingerprint)
        {
            connection.logged_in.notify_one();
            connection
                .plan
                .meters
                .leg(Protocol::Http.name(), &route.destination)
                .login(credential.scheme, LoginResult::Accepted);
            connection.service.recorder.accepted(credential.key(connection, Some(account)).as_ref());
            let account = connection.service.recorder.show(account);
            tracing::info!(
                %account,
                client = %connection.client,
                destination = %route.destination,
                mechanism = credential.scheme,
                version = if self.head.version == Version::Http2 { "2" } else { "1.1" },
                tls = connection.tls.as_ref().map_or("none", |tls| tls.version),
                "login"
            );
        }
    }
}

/// Makes the head that a backend gets out of the client's. `continues`: the client was sent `100 Continue`.
fn prepare(connection: &HttpConnection, head: &mut RequestHead, continues: bool) {
    head.fields.strip_hop_by_hop();
    if continues {
        head.fields.remove("expect");
    }
    // The client's own spelling of the name stays where the value does.
    if head.fields.only("host") != Some(&head.authority) {
        head.fields.set("Host", head.authority.clone());
    }
    if !connection.listener.trusts_forwarded {
        head.fields.strip_forwarded();
    }
}

/// Returns whether the credentials authenticate a whole connection (NTLM and Negotiate, RFC 4559 section 6). Such a
/// connection must never carry another client's request.
fn is_bound_to_connection(head: &RequestHead) -> bool {
    head.fields.get("authorization").is_some_and(|value| {
        let scheme = value.split(|&byte| byte == b' ').next().unwrap_or_default();
        scheme.eq_ignore_ascii_case(b"ntlm") || scheme.eq_ignore_ascii_case(b"negotiate")
    })
}
