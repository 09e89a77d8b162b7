//! From one plan to the next, in one moment.
//!
//! Everything that can fail is built first. What must never happen here: a login that is routed by one plan and
//! confirmed by another, or a refused reload that leaves something changed.

use std::sync::{Arc, PoisonError};

use admin::Reload;
use mapping::Settings;
use plan::Plan;
use runtime::ActivePlan;
use tls::Certificates;

use crate::mapping::Left;
use crate::service_manager::State;
use crate::start::{App, StartError, hostnames, limits};
use crate::{report, restart};

// === impl App ===

impl App {
    /// Reads the configuration and the mapping again, and puts both in force if both are valid. What needs a restart
    /// stays as it was, and is reported.
    ///
    /// # Errors
    /// See [`StartError`]. Everything stays as it was.
    pub async fn reload(&self) -> Result<Reload, StartError> {
        self.service_manager.notify(State::Reloading, "reloading the configuration").await;
        let reloaded = self.try_reload().await;
        self.reloads.record(reloaded.is_ok());
        // The state after a refusal, too: the former configuration stays in force.
        let status = match &reloaded {
            Ok(_) => "configuration reloaded",
            Err(_) => "reload refused, everything stays as it was: see the log",
        };
        self.service_manager.notify(State::Ready, status).await;
        reloaded
    }

    async fn try_reload(&self) -> Result<Reload, StartError> {
        let mut mapping = self.mapping.lock().await;
        let path = self.plan().plan.path.clone();
        let loaded = tokio::task::spawn_blocking(move || config::load(&path))
            .await
            .map_err(std::io::Error::other)?
            .map_err(StartError::Config)?;
        report::log(&loaded.warnings);
        let plan = Arc::new(loaded.plan);
        let certificates = Certificates::new(&plan.tls, &hostnames(&plan))?;
        let active = ActivePlan::new(Arc::clone(&plan), &certificates, &self.material, Some(&self.plan()))?;
        let api_acceptor = self.api_tls.prepare(&plan, &certificates)?;
        // The last step that can fail: everything after it only replaces what was built.
        let prepared = mapping.prepare(&plan).await?;
        let mut left = Left::Nothing;
        // In one moment, so that no login is routed by one plan and confirmed by another.
        self.current.replace(Arc::new(active), || {
            left = mapping.adopt(prepared);
            self.control().set_plan(&mapping.store(), &Settings::of(&plan));
        });
        mapping.watch(&plan);
        // A mapping that stays in the same store keeps its channel: leaving it would drop the events that wait to be
        // sent there. The channel's key is the API's token, which only a restart changes.
        if matches!(left, Left::Mapping(_)) {
            mapping.publish(&plan, self.started.admin.as_ref(), &self.control().clone());
        }
        self.control().set_limits(limits(&plan));
        self.throttle.set_limits(plan.limits.auth_delay_max, plan.limits.logins_in_flight_per_account);
        self.api_tls.set(api_acceptor);
        self.set_log_level(&plan);
        let watch = certificates.watch();
        let restart_required = restart::required(&self.started, &plan);
        *self.certificates.lock().unwrap_or_else(PoisonError::into_inner) = (certificates, watch);
        // Not while the plan is replaced: every login would wait for it. Its result changes nothing.
        let _ = tokio::task::spawn_blocking(|| left.settle()).await;
        Ok(Reload { restart_required, warnings: report::diagnostics(&loaded.warnings) })
    }

    fn set_log_level(&self, plan: &Plan) {
        let Some(log) = &self.log else { return };
        if log.is_from_environment() {
            return;
        }
        if let Err(error) = log.set_level(&plan.server.log_level) {
            tracing::warn!(%error, "the level of the log stays as it was");
        }
    }
}
