//! One request: decide where it goes, find a route, carry the exchange.

use std::borrow::Cow;

use http_proto::{BadHead, RequestHead};
use listen::Permit;
use tokio::time::timeout;
use types::outcome::LoginResult;

use crate::after::{After, REPLY_TIMEOUT, give};
use crate::body::{Broken, Source};
use crate::client::Client;
use crate::connection::HttpConnection;
use crate::credential::{NoPlace, PresentedCredential};
use crate::decide::{Decision, Prefix, Refused, decide};
use crate::exchange::Exchange;
use crate::local_reply::LocalReply;
use crate::memory::Claim;
use crate::route::{NoRoute, Route, RouteFinder};
use crate::upgrade;

/// How often the rules are applied to one request while reloads replace them.
const MAX_RULES: u32 = 4;

/// What a request in progress holds until it is answered.
struct Admitted {
    /// Its credential, which has the permit.
    credential: Option<PresentedCredential>,
    _permit: Option<Permit>,
}

/// Serves one request, which holds `memory` until a backend has answered it. `last`: no other request is read from this
/// connection.
pub(crate) async fn serve<S: Source, C: Client>(
    connection: &HttpConnection,
    memory: Claim,
    mut head: RequestHead,
    source: &mut S,
    client: &mut C,
    last: bool,
) -> After {
    let mut connection = Cow::Borrowed(connection);
    let admitted = match admit(&connection, &head).await {
        Ok(admitted) => admitted,
        Err(reply) => return give(&connection, reply, &head.method, source, client, last).await,
    };
    let mut prefix = Prefix::new(memory);
    let method = head.method.clone();
    if &*head.target == b"*" {
        // RFC 9110 section 9.3.7: asks about the server as a whole, which no rule is for.
        return give(&connection, LocalReply::SERVER_OPTIONS, &method, source, client, last).await;
    }
    let mut authenticates = false;
    let mut found = Err(NoRoute::Outdated);
    for _ in 0..MAX_RULES {
        let deciding = decide(&connection, &head, source, client, &mut prefix);
        // A body that is read to find the account is as much a part of the login as the head.
        let decision = match timeout(connection.listener.preauth_timeout, deciding).await {
            Ok(Ok(decision)) => decision,
            Err(_) => {
                let reply = LocalReply::LATE_BODY;
                connection.log_refusal(reply.detail);
                return give(&connection, reply, &method, source, client, true).await;
            }
            Ok(Err(refused)) => return refuse(&connection, &refused, &method, source, client, last).await,
        };
        if let Err(reply) = upgrade::judge(&mut head) {
            return give(&connection, reply, &method, source, client, last).await;
        }
        authenticates = matches!(decision, Decision::Account { authenticates: true, .. });
        found = find_route(&connection, decision, &head).await;
        if !matches!(found, Err(NoRoute::Outdated)) {
            break;
        }
        connection.to_mut().renew();
    }
    let route = match found {
        Ok(route) => route,
        Err(NoRoute::LocalReply(reply)) => {
            return give(&connection, reply, &method, source, client, last).await;
        }
        Err(NoRoute::Outdated) => {
            return give(&connection, LocalReply::UNAVAILABLE, &method, source, client, last).await;
        }
    };
    let exchange = Exchange::new(&connection, head, prefix, admitted.credential, authenticates);
    // Boxed: clippy::large_futures.
    Box::pin(exchange.run(route, source, client, last)).await
}

/// Counts a request in progress, and waits for the place of its credential.
async fn admit(connection: &HttpConnection, head: &RequestHead) -> Result<Admitted, LocalReply> {
    let permit = connection.admit_request().map_err(|refusal| {
        connection.log_refusal(refusal.label());
        LocalReply::BUSY
    })?;
    let Some(value) = head.fields.get("authorization") else {
        return Ok(Admitted { credential: None, _permit: Some(permit) });
    };
    match PresentedCredential::enter(connection, value, permit).await {
        Ok(credential) => Ok(Admitted { credential: Some(credential), _permit: None }),
        Err(NoPlace) => {
            connection.log_refusal("the client network tries as many credentials of the account as it may");
            Err(LocalReply::BUSY)
        }
    }
}

async fn find_route(
    connection: &HttpConnection,
    decision: Decision,
    head: &RequestHead,
) -> Result<Route, NoRoute> {
    let mut finder = RouteFinder { connection, upgrades: head.upgrade.is_some() };
    // Boxed: a route may include connecting, with a TLS handshake.
    Box::pin(finder.route(decision)).await
}

async fn refuse<S: Source, C: Client>(
    connection: &HttpConnection,
    refused: &Refused,
    method: &[u8],
    source: &S,
    client: &mut C,
    last: bool,
) -> After {
    let reply = match refused {
        Refused::Head(bad) => return reject(connection, bad, client).await,
        Refused::Path(label) => LocalReply::bad(400, label),
        Refused::NoRule => LocalReply::NO_RULE,
        Refused::Name(refusal) => {
            connection.log_failure(b"", LoginResult::Unidentified(*refusal));
            LocalReply::UNAUTHORIZED
        }
        Refused::Body(Broken::Malformed(what)) => {
            let reply = LocalReply::bad(400, what);
            let _ = give(connection, reply, method, source, client, true).await;
            return After::OutOfStep;
        }
        Refused::Body(_) => return After::OutOfStep,
        Refused::Memory(full) => {
            connection.log_full(*full);
            LocalReply::BUSY
        }
    };
    give(connection, reply, method, source, client, last).await
}

/// Refuses an ambiguous head. What follows it on the connection cannot be trusted.
pub(crate) async fn reject<C: Client>(connection: &HttpConnection, bad: &BadHead, client: &mut C) -> After {
    connection.log_refusal(bad.label());
    let reply = LocalReply::bad(bad.status(), bad.label());
    if timeout(REPLY_TIMEOUT, reply.give(client, b"", true)).await.is_err() {
        client.cut();
    }
    After::OutOfStep
}
