//! From a plan to a running program, and from one plan to the next.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use admin::{Reload, ReloadError};
use cluster::Bus;
use control::Control;
use mail::{Context, ContextError, Current, Live};
use mapping::store::LoadError;
use mapping::{Router, Settings};
use observe::Accounts;
use plan::{LogFormat, LogIdentifiers, Plan};
use sessions::{LoginThrottle, Registry};
use tls::{Certificates, PlatformRoots, SetupError, Tickets, WatchHandle};
use tokio::sync::Semaphore;

use crate::mapping::{Left, Mapping};
use crate::metrics::Chronicle;
use crate::{management, report, restart, state};

/// Everything that runs, but for the doors.
pub struct App {
    context: Current<Context>,
    /// HTTP by the same plan.
    http: Current<web::Service>,
    live: Live,
    control: Control,
    /// Replaced by a reload; the watch ends with its certificates.
    certificates: Mutex<(Arc<Certificates>, WatchHandle)>,
    /// Of the management API, whether it is served or not.
    api_tls: management::Tls,
    /// Where state is kept, if any is.
    state_folder: Option<PathBuf>,
    /// What the sockets and the sizes are those of.
    started: Arc<Plan>,
    log: Option<observe::Handle>,
    /// Held over a reload: one at a time.
    mapping: tokio::sync::Mutex<Mapping>,
    pub(crate) chronicle: Chronicle,
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
    /// A destination or the acceptor could not be set up.
    #[error(transparent)]
    Context(#[from] ContextError),
    /// A listening socket could not be had.
    #[error(transparent)]
    Bind(#[from] listen::BindError),
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
        tls::provide();
        let plan = Arc::new(plan);
        let started = Arc::clone(&plan);
        let mapping = Mapping::open(&plan).await?;
        let settings = Settings::of(&plan);
        let router = Arc::new(Router::new(mapping.store(), settings, plan.mapping.cache_max_entries));
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let live = Live {
            registry: Registry::new(limits(&plan)),
            throttle: LoginThrottle::new(plan.limits.auth_delay_max),
            router,
            accounts: Arc::new(accounts(&plan)),
            tickets: Arc::new(Tickets::new()?),
            roots: PlatformRoots::default(),
            handshakes: Arc::new(Semaphore::new(plan.limits.handshakes_per_core.saturating_mul(cores))),
        };
        let (bus, subscription) = Bus::new(&node(&plan));
        let control = Control::new(Arc::clone(&live.router), live.registry.clone(), bus);
        mapping.publish(&plan, plan.admin.as_ref(), &control);
        tokio::spawn(control.clone().apply_remote(subscription));
        let certificates = Certificates::new(&plan.tls, &hostnames(&plan))?;
        let state_folder = match &plan.admin {
            Some(_) => Some(
                state::folder(&plan)
                    .map_err(|error| StartError::State(plan.server.state_dir.clone(), error))?,
            ),
            None => None,
        };
        let api_tls = management::Tls::new(&plan, &certificates, state_folder.as_deref())?;
        let context = Arc::new(Context::new(plan, &certificates, live.clone(), None)?);
        let http = web::Service::new(Arc::clone(&context), &certificates)?;
        let watch = certificates.watch();
        Ok(Self {
            context: Current::new(context),
            http: Current::new(Arc::new(http)),
            control,
            live,
            certificates: Mutex::new((certificates, watch)),
            api_tls,
            state_folder,
            started,
            log,
            mapping: tokio::sync::Mutex::new(mapping),
            chronicle: Chronicle::begin(),
        })
    }

    /// What is in force.
    pub fn context(&self) -> Arc<Context> {
        self.context.now()
    }

    /// The same, for sessions: what is in force when they log in.
    pub const fn current(&self) -> &Current<Context> {
        &self.context
    }

    /// The same for HTTP.
    pub const fn http(&self) -> &Current<web::Service> {
        &self.http
    }

    pub(crate) const fn api_tls(&self) -> &management::Tls {
        &self.api_tls
    }

    /// Where state is kept, with a management API.
    pub(crate) fn state_folder(&self) -> Option<&Path> {
        self.state_folder.as_deref()
    }

    /// The live state of accounts.
    pub fn registry(&self) -> &Registry {
        &self.live.registry
    }

    /// Whoever changes a mapping or sends sessions away does it through these.
    pub fn control(&self) -> &Control {
        &self.control
    }

    /// The certificates that clients are shown.
    pub(crate) fn certificate_table(&self) -> Arc<Certificates> {
        Arc::clone(&self.certificates.lock().unwrap_or_else(PoisonError::into_inner).0)
    }

    /// Reads the configuration and the mapping again, and swaps both in if both are valid. What needs a restart
    /// stays as it was, and is told.
    ///
    /// # Errors
    /// See [`StartError`]. Everything stays as it was then.
    pub async fn reload(&self) -> Result<Reload, StartError> {
        let reloaded = self.try_reload().await;
        self.chronicle.reloaded(reloaded.is_ok());
        reloaded
    }

    async fn try_reload(&self) -> Result<Reload, StartError> {
        let mut mapping = self.mapping.lock().await;
        let path = self.context().plan.path.clone();
        let loaded = tokio::task::spawn_blocking(move || config::load(&path))
            .await
            .map_err(std::io::Error::other)?
            .map_err(StartError::Config)?;
        report::log(&loaded.warnings);
        let plan = Arc::new(loaded.plan);
        let certificates = Certificates::new(&plan.tls, &hostnames(&plan))?;
        let context = Arc::new(Context::new(
            Arc::clone(&plan),
            &certificates,
            self.live.clone(),
            Some(&self.context()),
        )?);
        let http = web::Service::new(Arc::clone(&context), &certificates)?;
        let api_acceptor = self.api_tls.of(&plan, &certificates)?;
        // The last step that can fail: everything behind it is a swap.
        let prepared = mapping.prepare(&plan).await?;
        let mut left = Left::Nothing;
        // In one moment, so that no login is routed by one plan and confirmed by another.
        self.http.replace(Arc::new(http), || {
            self.context.replace(context, || {
                left = mapping.adopt(prepared);
                self.live.router.set_plan(&mapping.store(), &Settings::of(&plan));
            });
        });
        mapping.watch(&plan);
        // Who stays in the same store stays in its channel: leaving would drop what waits to be said there. The token
        // is the one that the API has, which only a restart changes.
        if matches!(left, Left::Mapping(_)) {
            mapping.publish(&plan, self.started.admin.as_ref(), &self.control);
        }
        self.live.registry.set_limits(limits(&plan));
        self.live.throttle.set_longest(plan.limits.auth_delay_max);
        self.api_tls.set(api_acceptor);
        self.set_level(&plan.server.log_level);
        let watch = certificates.watch();
        let restart_required = restart::required(&self.started, &plan);
        *self.certificates.lock().unwrap_or_else(PoisonError::into_inner) = (certificates, watch);
        // Not within the swap: every login would wait for it. Whether it ends well changes nothing.
        let _ = tokio::task::spawn_blocking(|| left.settle()).await;
        Ok(Reload { restart_required, warnings: loaded.warnings })
    }

    fn set_level(&self, level: &str) {
        let Some(log) = self.log.as_ref().filter(|log| !log.is_from_environment()) else {
            return;
        };
        if let Err(error) = log.set_level(level) {
            tracing::warn!(%error, "the level of the log stays as it was");
        }
    }
}

// === impl StartError ===

impl From<StartError> for ReloadError {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Config(report) => Self::Config(report),
            StartError::Mapping(error) => Self::Mapping(error),
            other => Self::Other(other.to_string()),
        }
    }
}

/// How the log is to be, of a plan.
#[must_use]
pub(crate) const fn log_format(plan: &Plan) -> observe::Format {
    match plan.server.log_format {
        LogFormat::Text => observe::Format::Text,
        LogFormat::Json => observe::Format::Json,
    }
}

fn limits(plan: &Plan) -> sessions::Limits {
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

/// This proxy's name among others: the configured one, else the host's.
fn node(plan: &Plan) -> String {
    let host = || rustix::system::uname().nodename().to_string_lossy().into_owned();
    plan.node.clone().unwrap_or_else(host)
}

/// Names for the self-signed certificate, should there be no other.
fn hostnames(plan: &Plan) -> Vec<String> {
    plan.server.hostname.iter().cloned().chain(["localhost".to_owned()]).collect()
}
