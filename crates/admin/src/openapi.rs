//! The description of the API, written by hand and held against the routes by a test.

use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};

/// OpenAPI 3.1.
pub(crate) const DESCRIPTION: &str = include_str!("openapi.json");

/// `GET /openapi.json`.
pub(crate) async fn openapi() -> Response {
    ([(CONTENT_TYPE, "application/json")], DESCRIPTION).into_response()
}
