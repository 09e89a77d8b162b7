//! The management API's access to the program.

use futures_core::future::BoxFuture;
use std::sync::Arc;

use admin::{AppHandle, Audit, Reload, ReloadError, Server};
use control::Control;
use listen::{Binder, ConnectionLimiter};
use mapping::Router;
use moves::Moves;
use plan::Name;
use runtime::ActivePlan;
use sessions::Registry;
use tls::Acceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::listeners::Listeners;
use crate::start::{App, StartError};

/// The running program, as the API sees it.
struct RunningApp {
    app: Arc<App>,
    limiters: Vec<(Name, ConnectionLimiter)>,
    closing: CancellationToken,
}

/// Binds the API and opens its audit log, where the plan has an API. Nothing is served yet.
///
/// # Errors
/// When an address cannot be bound or the audit log cannot be written.
pub(crate) fn bind(
    app: &Arc<App>,
    listeners: &Listeners,
    binder: &mut Binder,
) -> Result<Option<(Server, Audit)>, StartError> {
    let plan = app.plan();
    let (Some(admin), Some(folder)) = (&plan.plan.admin, app.state_folder()) else {
        return Ok(None);
    };
    let audit = Audit::open(folder, app.accounts())
        .map_err(|error| StartError::State(plan.plan.server.state_dir.clone(), error))?;
    let handle = RunningApp {
        app: Arc::clone(app),
        limiters: listeners.limiters().to_vec(),
        closing: listeners.closing().clone(),
    };
    let server = Server::bind(admin, binder, Arc::new(handle), audit.clone())?;
    Ok(Some((server, audit)))
}

/// Serves the API until the process ends, so that a drain can be watched over it, or until the returned token is
/// cancelled, since another process serves it.
pub(crate) fn serve(server: Server) -> CancellationToken {
    let ending = CancellationToken::new();
    server.serve(&TaskTracker::new(), &ending);
    ending
}

// === impl RunningApp ===

impl AppHandle for RunningApp {
    fn plan(&self) -> Arc<ActivePlan> {
        self.app.plan()
    }

    fn registry(&self) -> Registry {
        self.app.registry().clone()
    }

    fn router(&self) -> Arc<Router> {
        Arc::clone(self.app.router())
    }

    fn acceptor(&self) -> Acceptor {
        self.app.api_tls().acceptor()
    }

    fn listeners(&self) -> Vec<(Name, usize)> {
        self.limiters.iter().map(|(name, limiter)| (Arc::clone(name), limiter.count())).collect()
    }

    fn control(&self) -> Control {
        self.app.control().clone()
    }

    fn moves(&self) -> Option<Moves> {
        self.app.moves().cloned()
    }

    fn is_draining(&self) -> bool {
        self.closing.is_cancelled()
    }

    fn reload(&self) -> BoxFuture<'_, Result<Reload, ReloadError>> {
        Box::pin(async { self.app.reload().await.map_err(StartError::into) })
    }

    fn metrics(&self) -> Option<(&'static str, String)> {
        Some((observe::metrics::CONTENT_TYPE, self.app.metrics()))
    }
}
