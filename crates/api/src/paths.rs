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
/// `GET`: [`crate::audit::Page`].
pub const AUDIT: &str = "/audit";
/// `GET`: text for Prometheus.
pub const METRICS: &str = "/metrics";
/// `GET`: server-sent events, [`crate::event::Event`].
pub const EVENTS: &str = "/events";
/// `GET`: the description of all this (OpenAPI 3.1).
pub const OPENAPI: &str = "/openapi.json";
