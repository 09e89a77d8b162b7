//! From a plan to a running program.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use admin::ReloadError;
use cluster::Bus;
use control::Control;
use mapping::store::LoadError;
use mapping::{Router, Settings};
use moves::{Moves, Parts};
use observe::Accounts;
use placement::Placement;
use plan::{LogFormat, LogIdentifiers, Plan};
use runtime::{ActivePlan, ActivePlanError, Arrival, CurrentPlan, LoginRecorder, TlsMaterial};
use sessions::{LoginThrottle, Registry};
use tls::{Certificates, PlatformRoots, SetupError, Tickets, WatchHandle};

use crate::api_tls::ApiTls;
use crate::health_checks;
use crate::mapping::Mapping;
use crate::reload_history::ReloadHistory;
use crate::service_manager::ServiceManager;
use crate::takeover::TakeoverError;
use crate::{report, state};

/// Everything that runs, except the listeners' accept loops.
pub struct App {
    /// The plan in force.
    pub(crate) current: CurrentPlan,
    mail: mail::Service,
    web: web::Service,
    pub(crate) registry: Registry,
    pub(crate) throttle: LoginThrottle,
    pub(crate) router: Arc<Router>,
    recorder: LoginRecorder,
    control: Control,
    /// Unset without a management API, when the journal cannot be opened, and while a previous process has sessions.
    moves: OnceLock<Moves>,
    /// TLS state that outlives plans.
    pub(crate) material: TlsMaterial,
    /// Replaced by a reload; the watch ends with its certificates.
    pub(crate) certificates: Mutex<(Arc<Certificates>, WatchHandle)>,
    /// TLS of the management API, whether it is served or not.
    pub(crate) api_tls: ApiTls,
    /// The folder in which state is kept, if any is.
    state_folder: Option<PathBuf>,
    /// The plan of the start, which decides about sockets and sizes.
    pub(crate) started: Arc<Plan>,
    pub(crate) log: Option<observe::Handle>,
    /// Held during a reload, so that there is one at a time.
    pub(crate) mapping: tokio::sync::Mutex<Mapping>,
    pub(crate) reloads: ReloadHistory,
    pub(crate) service_manager: ServiceManager,
}

