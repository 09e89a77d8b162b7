//! What happens around every call: the token, the headers that every answer has, and acts that outlive a caller
//! who hangs up.

use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, CONNECTION, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::time::Instant;

use crate::dashboard;
use crate::failure::{Answer, Failure};
use crate::gate::Verdict;
use crate::penalty::Penalty;
use crate::shared::{Peer, Shared};
use crate::strikes::Rule;

/// Judges a request, and lets it through or answers it.
pub(crate) async fn guard(State(shared): State<Shared>, mut request: Request, next: Next) -> Response {
    let penalty = request.extensions().get::<Penalty>().cloned();
    let mut response = match judge(&shared, &mut request) {
        Ok(()) => run(request, next).await,
        Err(failure) => {
            if let Some(penalty) = penalty {
                penalty.deserve();
            }
            let mut response = failure.into_response();
            // Whoever guesses has to come again, through the door, where guessing is slow.
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            response
        }
    };
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

fn judge(shared: &Shared, request: &mut Request) -> Answer<()> {
    // No call has a use for it.
    let token = request.headers_mut().remove(AUTHORIZATION);
    let active = shared.plan();
    let admin = active.plan.admin.as_ref();
    if is_open(request.uri().path(), admin.is_some_and(|admin| admin.metrics_public)) {
        return Ok(());
    }
    let Some(Peer(address)) = request.extensions().get::<Peer>().copied() else {
        return Err(Failure::unauthorized("the request has no address"));
    };
    let rule = admin.map_or(Rule::DEFAULT, |admin| Rule {
        threshold: admin.lockout_threshold,
        duration: admin.lockout_duration,
    });
    let token = token.as_ref().map(HeaderValue::as_bytes);
    match shared.gate.judge(address, token, rule, Instant::now()) {
        Verdict::Welcome => Ok(()),
        Verdict::NoToken => {
            Err(Failure::unauthorized("no token: send the header `Authorization: Bearer TOKEN`"))
        }
        Verdict::WrongToken => {
            Err(Failure::unauthorized("wrong token: it is the one that [admin] in the configuration names"))
        }
        Verdict::Locked(left) => {
            let seconds = left.as_secs() + 1;
            let detail =
                format!("too many wrong tokens came from this address: it is locked for {seconds} seconds");
            Err(Failure::later(StatusCode::TOO_MANY_REQUESTS, seconds, detail))
        }
    }
}

/// Paths that need no token.
fn is_open(path: &str, metrics_are_public: bool) -> bool {
    if dashboard::has(path) {
        return true;
    }
    let path = path.strip_prefix(api::paths::V1).unwrap_or(path);
    matches!(path, api::paths::HEALTHZ | api::paths::READYZ)
        || (metrics_are_public && path == api::paths::METRICS)
}

/// Reading ends with its caller. An act does not: a caller that hangs up must not leave a mapping without its
/// invalidation, or an act without its record.
async fn run(request: Request, next: Next) -> Response {
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        return next.run(request).await;
    }
    let act = tokio::spawn(next.run(request));
    act.await.unwrap_or_else(|_| {
        let detail = "the call failed inside the proxy; what came of it is uncertain, and the log has more";
        Failure::new(StatusCode::INTERNAL_SERVER_ERROR, detail).into_response()
    })
}
