//! The accounts of a move while they are held.
//!
//! What must never happen here: a hold that ends, at this proxy or at another one, while the mapping may still be changed;
//! a wait without a bound.

use std::sync::Arc;
use std::time::Duration;

use control::{HeldAccounts, Order, OrderError};
use sessions::HoldStats;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::failure::MoveFailure;
use crate::record::{Figures, MoveRecord, Step};
use crate::shared::Shared;

/// Accounts that are held, and until when the mapping may be changed.
pub(crate) struct Holding {
    held: HeldAccounts,
    costs: Vec<Arc<HoldStats>>,
    began: Instant,
    limit: Duration,
}

/// How long a session may take to end after a kick.
const KICKED: Duration = Duration::from_secs(5);

/// How much longer than its limit a hold lasts: a change of the mapping that began just within the limit must have been
/// made, or have failed, before a login goes on. Longer than any mapping store waits for its server.
const FLIP_TIME: Duration = Duration::from_secs(15);

/// How long the figures of a hold may take to be final after its release.
const SETTLED: Duration = Duration::from_secs(1);

// === impl Holding ===

impl Holding {
    /// Holds the accounts of a move, at every proxy.
    pub(crate) async fn begin(shared: &Shared, record: &MoveRecord) -> Result<Self, MoveFailure> {
        let began = Instant::now();
        let limit = record.options.hold;
        let accounts = record.accounts.iter().map(Arc::clone).collect();
        let order = Order::hold(accounts, limit + FLIP_TIME);
        let executed = shared.control.execute(order).await.map_err(MoveFailure::Hold)?;
        let Some(held) = executed.held() else { return Err(MoveFailure::Hold(OrderError::Interrupted)) };
        if !held.not_held_by().is_empty() {
            return Err(MoveFailure::NotHeldBy(held.not_held_by().to_vec()));
        }
        let costs = held.costs();
        shared.holds(record.id, &costs);
        Ok(Self { held, costs, began, limit })
    }

    /// When the mapping must have begun to change.
    pub(crate) fn deadline(&self) -> Instant {
        self.began + self.limit
    }

    /// Ends the sessions of the accounts: gently at first, with a kick when the grace is over. Returns how many sessions
    /// this proxy had.
    pub(crate) async fn drain(
        &self,
        grace: Duration,
        cancel: &CancellationToken,
    ) -> Result<usize, MoveFailure> {
        let before = self.held.sessions_left();
        let grace = (Instant::now() + grace).min(self.deadline());
        let has_ended = tokio::select! {
            ended = timeout_at(grace, self.held.end_sessions()) => matches!(ended, Ok(Ok(_))),
            () = cancel.cancelled() => return Err(MoveFailure::Cancelled),
        };
        if has_ended {
            return Ok(before);
        }
        let kicked = async {
            self.held.kick().await?;
            self.held.end_sessions().await
        };
        let result = tokio::select! {
            result = timeout(KICKED, kicked) => result,
            () = cancel.cancelled() => return Err(MoveFailure::Cancelled),
        };
        match result {
            Ok(Ok(_)) => Ok(before),
            Ok(Err(error)) => Err(MoveFailure::Hold(error)),
            Err(_) => Err(MoveFailure::SessionsLeft {
                here: self.held.sessions_left(),
                elsewhere: self.unconfirmed_by().await?,
            }),
        }
    }

    /// Checks, right before the mapping is changed, that the hold is in force everywhere and that its time is not over. A
    /// proxy that has restarted meanwhile does not know of it, and lets logins complete.
    pub(crate) async fn check_in_force(&self, step: Step) -> Result<(), MoveFailure> {
        let unconfirmed_by = self.unconfirmed_by().await?;
        if !unconfirmed_by.is_empty() {
            return Err(MoveFailure::NotHeldBy(unconfirmed_by));
        }
        if Instant::now() >= self.deadline() {
            return Err(MoveFailure::HoldOver { hold: self.limit, step });
        }
        Ok(())
    }

    async fn unconfirmed_by(&self) -> Result<Vec<Arc<str>>, MoveFailure> {
        self.held.unconfirmed_by().await.map_err(MoveFailure::Hold)
    }

    /// Lets the logins go on, and adds what the hold has cost them to `figures`.
    pub(crate) async fn release(self, record: &mut MoveRecord) {
        let Self { held, costs, began, .. } = self;
        let held_for = began.elapsed();
        if let Err(error) = held.release().await {
            tracing::error!(id = %record.id, %error, "other proxies may hold the accounts of a move until its time is over");
        }
        let settled = async {
            for cost in &costs {
                cost.none_waits().await;
            }
        };
        // A login that still waits then is missing from the figures.
        let _ = timeout(SETTLED, settled).await;
        let figures: &mut Figures = &mut record.figures;
        figures.held += held_for;
        figures.logins_waited += costs.iter().map(|cost| cost.logins()).sum::<usize>();
        for cost in &costs {
            figures.longest_wait = figures.longest_wait.max(cost.longest());
        }
    }
}
