//! One request: decide where it goes, find a route, carry the exchange.

use std::borrow::Cow;

use http_proto::{BadHead, RequestHead};
use types::outcome::LoginResult;

use crate::after::{After, give};
use crate::body::{Broken, Source};
use crate::client::Client;
use crate::connection::HttpConnection;
use crate::decide::{Decision, Prefix, Refused, decide};
use crate::exchange::Exchange;
use crate::local_reply::LocalReply;
use crate::route::{NoRoute, Route, RouteFinder};
use crate::upgrade;

/// How often the rules are applied to one request while reloads replace them.
const MAX_RULES: u32 = 4;

/// Serves one request. `last`: no other request is read from this connection.
pub(crate) async fn serve<S: Source, C: Client>(
    connection: &HttpConnection,
    mut head: RequestHead,
    source: &mut S,
    client: &mut C,
    last: bool,
) -> After {
    let mut connection = Cow::Borrowed(connection);
    let mut prefix = Prefix::default();
    let method = head.method.clone();
    let mut found = Err(NoRoute::Outdated);
    for _ in 0..MAX_RULES {
        let decision = match decide(&connection, &head, source, client, &mut prefix).await {
            Ok(decision) => decision,
            Err(refused) => return refuse(&connection, &refused, &method, source, client, last).await,
        };
        if let Err(reply) = upgrade::judge(&mut head) {
            return give(reply, &method, source, client, last).await;
        }
        found = find_route(&connection, decision, &head).await;
        if !matches!(found, Err(NoRoute::Outdated)) {
            break;
        }
        connection.to_mut().renew();
    }
    let route = match found {
        Ok(route) => route,
        Err(NoRoute::LocalReply(reply)) => return give(reply, &method, source, client, last).await,
        Err(NoRoute::Outdated) => {
            return give(LocalReply::UNAVAILABLE, &method, source, client, last).await;
        }
    };
    let exchange = Exchange::new(&connection, head, prefix);
    // Boxed: clippy::large_futures.
    Box::pin(exchange.run(route, source, client, last)).await
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
            let _ = LocalReply::bad(400, what).give(client, method, true).await;
            return After::OutOfStep;
        }
        Refused::Body(_) => return After::OutOfStep,
    };
    give(reply, method, source, client, last).await
}

/// Refuses an ambiguous head. What follows it on the connection cannot be trusted.
pub(crate) async fn reject<C: Client>(connection: &HttpConnection, bad: &BadHead, client: &mut C) -> After {
    connection.log_refusal(bad.label());
    let _ = LocalReply::bad(bad.status(), bad.label()).give(client, b"", true).await;
    After::OutOfStep
}
