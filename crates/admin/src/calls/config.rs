//! `POST /config/reload`: the same as SIGHUP, with an answer.

use api::act::ConfigReloaded;
use axum::Json;
use axum::extract::State;

use crate::audit::Act;
use crate::failure::{Answer, Failure};
use crate::parameters::Parameters;
use crate::shared::{Caller, Shared};

/// See the module's comment.
pub(crate) async fn reload(
    State(shared): State<Shared>,
    caller: Caller,
    parameters: Parameters,
) -> Answer<Json<ConfigReloaded>> {
    parameters.only(&[])?;
    let outcome = match shared.app_handle.reload().await {
        Ok(reload) => {
            Ok(Json(ConfigReloaded { restart_required: reload.restart_required, warnings: reload.warnings }))
        }
        Err(error) => Err(Failure::from(error)),
    };
    let path = shared.plan().plan.path.display().to_string();
    shared.record(&caller, Act::to("config.reload", path), &outcome).await;
    outcome
}
