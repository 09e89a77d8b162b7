//! The end of a run: clients leave over the grace period.
//!
//! What must never happen here: clients that all reconnect at once, or a session that is cut while it could end by itself.

use std::sync::Arc;
use std::time::Duration;

use control::Order;
use tokio::time::{sleep, timeout};

use crate::listeners::Listeners;
use crate::service_manager::{DRAIN_EXTENSION, State};
use crate::start::App;

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

/// A drain.
pub(crate) struct Drain<'a> {
    app: &'a Arc<App>,
    listeners: &'a Listeners,
    grace: Duration,
    /// Another process accepts connections, so there is time for logins that have begun here.
    is_replaced: bool,
}

// === impl Drain ===

impl<'a> Drain<'a> {
    /// Prepares a drain within `server.shutdown_grace`.
    pub(crate) fn new(app: &'a Arc<App>, listeners: &'a Listeners, is_replaced: bool) -> Self {
        let grace = app.plan().plan.server.shutdown_grace;
        Self { app, listeners, grace, is_replaced }
    }

    /// Closes the listeners, ends the sessions over the grace period, and waits for them.
    pub(crate) async fn run(&self) -> Ended {
        let sessions = self.app.registry().counts().sessions;
        tracing::info!(
            sessions,
            grace_seconds = self.grace.as_secs(),
            replaced = self.is_replaced,
            "draining"
        );
        self.listeners.close();
        self.app.service_manager.notify(State::Stopping, &left(self.app)).await;
        if self.app.service_manager.is_present() {
            tokio::spawn(report_drain(Arc::clone(self.app)));
        }
        let is_drained = timeout(self.grace, self.end_sessions()).await.is_ok();
        if !is_drained {
            return cut(self.app);
        }
        tracing::info!("drained");
        Ended::Drained
    }

    /// Resolves when every session has ended.
    async fn end_sessions(&self) {
        if let Some(moves) = self.app.moves()
            && timeout(self.grace.mul_f32(0.5), moves.shut_down()).await.is_err()
        {
            tracing::warn!("moves are in progress: the next start settles them");
        }
        // The last fifth of the grace period is for farewells to slow clients.
        let mut spread = self.grace.mul_f32(0.8);
        if self.is_replaced {
            // Logins that have begun here end here, and their clients may do what they have come for.
            let pause = self.grace.mul_f32(0.2);
            sleep(pause).await;
            spread = spread.saturating_sub(pause);
        }
        self.listeners.drain();
        if let Err(error) = self.app.control().execute(Order::Drain { spread }).await {
            tracing::error!(%error, "sessions were not signalled to end");
        }
        self.listeners.drained().await;
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

/// Ends the run with what is left.
pub(crate) fn cut(app: &App) -> Ended {
    let sessions = app.registry().counts().sessions;
    tracing::warn!(sessions, "ended with sessions still open");
    Ended::Cut { sessions }
}
