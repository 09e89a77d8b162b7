//! Where each call is. Every path also answers behind [`V1`].

/// Prefix of the newer pages' paths: `/api/v1/stats` is `/stats`.
pub const V1: &str = "/api/v1";

/// `GET`, no token: 200 `ok` while the process runs.
pub const HEALTHZ: &str = "/healthz";
/// `GET`, no token: 503 while the proxy drains or its default destination is down.
pub const READYZ: &str = "/readyz";
/// `GET`: [`crate::state::Stats`].
pub const STATS: &str = "/stats";
/// `GET`: [`crate::state::Destinations`].
pub const DESTINATIONS: &str = "/destinations";
/// `POST` with `destination`: [`crate::act::Reset`].
pub const DESTINATIONS_RESET: &str = "/destinations/reset";
/// `GET` with `identifier`: [`crate::mapping::Mapping`]; without: [`crate::mapping::Page`], or text as
/// [`crate::mapping::TSV`]. `PUT`: [`crate::mapping::Stored`]. `DELETE`: [`crate::mapping::Removed`].
pub const MAPPINGS: &str = "/mappings";
/// `POST`: [`crate::mapping::Reloaded`].
pub const MAPPINGS_RELOAD: &str = "/mappings/reload";
/// `POST` with lines as a body: [`crate::mapping::Imported`].
pub const MAPPINGS_IMPORT: &str = "/mappings/import";
/// `POST`: [`crate::act::Invalidated`].
pub const CACHE_INVALIDATE: &str = "/cache/invalidate";
/// `GET`: [`crate::state::Connections`].
pub const CONNECTIONS: &str = "/connections";
/// `POST`: [`crate::act::Kicked`].
pub const CONNECTIONS_KICK: &str = "/connections/kick";
/// `POST`: [`crate::act::Delayed`].
pub const CONNECTIONS_DELAY: &str = "/connections/delay";
/// `POST`: [`crate::act::ConfigReloaded`].
pub const CONFIG_RELOAD: &str = "/config/reload";
/// `POST` with [`crate::moves::NewMoves`]: [`crate::moves::Accepted`]. `GET`: [`crate::moves::MovePage`].
pub const MOVES: &str = "/moves";
/// `GET`, `DELETE`: [`crate::moves::Move`].
pub const MOVE: &str = "/moves/{id}";
/// `POST` with [`crate::moves::MoveChoices`]: [`crate::moves::Accepted`].
pub const MOVE_ROLLBACK: &str = "/moves/{id}/rollback";
/// `GET`: [`crate::moves::Batch`].
pub const MOVE_BATCH: &str = "/moves/batches/{name}";
/// `POST`: [`crate::moves::Batch`].
pub const MOVE_BATCH_PAUSE: &str = "/moves/batches/{name}/pause";
/// `POST`: [`crate::moves::Batch`].
pub const MOVE_BATCH_RESUME: &str = "/moves/batches/{name}/resume";
/// `GET`: [`crate::audit::Page`].
pub const AUDIT: &str = "/audit";
/// `GET`: text for Prometheus.
pub const METRICS: &str = "/metrics";
/// `GET`: server-sent events, [`crate::event::Event`].
pub const EVENTS: &str = "/events";
/// `GET`: the description of all this (OpenAPI 3.1).
pub const OPENAPI: &str = "/openapi.json";

/// Returns the path of a move, or of an action on it.
#[must_use]
pub fn one_move(id: i64, action: Option<&str>) -> String {
    match action {
        Some(action) => format!("{MOVES}/{id}/{action}"),
        None => format!("{MOVES}/{id}"),
    }
}

/// Returns the path of a batch of moves, or of an action on it.
#[must_use]
pub fn move_batch(name: &str, action: Option<&str>) -> String {
    let mut path = format!("{MOVES}/batches/");
    for &byte in name.as_bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            path.push(char::from(byte));
        } else {
            path.push_str(&format!("%{byte:02X}"));
        }
    }
    if let Some(action) = action {
        path.push('/');
        path.push_str(action);
    }
    path
}
