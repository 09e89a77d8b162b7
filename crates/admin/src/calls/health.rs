//! Liveness and readiness. Both need no token, since load balancers query them.

use api::status::Ready;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use plan::Plan;
use runtime::ActivePlan;
use types::protocol::Protocol;

use crate::failure::{CallResult, Failure};
use crate::shared::Shared;

/// `GET /healthz`.
pub(crate) async fn healthz() -> &'static str {
    "ok"
}

/// `GET /readyz`.
pub(crate) async fn readyz(State(shared): State<Shared>) -> CallResult<Json<Ready>> {
    let unready = |detail: String| Err(Failure::new(StatusCode::SERVICE_UNAVAILABLE, detail));
    if shared.app_handle.is_draining() {
        return unready("draining: the proxy accepts no new connections".to_owned());
    }
    let active = shared.plan();
    if is_default_down(&active) {
        return unready(format!("the default destination {} is down", active.plan.routing.default));
    }
    Ok(Json(Ready { status: "ready".to_owned() }))
}

/// Returns whether every leg of the default destination that listeners use is marked down. One leg that still works keeps
/// the proxy ready, since a balancer would otherwise take that one out of service too.
fn is_default_down(active: &ActivePlan) -> bool {
    let Some(backend) = active.backends.get(&active.plan.routing.default) else {
        return false;
    };
    let mut legs = used(&active.plan).peekable();
    legs.peek().is_some() && legs.all(|protocol| backend.health(protocol).snapshot().down)
}

/// Returns the protocols whose accounts without a mapping go to the default destination.
fn used(plan: &Plan) -> impl Iterator<Item = Protocol> {
    plan.listeners.iter().map(|listener| listener.protocol).filter(|protocol| protocol.carries_credentials())
}