/// Why the program cannot start, or cannot go over to another plan.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration is not valid.
    #[error("{0}")]
    Config(config::Report),
    /// The mapping could not be read.
    #[error("mapping: {0}")]
    Mapping(#[from] LoadError),
    /// Certificates could not be set up.
    #[error("tls: {0}")]
    Tls(#[from] SetupError),
    /// A destination or TLS towards clients could not be set up.
    #[error(transparent)]
    Plan(#[from] ActivePlanError),
    /// A listening socket could not be had.
    #[error(transparent)]
    Bind(#[from] listen::BindError),
    /// A socket of the service manager cannot be used.
    #[error(transparent)]
    Sockets(#[from] listen::InheritError),
    /// The running process did not pass its sockets.
    #[error(transparent)]
    Takeover(#[from] TakeoverError),
    /// What has to outlive the process could not be kept: the audit log, first of all.
    #[error("server.state_dir: the audit log cannot be kept in {}: {_1}", _0.display())]
    State(PathBuf, std::io::Error),
    /// The runtime or a signal handler could not be had.
    #[error("the system refused what the program needs: {0}")]
    System(#[from] std::io::Error),
}

// === impl App ===

impl App {
    /// Builds everything from `plan`; `log` is the running log, whose level reloads change.
    ///
    /// # Errors
    /// See [`StartError`]. Nothing runs then.
    pub async fn new(plan: Plan, log: Option<observe::Handle>) -> Result<Self, StartError> {
        let app = Self::build(plan, log).await?;
        app.open_moves().await;
        Ok(app)
    }

    /// Builds everything except the moves; see [`App::open_moves`].
    pub(crate) async fn build(plan: Plan, log: Option<observe::Handle>) -> Result<Self, StartError> {
        tls::provide();
        let plan = Arc::new(plan);
        let mapping = Mapping::open(&plan).await?;
        let (router, router_control) =
            Router::new(mapping.store(), Settings::of(&plan), plan.mapping.cache_max_entries);
        let router = Arc::new(router);
        let (registry, registry_control) = Registry::new(limits(&plan));
        let throttle =
            LoginThrottle::new(plan.limits.auth_delay_max, plan.limits.logins_in_flight_per_account);
        let recorder = LoginRecorder::new(throttle.clone(), Arc::new(accounts(&plan)));
        let (publisher, subscription) = Bus::new(&node(&plan));
        let control = Control::new(router_control, registry_control, publisher);
        mapping.publish(&plan, plan.admin.as_ref(), &control);
        tokio::spawn(control.clone().apply_remote(subscription));

        let certificates = Certificates::new(&plan.tls, &hostnames(&plan))?;
        let state_folder = state_folder(&plan)?;
        let api_tls = ApiTls::new(&plan, &certificates, state_folder.as_deref())?;
        let material = TlsMaterial { tickets: Arc::new(Tickets::new()?), roots: PlatformRoots::default() };
        let active = ActivePlan::new(Arc::clone(&plan), &certificates, &material, None)?;
        let watch = certificates.watch();

        let current = CurrentPlan::new(Arc::new(active));
        tokio::spawn(health_checks::run(current.clone()));
        let placement = Placement::new(registry.clone(), Arc::clone(&router), current.clone());
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let arrival = Arrival::new(plan.limits.handshakes_per_core.saturating_mul(cores));
        Ok(Self {
            current,
            mail: mail::Service::new(placement.clone(), arrival.clone(), recorder.clone()),
            web: web::Service::new(placement, arrival, recorder.clone()),
            registry,
            throttle,
            router,
            recorder,
            control,
            moves: OnceLock::new(),
            material,
            certificates: Mutex::new((certificates, watch)),
            api_tls,
            state_folder,
            started: plan,
            log,
            mapping: tokio::sync::Mutex::new(mapping),
            reloads: ReloadHistory::begin(),
            service_manager: ServiceManager::from_environment(),
        })
    }

    /// Opens the journal of moves, and settles what an earlier run has left unfinished. No other process may have sessions
    /// by then: a move would not end them. Mail is served without moves rather than not at all.
    pub(crate) async fn open_moves(&self) {
        let Some(folder) = self.state_folder() else { return };
        let plan = self.plan();
        let path = plan.plan.moves.journal.clone().unwrap_or_else(|| folder.join("moves.sqlite"));
        let parts = Parts {
            control: self.control.clone(),
            router: Arc::clone(&self.router),
            registry: self.registry.clone(),
            current: self.current.clone(),
        };
        match Moves::open(&path, parts).await {
            // It is called once.
            Ok(moves) => drop(self.moves.set(moves)),
            Err(error) => tracing::error!(
                %error,
                "accounts cannot be moved by `pointsman move` until the next start"
            ),
        }
    }

    /// Returns the plan in force.
    pub fn plan(&self) -> Arc<ActivePlan> {
        self.current.now()
    }

    /// Returns what serves the text protocols.
    pub const fn mail(&self) -> &mail::Service {
        &self.mail
    }

    /// Returns what serves HTTP.
    pub const fn web(&self) -> &web::Service {
        &self.web
    }

    /// Returns the mapping.
    pub const fn router(&self) -> &Arc<Router> {
        &self.router
    }

    /// Returns how account names appear in the log.
    pub(crate) const fn accounts(&self) -> &Arc<Accounts> {
        self.recorder.accounts()
    }

    pub(crate) const fn api_tls(&self) -> &ApiTls {
        &self.api_tls
    }

    /// Returns the folder in which state is kept, where there is a management API.
    pub(crate) fn state_folder(&self) -> Option<&Path> {
        self.state_folder.as_deref()
    }

    /// Returns the live state of accounts.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Returns the one way to change a mapping or to end sessions.
    pub fn control(&self) -> &Control {
        &self.control
    }

    /// Returns the moves, where they are possible.
    pub fn moves(&self) -> Option<&Moves> {
        self.moves.get()
    }

    /// Returns the certificates that clients are shown.
    pub(crate) fn certificate_table(&self) -> Arc<Certificates> {
        Arc::clone(&self.certificates.lock().unwrap_or_else(PoisonError::into_inner).0)
    }
}

// === impl StartError ===

impl From<StartError> for ReloadError {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Config(report) => Self::Config {
                path: report.path.clone(),
                errors: report.errors(),
                problems: report::diagnostics(&report),
            },
            StartError::Mapping(error) => Self::Mapping(error),
            other => Self::Other(other.to_string()),
        }
    }
}

/// Returns the folder in which state is kept, where there is a management API.
fn state_folder(plan: &Plan) -> Result<Option<PathBuf>, StartError> {
    if plan.admin.is_none() {
        return Ok(None);
    }
    match state::folder(plan) {
        Ok(folder) => Ok(Some(folder)),
        Err(error) => Err(StartError::State(plan.server.state_dir.clone(), error)),
    }
}

/// Returns the form of the log that a plan asks for.
#[must_use]
pub(crate) const fn log_format(plan: &Plan) -> observe::Format {
    match plan.server.log_format {
        LogFormat::Text => observe::Format::Text,
        LogFormat::Json => observe::Format::Json,
    }
}

pub(crate) fn limits(plan: &Plan) -> sessions::Limits {
    sessions::Limits {
        logins_in_flight: plan.limits.logins_in_flight_per_account,
        connections: plan.limits.connections_per_account,
    }
}

fn accounts(plan: &Plan) -> Accounts {
    match plan.server.log_identifiers {
        LogIdentifiers::Full => Accounts::Full,
        LogIdentifiers::Hash => Accounts::Hash(Box::new(observe::account::HashKey::random())),
    }
}

/// Returns this proxy's name among others: the configured one, else the host's.
fn node(plan: &Plan) -> String {
    let host = || rustix::system::uname().nodename().to_string_lossy().into_owned();
    plan.node.clone().unwrap_or_else(host)
}

/// Returns the names in the self-signed certificate that is used when no other is configured.
pub(crate) fn hostnames(plan: &Plan) -> Vec<String> {
    plan.server.hostname.iter().cloned().chain(["localhost".to_owned()]).collect()
}
