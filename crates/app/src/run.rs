//! One run of the program: start, signals, drain.

use std::sync::Arc;
use std::time::Duration;

use admin::{Action, Actor, Audit};
use config::Report;
use control::Order;
use plan::Plan;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::timeout;

use crate::listeners::Listeners;
use crate::management;
use crate::process;
use crate::report;
use crate::service_manager::{DRAIN_EXTENSION, State};
use crate::start::{App, StartError, log_format};

/// Options of a run, besides its plan.
#[derive(Default)]
pub struct Options {
    /// Called once every listener is open.
    pub on_ready: Option<Box<dyn FnOnce() + Send>>,
    /// Leave the log alone: the caller has set it up.
    pub keep_log: bool,
    /// The warnings about the configuration, to be logged.
    pub warnings: Option<Report>,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Every session had ended.
    Drained,
    /// Sessions were still open when `shutdown_grace` was over, or when a second signal came.
    Cut {
        /// How many sessions.
        sessions: usize,
    },
}

/// The longest wait at the end for log lines that are not written yet.
const LOG_FLUSH_LIMIT: Duration = Duration::from_secs(2);

/// Writes what the log still holds when a run ends, by a panic too.
struct FlushLog(Option<observe::Handle>);

/// Runs the proxy until SIGINT or SIGTERM, and drains it.
///
/// # Errors
/// When it cannot start; nothing was served.
pub fn run(plan: Plan, options: Options) -> Result<Ended, StartError> {
    let log = if options.keep_log {
        None
    } else {
        let server = &plan.server;
        let log = observe::init(&server.log_level, log_format(&plan), server.log_timestamps);
        Some(log.map_err(std::io::Error::other)?)
    };
    if let Some(warnings) = &options.warnings {
        report::log(warnings);
    }
    let _flush = FlushLog(log.clone());
    process::raise_descriptors();
    process::forbid_dumps();
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    if plan.server.threads > 0 {
        builder.worker_threads(plan.server.threads);
    }
    let runtime = builder.enable_all().build()?;
    let ended = runtime.block_on(Box::pin(run_app(plan, options, log)));
    // Tasks that are left had their time in the grace period.
    runtime.shutdown_timeout(Duration::from_secs(1));
    ended
}

impl Drop for FlushLog {
    fn drop(&mut self) {
        if let Some(log) = &self.0 {
            log.flush(LOG_FLUSH_LIMIT);
        }
    }
}

async fn run_app(plan: Plan, options: Options, log: Option<observe::Handle>) -> Result<Ended, StartError> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let app = Arc::new(App::new(plan, log).await?);
    // Everything is bound before anything is accepted, so that either all listeners open or none does.
    let mut listeners = Listeners::bind(&app)?;
    let (server, audit) = management::bind(&app, &listeners)?.unzip();
    listeners.accept(&app);
    tokio::spawn(app.mail().clone().learn());
    if let Some(server) = server {
        management::serve(server);
    }
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "ready");
    app.service_manager.notify(State::Ready, "ready").await;
    if let Some(interval) = app.service_manager.watchdog() {
        tokio::spawn(keep_watchdog(Arc::clone(&app), interval / 2));
    }
    if let Some(on_ready) = options.on_ready {
        on_ready();
    }
    loop {
        tokio::select! {
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
            _ = hangup.recv() => reload(&app, audit.as_ref()).await,
        }
    }
    let grace = app.plan().plan.server.shutdown_grace;
    if app.service_manager.is_present() {
        tokio::spawn(report_drain(Arc::clone(&app)));
    }
    tokio::select! {
        ended = drain(&app, &listeners, grace) => Ok(ended),
        _ = interrupt.recv() => Ok(cut(&app)),
        _ = terminate.recv() => Ok(cut(&app)),
    }
}

/// Reloads on a signal; the result goes into the log and the audit log.
async fn reload(app: &App, audit: Option<&Audit>) {
    let result = match app.reload().await {
        Ok(reload) => {
            if !reload.restart_required.is_empty() {
                tracing::warn!(keys = reload.restart_required.join(", "), "these keys need a restart");
            }
            tracing::info!("configuration reloaded");
            "ok"
        }
        Err(StartError::Config(problems)) => {
            report::log(&problems);
            tracing::error!(errors = problems.errors(), "reload refused, everything stays as it was");
            "refused"
        }
        Err(error) => {
            tracing::error!(%error, "reload refused, everything stays as it was");
            "refused"
        }
    };
    if let Some(audit) = audit {
        let path = app.plan().plan.path.display().to_string();
        audit.record(&Actor::Signal, Action::to("config.reload", path), result).await;
    }
}

/// Closes the listeners, ends the sessions over the grace period, and waits for them.
async fn drain(app: &App, listeners: &Listeners, grace: Duration) -> Ended {
    let sessions = app.registry().counts().sessions;
    tracing::info!(sessions, grace_seconds = grace.as_secs(), "draining");
    listeners.close();
    app.service_manager.notify(State::Stopping, &left(app)).await;
    if let Some(moves) = app.moves()
        && timeout(grace, moves.shut_down()).await.is_err()
    {
        tracing::warn!("moves are in progress: the next start settles them");
    }
    // The last fifth of the grace period is for farewells to slow clients.
    let drain = Order::Drain { spread: grace.mul_f32(0.8) };
    if let Err(error) = app.control().execute(drain).await {
        tracing::error!(%error, "sessions were not signalled to end");
    }
    match timeout(grace, listeners.drained()).await {
        Ok(()) => {
            tracing::info!("drained");
            Ended::Drained
        }
        Err(_) => cut(app),
    }
}

/// Notifies the service manager's watchdog. The count of sessions takes the registry's locks, and the task needs the
/// runtime: when either is stuck, the service manager restarts the program.
async fn keep_watchdog(app: Arc<App>, interval: Duration) {
    let mut ticks = tokio::time::interval(interval);
    loop {
        ticks.tick().await;
        let sessions = app.registry().counts().sessions;
        app.service_manager.notify(State::Alive, &format!("sessions: {sessions}")).await;
    }
}

/// Reports the progress of a drain to the service manager, and asks it for more time, until the process ends.
async fn report_drain(app: Arc<App>) {
    let mut ticks = tokio::time::interval(DRAIN_EXTENSION / 10);
    loop {
        ticks.tick().await;
        app.service_manager.notify(State::Draining, &left(&app)).await;
    }
}

/// Returns the status line of a drain.
fn left(app: &App) -> String {
    format!("draining, sessions left: {}", app.registry().counts().sessions)
}

fn cut(app: &App) -> Ended {
    let sessions = app.registry().counts().sessions;
    tracing::warn!(sessions, "ended with sessions still open");
    Ended::Cut { sessions }
}
