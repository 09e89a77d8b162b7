//! The checks and headers of every call: the token, the headers of every response, and actions that continue when their
//! client disconnects.

use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, CONNECTION, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::time::Instant;

use crate::authenticator::Authentication;
use crate::dashboard;
use crate::failure::{CallResult, Failure};
use crate::lockout::LockoutRule;
use crate::penalty::Penalty;
use crate::shared::{Peer, Shared};

/// Authenticates a request and runs it, or answers it with an error.
pub(crate) async fn guard(State(shared): State<Shared>, mut request: Request, next: Next) -> Response {
    let penalty = request.extensions().get::<Penalty>().cloned();
    let mut response = match authenticate(&shared, &mut request) {
        Ok(()) => run(request, next).await,
        Err(failure) => {
            if let Some(penalty) = penalty {
                penalty.set();
            }
            let mut response = failure.into_response();
            // A client that guesses has to connect again, which is limited for each network.
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            response
        }
    };
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

fn authenticate(shared: &Shared, request: &mut Request) -> CallResult<()> {
    // No handler needs it.
    let token = request.headers_mut().remove(AUTHORIZATION);
    let active = shared.plan();
    let admin = active.plan.admin.as_ref();
    if is_open(request.uri().path(), admin.is_some_and(|admin| admin.metrics_public)) {
        return Ok(());
    }
    let Some(Peer(address)) = request.extensions().get::<Peer>().copied() else {
        return Err(Failure::unauthorized("the request has no address"));
    };
    let rule = admin.map_or(LockoutRule::DEFAULT, |admin| LockoutRule {
        threshold: admin.lockout_threshold,
        duration: admin.lockout_duration,
    });
    let token = token.as_ref().map(HeaderValue::as_bytes);
    match shared.authenticator.authenticate(address, token, rule, Instant::now()) {
        Authentication::Accepted => Ok(()),
        Authentication::NoToken => {
            Err(Failure::unauthorized("no token: send the header `Authorization: Bearer TOKEN`"))
        }
        Authentication::WrongToken => Err(Failure::unauthorized(
            "wrong token: expected the one that [admin] in the configuration names",
        )),
        Authentication::Locked(left) => {
            let seconds = left.as_secs() + 1;
            let detail =
                format!("too many wrong tokens came from this address: it is locked for {seconds} seconds");
            Err(Failure::later(StatusCode::TOO_MANY_REQUESTS, seconds, detail))
        }
    }
}

/// Returns whether the path needs no token.
fn is_open(path: &str, metrics_are_public: bool) -> bool {
    if dashboard::has(path) {
        return true;
    }
    let path = path.strip_prefix(api::paths::V1).unwrap_or(path);
    matches!(path, api::paths::HEALTHZ | api::paths::READYZ)
        || (metrics_are_public && path == api::paths::METRICS)
}

/// Runs a request. A read ends when its client disconnects. An action does not: a mapping must not be left without its
/// invalidation, nor an action without its record.
async fn run(request: Request, next: Next) -> Response {
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        return next.run(request).await;
    }
    let action = tokio::spawn(next.run(request));
    action.await.unwrap_or_else(|_| {
        let detail = "the call failed inside the proxy and may have taken effect; see the log";
        Failure::new(StatusCode::INTERNAL_SERVER_ERROR, detail).into_response()
    })
}
