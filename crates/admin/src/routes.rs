//! The table of the calls. The router is built from it, and the description is tested against it.

use api::paths;
use axum::Router;
use axum::http::{Method, StatusCode};
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodRouter, delete, get, post, put};

use crate::calls::{
    audit, compare, config, connections, destinations, events, health, mappings, moves, stats, transfer,
};
use crate::dashboard;
use crate::failure::Failure;
use crate::guard::guard;
use crate::openapi;
use crate::shared::Shared;

/// A path, its methods and their handlers.
type Row = (&'static str, &'static [Method], MethodRouter<Shared>);

/// Returns every call.
pub(crate) fn table() -> Vec<Row> {
    const GET: &[Method] = &[Method::GET];
    const POST: &[Method] = &[Method::POST];
    const MOVES: &[Method] = &[Method::GET, Method::POST];
    const MOVE: &[Method] = &[Method::GET, Method::DELETE];
    const MAPPINGS: &[Method] = &[Method::GET, Method::PUT, Method::DELETE];
    vec![
        (paths::HEALTHZ, GET, get(health::healthz)),
        (paths::READYZ, GET, get(health::readyz)),
        (paths::STATS, GET, get(stats::stats)),
        (paths::METRICS, GET, get(stats::metrics)),
        (paths::DESTINATIONS, GET, get(destinations::list)),
        (paths::DESTINATIONS_RESET, POST, post(destinations::reset)),
        (
            paths::MAPPINGS,
            MAPPINGS,
            get(mappings::get).merge(put(mappings::set)).merge(delete(mappings::remove)),
        ),
        (paths::MAPPINGS_RELOAD, POST, post(mappings::reload)),
        (paths::MAPPINGS_IMPORT, POST, post(transfer::import)),
        (paths::CACHE_INVALIDATE, POST, post(mappings::invalidate)),
        (paths::CONNECTIONS, GET, get(connections::list)),
        (paths::CONNECTIONS_KICK, POST, post(connections::kick)),
        (paths::CONNECTIONS_DELAY, POST, post(connections::delay)),
        (paths::MOVES, MOVES, get(moves::list).merge(post(moves::start))),
        (paths::MOVE, MOVE, get(moves::show).merge(delete(moves::cancel))),
        (paths::MOVE_ROLLBACK, POST, post(moves::rollback)),
        (paths::MOVE_BATCH, GET, get(moves::batch)),
        (paths::MOVE_BATCH_PAUSE, POST, post(moves::pause)),
        (paths::MOVE_BATCH_RESUME, POST, post(moves::resume)),
        (paths::COMPARE, POST, post(compare::compare)),
        (paths::CONFIG_RELOAD, POST, post(config::reload)),
        (paths::AUDIT, GET, get(audit::page)),
        (paths::EVENTS, GET, get(events::stream)),
        (paths::OPENAPI, GET, get(openapi::openapi)),
    ]
}

/// Returns the service: every call and the dashboard. The guard checks each request first.
pub(crate) fn service(shared: Shared) -> Router {
    let mut router = dashboard::routes(Router::new());
    for (path, _, call) in table() {
        router = router.route(path, call.clone()).route(&format!("{}{path}", paths::V1), call);
    }
    router
        .fallback(not_found)
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn_with_state(shared.clone(), guard))
        .with_state(shared)
}

async fn not_found() -> Failure {
    Failure::new(StatusCode::NOT_FOUND, "there is no such path; GET /openapi.json lists the paths")
}

/// The router adds `Allow`.
async fn wrong_method() -> Failure {
    let detail = "this path has other methods: see the Allow header or GET /openapi.json";
    Failure::new(StatusCode::METHOD_NOT_ALLOWED, detail)
}
