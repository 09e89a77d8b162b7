//! `GET /audit`: the audit log.

use api::audit::AuditPage;
use api::parameters::{FROM, LIMIT};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;

use crate::failure::{CallResult, Failure};
use crate::parameters::Parameters;
use crate::shared::Shared;

/// `GET /audit`.
pub(crate) async fn page(
    State(shared): State<Shared>,
    parameters: Parameters,
) -> CallResult<Json<AuditPage>> {
    let (from, limit) = parameters.only(&[FROM, LIMIT])?.page()?;
    let page = shared.audit.page(from, limit).await.map_err(|error| {
        let detail = format!("{} cannot be read: {error}", shared.audit.path().display());
        Failure::new(StatusCode::INTERNAL_SERVER_ERROR, detail)
    })?;
    Ok(Json(page))
}
