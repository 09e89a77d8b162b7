//! The management API's place in the program: its certificate, and what it may do.

use futures_core::future::BoxFuture;
use std::path::Path;
use std::sync::Arc;

use admin::{AppHandle, Audit, Reload, ReloadError, Server};
use arc_swap::ArcSwap;
use control::Control;
use listen::ConnectionLimiter;
use mapping::Router;
use plan::{ADMIN_CERTIFICATE, ADMIN_KEY, Admin, Name, Plan};
use runtime::ActivePlan;
use sessions::Registry;
use tls::{Acceptor, Certificates, SetupError, Tickets};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::doors::Doors;
use crate::start::{App, StartError};

/// The API's TLS.
pub(crate) struct Tls {
    /// Self-signed, and the same from start to start: clients pin it.
    own: Arc<Certificates>,
    tickets: Tickets,
    acceptor: ArcSwap<Acceptor>,
}

/// What the API is lent.
struct AppHandleImpl {
    app: Arc<App>,
    places: Vec<(Name, ConnectionLimiter)>,
    closing: CancellationToken,
}

/// All that the API speaks.
const ALPN: &[&[u8]] = &[b"http/1.1"];

/// Binds the API and opens its audit log, where the plan has one. Nothing is served yet.
///
/// # Errors
/// An address that cannot be had, a folder that cannot be written.
pub(crate) fn bind(app: &Arc<App>, doors: &Doors) -> Result<Option<(Server, Audit)>, StartError> {
    let plan = app.plan();
    let (Some(admin), Some(folder)) = (&plan.plan.admin, app.state_folder()) else {
        return Ok(None);
    };
    let audit = Audit::open(folder, app.accounts())
        .map_err(|error| StartError::State(plan.plan.server.state_dir.clone(), error))?;
    let lent =
        AppHandleImpl { app: Arc::clone(app), places: doors.places.clone(), closing: doors.closing.clone() };
    let server = Server::bind(admin, Arc::new(lent), audit.clone())?;
    Ok(Some((server, audit)))
}

/// Serves the API until the process ends: a drain is watched from there.
pub(crate) fn serve(server: Server) {
    server.serve(&TaskTracker::new(), &CancellationToken::new());
}

// === impl Tls ===

impl Tls {
    /// With the certificate that `plan` names, or the self-signed one in `folder`, whose hash is logged.
    pub(crate) fn new(
        plan: &Plan,
        certificates: &Arc<Certificates>,
        folder: Option<&Path>,
    ) -> Result<Self, SetupError> {
        let is_shown = matches!(&plan.admin, Some(Admin { certificate: None, .. }));
        let own = match folder.filter(|_| is_shown) {
            Some(folder) => {
                Certificates::kept(&folder.join(ADMIN_CERTIFICATE), &folder.join(ADMIN_KEY), &names(plan))
            }
            // Of use only to a reload that no longer names one.
            None => Certificates::self_signed(&names(plan)),
        }?;
        // Of its own: a ticket of a mail client's must not open a session here.
        let tickets = Tickets::new()?;
        let acceptor = acceptor(plan, certificates, &own, &tickets)?;
        if is_shown {
            let sha256: String = own.list().iter().flat_map(|info| info.sha256).map(hex).collect();
            tracing::info!(sha256, "management API: self-signed certificate; clients pin this");
        }
        Ok(Self { own, tickets, acceptor: ArcSwap::from_pointee(acceptor) })
    }

    /// What `plan` asks for, to be put in force by [`Tls::set`].
    pub(crate) fn of(&self, plan: &Plan, certificates: &Arc<Certificates>) -> Result<Acceptor, SetupError> {
        acceptor(plan, certificates, &self.own, &self.tickets)
    }

    pub(crate) fn set(&self, acceptor: Acceptor) {
        self.acceptor.store(Arc::new(acceptor));
    }
}

fn acceptor(
    plan: &Plan,
    certificates: &Arc<Certificates>,
    own: &Arc<Certificates>,
    tickets: &Tickets,
) -> Result<Acceptor, SetupError> {
    match plan.admin.as_ref().and_then(|admin| admin.certificate.as_ref()) {
        Some(name) => Acceptor::named(&plan.tls, certificates, name, tickets, ALPN),
        None => Acceptor::new(&plan.tls, own, tickets, ALPN),
    }
}

/// Names in the self-signed certificate: our own, and the addresses that it is shown on.
fn names(plan: &Plan) -> Vec<String> {
    let addresses = plan.admin.iter().flat_map(|admin| &admin.bind);
    let addresses =
        addresses.filter(|address| !address.ip().is_unspecified()).map(|address| address.ip().to_string());
    plan.server.hostname.iter().cloned().chain(["localhost".to_owned()]).chain(addresses).collect()
}

fn hex(byte: u8) -> String {
    format!("{byte:02x}")
}

// === impl AppHandleImpl ===

impl AppHandle for AppHandleImpl {
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
        Acceptor::clone(&self.app.api_tls().acceptor.load())
    }

    fn listeners(&self) -> Vec<(Name, usize)> {
        self.places.iter().map(|(name, places)| (Arc::clone(name), places.count())).collect()
    }

    fn control(&self) -> Control {
        self.app.control().clone()
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
