//! The health of the destinations, and its reset.

use std::time::UNIX_EPOCH;

use api::action::DestinationReset;
use api::parameters::DESTINATION;
use api::status::{Destination, Destinations, Leg};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use plan::Name;
use runtime::ActivePlan;
use types::protocol::Protocol;
use upstream::Backend;

use super::session_totals::SessionTotals;
use crate::audit::Action;
use crate::failure::{CallResult, Failure};
use crate::parameters::Parameters;
use crate::shared::{Caller, Shared};

/// `GET /destinations`.
pub(crate) async fn list(
    State(shared): State<Shared>,
    parameters: Parameters,
) -> CallResult<Json<Destinations>> {
    parameters.only(&[])?;
    let active = shared.plan();
    let totals = SessionTotals::count(&shared.registry());
    let destination = |(name, backend): (&Name, &std::sync::Arc<Backend>)| Destination {
        is_default: *name == active.plan.routing.default,
        sessions: totals.by_destination.get(&**name).copied().unwrap_or(0),
        ..of(name, backend)
    };
    Ok(Json(Destinations { destinations: active.backends.iter().map(destination).collect() }))
}

/// `POST /destinations/reset`.
pub(crate) async fn reset(
    State(shared): State<Shared>,
    caller: Caller,
    parameters: Parameters,
) -> CallResult<Json<DestinationReset>> {
    let parameters = parameters.only(&[DESTINATION])?;
    let name = parameters.required(DESTINATION)?;
    let active = shared.plan();
    let outcome = match active.backends.get(name) {
        Some(backend) => {
            Protocol::ALL.into_iter().for_each(|protocol| backend.health(protocol).reset());
            Ok(Json(DestinationReset { destination: name.to_owned() }))
        }
        None => Err(undeclared(&active, name)),
    };
    shared.record(&caller, Action::to("destination.reset", name), &outcome).await;
    outcome
}

/// Returns the error for a name that no destination has.
pub(super) fn undeclared(active: &ActivePlan, name: &str) -> Failure {
    let names: Vec<&str> = active.plan.destinations.keys().map(|name| &**name).collect();
    let detail = format!("{name:?} is not a declared destination; expected one of: {}", names.join(", "));
    Failure::new(StatusCode::NOT_FOUND, detail)
}

/// Returns a destination with the numbers of its worst leg.
fn of(name: &Name, backend: &Backend) -> Destination {
    let mut found = Destination { destination: name.to_string(), ..Destination::default() };
    for protocol in Protocol::ALL {
        let Some(plan) = backend.destination().leg(protocol) else { continue };
        let leg = leg(plan.port, backend, protocol);
        found.consecutive_failures = found.consecutive_failures.max(leg.consecutive_failures);
        found.failure_sources = found.failure_sources.max(leg.failure_sources);
        found.host_level_failure |= leg.host_level_failure;
        found.down |= leg.down;
        found.protocols.insert(protocol.name().to_owned(), leg);
    }
    found
}

fn leg(port: u16, backend: &Backend, protocol: Protocol) -> Leg {
    let health = backend.health(protocol).snapshot();
    let since_1970 = |(moment, _): (std::time::SystemTime, _)| {
        moment.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
    };
    Leg {
        port,
        consecutive_failures: health.consecutive_failures,
        failure_sources: health.failure_sources,
        host_level_failure: health.host_level_failure,
        down: health.down,
        last_error: health.last_fault.map(|fault| fault.label().to_owned()),
        last_success: health.last_success.map(since_1970),
        latency_ms: health.last_success.map(|(_, took)| u64::try_from(took.as_millis()).unwrap_or(u64::MAX)),
    }
}
