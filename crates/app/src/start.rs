//! From a plan to a running program, and from one plan to the next.

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use config::plan::{LogFormat, LogIdentifiers, Plan};
use desk::Desk;
use observe::Accounts;
use route::store::LoadError;
use route::{Router, Settings};
use session::{Context, ContextError, Live};
use tls::{Certificates, PlatformRoots, SetupError, Tickets, WatchHandle};
use tokio::sync::Semaphore;

use crate::mapping::Mapping;
use crate::metrics::Chronicle;
use crate::report;

/// Everything that runs, but for the doors.
pub struct App {
    context: ArcSwap<Context>,
    live: Live,
    /// Replaced by a reload; the watch ends with its certificates.
    certificates: Mutex<(Arc<Certificates>, WatchHandle)>,
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
    /// The runtime or a signal handler could not be had.
    #[error("the system refused what the program needs: {0}")]
    System(#[from] std::io::Error),
}

// === impl App ===

impl App {
    /// Builds everything from `plan`.
    ///
    /// # Errors
    /// See [`StartError`]. Nothing runs then.
    pub async fn new(plan: Plan) -> Result<Self, StartError> {
        let plan = Arc::new(plan);
        let mapping = Mapping::open(&plan).await?;
        let settings = Settings::of(&plan);
        let router = Arc::new(Router::new(mapping.store(), settings, plan.mapping.cache_max_entries));
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let live = Live {
            desk: Desk::new(limits(&plan)),
            router,
            accounts: Arc::new(accounts(&plan)),
            tickets: Arc::new(Tickets::new()?),
            roots: PlatformRoots::default(),
            handshakes: Arc::new(Semaphore::new(plan.limits.handshakes_per_core.saturating_mul(cores))),
        };
        let certificates = Certificates::new(&plan.tls, &hostnames(&plan))?;
        let context = Context::new(plan, &certificates, live.clone(), None)?;
        let watch = certificates.watch();
        Ok(Self {
            context: ArcSwap::from_pointee(context),
            live,
            certificates: Mutex::new((certificates, watch)),
            mapping: tokio::sync::Mutex::new(mapping),
            chronicle: Chronicle::begin(),
        })
    }

    /// What new sessions begin with.
    pub fn context(&self) -> Arc<Context> {
        self.context.load_full()
    }

    /// The live state of accounts.
    pub fn desk(&self) -> &Desk {
        &self.live.desk
    }

    /// The certificates that clients are shown.
    pub(crate) fn certificate_table(&self) -> Arc<Certificates> {
        Arc::clone(&self.certificates.lock().unwrap_or_else(PoisonError::into_inner).0)
    }

    /// Reads the configuration and the mapping again, and swaps both in if both are valid. Listeners' sockets,
    /// threads and cache sizes stay as they were.
    ///
    /// # Errors
    /// See [`StartError`]. Everything stays as it was then.
    pub async fn reload(&self) -> Result<(), StartError> {
        let reloaded = self.try_reload().await;
        self.chronicle.reloaded(reloaded.is_ok());
        reloaded
    }

    async fn try_reload(&self) -> Result<(), StartError> {
        let mut mapping = self.mapping.lock().await;
        let path = self.context().plan.path.clone();
        let loaded = tokio::task::spawn_blocking(move || config::load(&path))
            .await
            .map_err(std::io::Error::other)?
            .map_err(StartError::Config)?;
        report::log(&loaded.warnings);
        let plan = Arc::new(loaded.plan);
        let certificates = Certificates::new(&plan.tls, &hostnames(&plan))?;
        let context =
            Context::new(Arc::clone(&plan), &certificates, self.live.clone(), Some(&self.context()))?;
        // The last step that can fail: everything behind it is a swap.
        mapping.adopt(&plan).await?;
        self.live.router.set_plan(&mapping.store(), &Settings::of(&plan));
        self.live.desk.set_limits(limits(&plan));
        let watch = certificates.watch();
        self.context.store(Arc::new(context));
        *self.certificates.lock().unwrap_or_else(PoisonError::into_inner) = (certificates, watch);
        Ok(())
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

fn limits(plan: &Plan) -> desk::Limits {
    desk::Limits {
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

/// Names for the self-signed certificate, should there be no other.
fn hostnames(plan: &Plan) -> Vec<String> {
    plan.server.hostname.iter().cloned().chain(["localhost".to_owned()]).collect()
}
