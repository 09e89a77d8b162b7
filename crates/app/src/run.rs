//! One run of the program: start, signals, drain.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use admin::{Action, Actor, Audit, Server};
use config::Report;
use listen::{Binder, Inherited};
use plan::Plan;
use tokio::signal::unix::{SignalKind, signal};

use crate::drain::{self, Drain, Ended};
use crate::listeners::Listeners;
use crate::service_manager::State;
use crate::start::{App, StartError, log_format};
use crate::takeover::{self, Offer, Previous, Successor, Taken};
use crate::{management, process, report, state};

/// Options of a run, besides its plan.
#[derive(Default)]
pub struct Options {
    /// Called once every listener is open.
    pub on_ready: Option<Box<dyn FnOnce() + Send>>,
    /// Take the listening sockets of the running process, if there is one, and have it drain.
    pub takeover: bool,
    /// Leave the log alone: the caller has set it up.
    pub keep_log: bool,
    /// The warnings about the configuration, to be logged.
    pub warnings: Option<Report>,
}

/// Sockets that the process did not open, and where they are from.
struct Inheritance {
    sockets: Inherited,
    /// The process that is taken over.
    previous: Option<Previous>,
}

/// A run that has ended.
struct Finished {
    ended: Ended,
    /// The process that has taken over.
    successor: Option<Successor>,
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
    let inheritance = inherit(&plan, options.takeover)?;
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    if plan.server.threads > 0 {
        builder.worker_threads(plan.server.threads);
    }
    let runtime = builder.enable_all().build()?;
    let finished = runtime.block_on(Box::pin(run_app(plan, options, log, inheritance)));
    // Tasks that are left had their time in the grace period.
    runtime.shutdown_timeout(Duration::from_secs(1));
    // The successor moves accounts from here on: no session is left.
    let Finished { ended, successor } = finished?;
    drop(successor);
    Ok(ended)
}

impl Drop for FlushLog {
    fn drop(&mut self) {
        if let Some(log) = &self.0 {
            log.flush(LOG_FLUSH_LIMIT);
        }
    }
}

async fn run_app(
    plan: Plan,
    options: Options,
    log: Option<observe::Handle>,
    inheritance: Inheritance,
) -> Result<Finished, StartError> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let Inheritance { sockets, previous } = inheritance;
    let app = Arc::new(App::build(plan, log).await?);
    if previous.is_none() {
        app.open_moves().await;
    }
    // Everything is bound before anything is accepted, so that either all listeners open or none does.
    let mut binder = Binder::new(&app.plan().plan, sockets);
    let mut listeners = Listeners::bind(&app, &mut binder)?;
    let (server, audit) = management::bind(&app, &listeners, &mut binder)?.unzip();
    check_unused(&app, &binder, previous.is_some())?;
    let offer = offer(&app, &listeners, server.as_ref());
    listeners.accept(&app);
    tokio::spawn(app.mail().clone().learn());
    let api = server.map(management::serve);
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "ready");
    if let Some(previous) = previous {
        replace(previous, &app);
    }
    app.service_manager.notify(State::Ready, "ready").await;
    if let Some(interval) = app.service_manager.watchdog() {
        tokio::spawn(keep_watchdog(Arc::clone(&app), interval / 2));
    }
    if let Some(on_ready) = options.on_ready {
        on_ready();
    }
    let mut replaced = pin!(replaced(offer));
    let successor = loop {
        tokio::select! {
            _ = interrupt.recv() => break None,
            _ = terminate.recv() => break None,
            _ = hangup.recv() => reload(&app, audit.as_ref()).await,
            successor = &mut replaced => break Some(successor),
        }
    };
    if successor.is_some()
        && let Some(api) = api
    {
        api.cancel();
    }
    let drain = Drain::new(&app, &listeners, successor.is_some());
    let ended = tokio::select! {
        ended = drain.run() => ended,
        _ = interrupt.recv() => drain::cut(&app),
        _ = terminate.recv() => drain::cut(&app),
    };
    Ok(Finished { ended, successor })
}

/// Returns the sockets to use instead of new ones: those of the running process with `--takeover`, or those of the service
/// manager.
fn inherit(plan: &Plan, takeover: bool) -> Result<Inheritance, StartError> {
    if takeover {
        if let Some(folder) = state::existing(plan)
            && let Some(Taken { sockets, previous }) = takeover::request(&folder)?
        {
            tracing::info!(
                sockets = sockets.count(),
                "taking over the listening sockets of the running process"
            );
            return Ok(Inheritance { sockets, previous: Some(previous) });
        }
        tracing::info!("no process to take over from: starting");
    }
    Ok(Inheritance { sockets: Inherited::from_environment()?, previous: None })
}

/// Checks that every inherited socket is used. After a takeover, the others are those of listeners that the
/// configuration no longer has: they are closed.
fn check_unused(app: &App, binder: &Binder, is_takeover: bool) -> Result<(), StartError> {
    if is_takeover {
        return Ok(());
    }
    let plan = &app.plan().plan;
    let admin = plan.admin.iter().map(|_| "admin".to_owned());
    let names = plan.listeners.iter().map(|listener| listener.name.to_string()).chain(admin);
    Ok(binder.unused().check_used(names.collect())?)
}

/// Offers the listening sockets to a later process. Mail is served without the offer rather than not at all.
fn offer(app: &App, listeners: &Listeners, server: Option<&Server>) -> Option<Offer> {
    let folder = state::existing(&app.plan().plan)?;
    let mut sockets = listeners.sockets();
    sockets.extend(server.into_iter().flat_map(Server::sockets));
    match Offer::open(&folder, sockets) {
        Ok(offer) => Some(offer),
        Err(error) => {
            tracing::warn!(%error, folder = %folder.display(), "`pointsman run --takeover` cannot replace this process");
            None
        }
    }
}

/// Resolves when a later process accepts the connections; never without an offer.
async fn replaced(offer: Option<Offer>) -> Successor {
    match offer {
        Some(offer) => offer.handed_over().await,
        None => std::future::pending().await,
    }
}

/// Has the previous process drain, and opens the moves when it has ended.
fn replace(previous: Previous, app: &Arc<App>) {
    if let Err(error) = previous.report_ready() {
        tracing::warn!(%error, "the previous process ended during the takeover");
    }
    let app = Arc::clone(app);
    tokio::spawn(async move {
        if let Err(error) = previous.ended().await {
            tracing::warn!(%error, "the connection to the previous process failed");
        }
        tracing::info!("the previous process has ended");
        app.open_moves().await;
    });
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
