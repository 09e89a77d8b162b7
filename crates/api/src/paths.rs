//! The path of each call. Every path also works after the prefix [`V1`].

/// An optional prefix: `/api/v1/stats` is the same as `/stats`.
pub const V1: &str = "/api/v1";

/// `GET`, no token: 200 `ok` while the process runs.
pub const HEALTHZ: &str = "/healthz";
/// `GET`, no token: 503 while the proxy drains or its default destination is down; otherwise [`crate::status::Ready`].
pub const READYZ: &str = "/readyz";
/// `GET`: [`crate::status::Stats`].
pub const STATS: &str = "/stats";
/// `GET`: [`crate::status::Destinations`].
pub const DESTINATIONS: &str = "/destinations";
/// `POST` with `destination`: [`crate::action::DestinationReset`].
pub const DESTINATIONS_RESET: &str = "/destinations/reset";
/// `GET` with `identifier`: [`crate::mapping::Mapping`]; without: [`crate::mapping::MappingPage`], or text as
/// [`crate::mapping::TSV`]. `PUT`: [`crate::mapping::Stored`]. `DELETE`: [`crate::mapping::Removed`].
pub const MAPPINGS: &str = "/mappings";
/// `POST`: [`crate::mapping::Reloaded`].
pub const MAPPINGS_RELOAD: &str = "/mappings/reload";
/// `POST` with lines as a body: [`crate::mapping::Imported`].
pub const MAPPINGS_IMPORT: &str = "/mappings/import";
/// `POST`: [`crate::action::Invalidated`].
pub const CACHE_INVALIDATE: &str = "/cache/invalidate";
/// `GET`: [`crate::status::Connections`].
pub const CONNECTIONS: &str = "/connections";
/// `POST`: [`crate::action::Kicked`].
pub const CONNECTIONS_KICK: &str = "/connections/kick";
/// `POST`: [`crate::action::Delayed`].
pub const CONNECTIONS_DELAY: &str = "/connections/delay";
/// `POST`: [`crate::action::ConfigReloaded`].
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
/// `POST` with [`crate::compare::NewComparison`]: [`crate::compare::Comparison`].
pub const COMPARE: &str = "/compare";
/// `GET`: [`crate::audit::AuditPage`].
pub const AUDIT: &str = "/audit";
/// `GET`: text for Prometheus.
pub const METRICS: &str = "/metrics";
/// `GET`: server-sent events, [`crate::event::StatusEvent`].
pub const EVENTS: &str = "/events";
/// `GET`: the description of the API (OpenAPI 3.1).
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
