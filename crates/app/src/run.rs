//! One run of the program: start, signals, drain.

use std::sync::Arc;
use std::time::Duration;

use admin::{Act, Actor, Audit};
use config::Report;
use plan::Plan;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::timeout;

use crate::doors::{self, Doors};
use crate::process;
use crate::report;
use crate::start::{App, StartError, log_format};

/// What a run is told beside its plan.
#[derive(Default)]
pub struct Options {
    /// Called once, when every listener is open.
    pub on_ready: Option<Box<dyn FnOnce() + Send>>,
    /// Leave the log alone: somebody else has set it up.
    pub keep_log: bool,
    /// What the configuration had to say although it is valid: goes into the log.
    pub warnings: Option<Report>,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Every session had ended.
    Drained,
    /// Sessions were still open when `shutdown_grace` was over, or when a second signal came.
    Cut {
        /// How many.
        sessions: usize,
    },
}

/// Runs the proxy until SIGINT or SIGTERM, and drains it.
///
/// # Errors
/// When it cannot start; nothing was served then.
pub fn run(plan: Plan, options: Options) -> Result<Ended, StartError> {
    let log = if options.keep_log {
        None
    } else {
        Some(observe::init(&plan.server.log_level, log_format(&plan)).map_err(std::io::Error::other)?)
    };
    if let Some(warnings) = &options.warnings {
        report::log(warnings);
    }
    process::raise_descriptors();
    process::forbid_dumps();
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    if plan.server.threads > 0 {
        builder.worker_threads(plan.server.threads);
    }
    let runtime = builder.enable_all().build()?;
    let ended = runtime.block_on(Box::pin(live(plan, options, log.clone())));
    // Whatever is left has been given its time.
    runtime.shutdown_timeout(Duration::from_secs(1));
    drop(log);
    ended
}

async fn live(plan: Plan, options: Options, log: Option<observe::Handle>) -> Result<Ended, StartError> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let app = Arc::new(App::new(plan, log).await?);
    let (doors, audit) = doors::open(&app)?;
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "ready");
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
    tokio::select! {
        ended = drain(&app, &doors, grace) => Ok(ended),
        _ = interrupt.recv() => Ok(cut(&app)),
        _ = terminate.recv() => Ok(cut(&app)),
    }
}

/// A reload that a signal asked for: what it comes to is in the log, and in the audit log.
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
        audit.record(&Actor::Signal, Act::to("config.reload", path), result).await;
    }
}

/// Closes the doors, sends the sessions home over the grace, and waits for them.
async fn drain(app: &App, doors: &Doors, grace: Duration) -> Ended {
    let sessions = app.registry().counts().sessions;
    tracing::info!(sessions, grace_seconds = grace.as_secs(), "draining");
    doors.closing.cancel();
    doors.tasks.close();
    // The last fifth of the grace is for goodbyes that take their time.
    app.registry().drain(grace.mul_f32(0.8));
    match timeout(grace, doors.tasks.wait()).await {
        Ok(()) => {
            tracing::info!("drained");
            Ended::Drained
        }
        Err(_) => cut(app),
    }
}

fn cut(app: &App) -> Ended {
    let sessions = app.registry().counts().sessions;
    tracing::warn!(sessions, "ended with sessions still open");
    Ended::Cut { sessions }
}
