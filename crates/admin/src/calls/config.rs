//! `POST /config/reload`: the same as SIGHUP, with a response.

use api::action::ConfigReloaded;
use axum::Json;
use axum::extract::State;

use crate::audit::Action;
use crate::failure::{CallResult, Failure};
use crate::parameters::Parameters;
use crate::shared::{Caller, Shared};

/// `POST /config/reload`.
pub(crate) async fn reload(
    State(shared): State<Shared>,
    caller: Caller,
    parameters: Parameters,
) -> CallResult<Json<ConfigReloaded>> {
    parameters.only(&[])?;
    let outcome = match shared.app_handle.reload().await {
        Ok(reload) => {
            Ok(Json(ConfigReloaded { restart_required: reload.restart_required, warnings: reload.warnings }))
        }
        Err(error) => Err(Failure::from(error)),
    };
    let path = shared.plan().plan.path.display().to_string();
    shared.record(&caller, Action::to("config.reload", path), &outcome).await;
    outcome
}
