//! The mapping of one account, and the cache.

use api::action::Invalidated;
use api::mapping::{Mapping, Reloaded, Removed, Stored};
use api::parameters::{DESTINATION, FROM, IDENTIFIER, LIMIT};
use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use control::Order;

use super::transfer;
use crate::audit::Action;
use crate::failure::{CallResult, Failure};
use crate::parameters::Parameters;
use crate::shared::{Caller, Shared};

/// `GET /mappings`: one with `identifier`, else a page of all, or all as text.
pub(crate) async fn get(
    State(shared): State<Shared>,
    headers: HeaderMap,
    parameters: Parameters,
) -> CallResult<Response> {
    let parameters = parameters.only(&[IDENTIFIER, FROM, LIMIT])?;
    let (from, limit) = parameters.page()?;
    if let Some(identifier) = parameters.optional(IDENTIFIER) {
        return Ok(Json(one(&shared, identifier).await?).into_response());
    }
    if transfer::wants_text(&headers) {
        return transfer::export(&shared).await;
    }
    Ok(Json(transfer::page(&shared, from, limit).await?).into_response())
}

async fn one(shared: &Shared, identifier: &str) -> CallResult<Mapping> {
    // As for a login of that name: without its master user, and with the default domain.
    let login = shared.plan().rules.name(identifier.as_bytes());
    let normalized =
        login.map_err(|refusal| Failure::bad_request(format!("identifier: {refusal}")))?.to_string();
    let resolution = shared.router().resolve(&normalized).await;
    Ok(Mapping {
        identifier: identifier.to_owned(),
        normalized,
        destination: resolution.destination.to_string(),
        routed_to_default: resolution.reason.is_default(),
        cached: resolution.cached,
        why: resolution.reason.label().to_owned(),
    })
}

/// `PUT /mappings`.
pub(crate) async fn set(
    State(shared): State<Shared>,
    caller: Caller,
    parameters: Parameters,
) -> CallResult<Json<Stored>> {
    let parameters = parameters.only(&[IDENTIFIER, DESTINATION])?;
    let identifier = parameters.required(IDENTIFIER)?;
    let destination = parameters.required(DESTINATION)?;
    let normalized = shared.normalized(identifier)?;
    may_be_a_domain(&shared, &normalized)?;
    let previous = shared.router().resolve(&normalized).await.destination.to_string();
    let outcome = match shared.control().execute(Order::set(&normalized, destination)).await {
        Ok(executed) => Ok(Json(Stored {
            identifier: identifier.to_owned(),
            normalized: normalized.clone(),
            destination: destination.to_owned(),
            previous: previous.clone(),
            changed: executed.changed() > 0,
        })),
        Err(error) => Err(Failure::from(error)),
    };
    let action = Action::to_account("mapping.set", normalized).before(previous).after(destination);
    shared.record(&caller, action, &outcome).await;
    outcome
}

/// `DELETE /mappings`.
pub(crate) async fn remove(
    State(shared): State<Shared>,
    caller: Caller,
    parameters: Parameters,
) -> CallResult<Json<Removed>> {
    let parameters = parameters.only(&[IDENTIFIER])?;
    let identifier = parameters.required(IDENTIFIER)?;
    let normalized = shared.normalized(identifier)?;
    let previous = shared.router().resolve(&normalized).await.destination.to_string();
    let executed = shared.control().execute(Order::remove(&normalized)).await;
    let destination = shared.router().resolve(&normalized).await.destination.to_string();
    let outcome = match executed {
        Ok(executed) => Ok(Json(Removed {
            identifier: identifier.to_owned(),
            normalized: normalized.clone(),
            removed: executed.changed() > 0,
            destination: destination.clone(),
            previous: previous.clone(),
        })),
        Err(error) => Err(Failure::from(error)),
    };
    let action = Action::to_account("mapping.remove", normalized).before(previous).after(destination);
    shared.record(&caller, action, &outcome).await;
    outcome
}

/// `POST /mappings/reload`.
pub(crate) async fn reload(
    State(shared): State<Shared>,
    caller: Caller,
    parameters: Parameters,
) -> CallResult<Json<Reloaded>> {
    parameters.only(&[])?;
    let outcome = match shared.control().execute(Order::Reload).await {
        Ok(executed) => {
            let loaded = executed.loaded();
            let entries = loaded.map(|loaded| loaded.entries);
            Ok(Json(Reloaded { entries, domains: loaded.map(|loaded| loaded.domains) }))
        }
        Err(error) => Err(Failure::from(error)),
    };
    shared.record(&caller, Action::to("mapping.reload", ""), &outcome).await;
    outcome
}

/// `POST /cache/invalidate`: drops one account's cached answer, or all.
pub(crate) async fn invalidate(
    State(shared): State<Shared>,
    caller: Caller,
    parameters: Parameters,
) -> CallResult<Json<Invalidated>> {
    let parameters = parameters.only(&[IDENTIFIER])?;
    let normalized = match parameters.optional(IDENTIFIER) {
        Some(identifier) => Some(shared.normalized(identifier)?),
        None => None,
    };
    let order;
    let action;
    match &normalized {
        Some(key) => {
            order = Order::Invalidate(vec![key.as_str().into()]);
            action = Action::to_account("cache.invalidate", key.clone());
        }
        None => {
            order = Order::Flush;
            action = Action::to("cache.invalidate", "all");
        }
    }
    shared.control().execute(order).await?;
    let outcome = Ok(Json(Invalidated { normalized }));
    shared.record(&caller, action, &outcome).await;
    outcome
}

/// Refuses an entry for a whole domain if such entries are not looked up: it would have no effect.
fn may_be_a_domain(shared: &Shared, normalized: &str) -> CallResult<()> {
    if !normalized.starts_with('@') || shared.plan().plan.mapping.domains {
        return Ok(());
    }
    let detail =
        "identifier: an entry for a whole domain does nothing: set `domains = true` in [mapping] and reload";
    Err(Failure::bad_request(detail))
}
