//! Reads the mailboxes of a move: whether the source is quiet, and whether the target has everything.
//!
//! A delivery, a Sieve runner or a webmail at the source writes without the proxy, and so past the hold. What it writes
//! after the copy would stay behind.

use std::future::Future;
use std::sync::Arc;

use compare::{CompareError, Report, Side, Snapshot, Tolerance};
use plan::Name;
use runtime::ActivePlan;
use tokio::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

use crate::command::Output;
use crate::failure::MoveFailure;
use crate::record::{MoveRecord, Step};

/// Reads the mailboxes of one move.
pub(crate) struct MailboxReader {
    plan: Arc<ActivePlan>,
    account: Arc<str>,
    source: Name,
    target: Name,
    hold: Duration,
    deadline: Instant,
    cancel: CancellationToken,
}

/// Differences that are listed in the output of a move.
const MAX_LISTED: usize = 100;

// === impl MailboxReader ===

impl MailboxReader {
    /// Reads for `record` until `deadline`. Both servers must know the mailbox under the first name.
    pub(crate) fn new(
        plan: Arc<ActivePlan>,
        record: &MoveRecord,
        deadline: Instant,
        cancel: &CancellationToken,
    ) -> Self {
        Self {
            plan,
            account: record.accounts.first().map_or_else(Arc::default, Arc::clone),
            source: Arc::clone(&record.source),
            target: Arc::clone(&record.target),
            hold: record.options.hold,
            deadline,
            cancel: cancel.clone(),
        }
    }

    /// Returns whether the configuration has a login for the source.
    pub(crate) fn can_read_source(&self) -> bool {
        self.side(&self.source).is_ok()
    }

    /// Returns the state of the source now.
    pub(crate) async fn snapshot(&self) -> Result<Snapshot, MoveFailure> {
        let side = self.side(&self.source)?;
        self.unless_cancelled(Snapshot::take(side, &self.account, self.deadline)).await
    }

    /// Returns a folder of the source that has changed since `before`, which becomes the state of now.
    pub(crate) async fn change_since(&self, before: &mut Snapshot) -> Result<Option<String>, MoveFailure> {
        let now = self.snapshot().await?;
        let changed = before.first_change(&now);
        *before = now;
        Ok(changed)
    }

    /// Compares the source with the target.
    pub(crate) async fn compare(&self, with_shared: bool) -> Result<Report, MoveFailure> {
        let request = compare::Request {
            account: &self.account,
            source: self.side(&self.source)?,
            target: self.side(&self.target)?,
            with_shared,
            deadline: self.deadline,
        };
        self.unless_cancelled(compare::compare(request)).await
    }

    fn side(&self, name: &Name) -> Result<Side<'_>, MoveFailure> {
        Side::of(&self.plan.backends, &self.plan.plan, name)
            .ok_or_else(|| MoveFailure::CannotCompare(Arc::clone(name)))
    }

    /// Waits for `read`, which changes nothing and can be given up at any moment.
    async fn unless_cancelled<T>(
        &self,
        read: impl Future<Output = Result<T, CompareError>>,
    ) -> Result<T, MoveFailure> {
        let result = tokio::select! {
            result = read => result,
            () = self.cancel.cancelled() => return Err(MoveFailure::Cancelled),
        };
        match result {
            // The servers are not to blame.
            Err(_) if Instant::now() >= self.deadline => {
                Err(MoveFailure::HoldOver { hold: self.hold, step: Step::Compare })
            }
            result => result.map_err(MoveFailure::Compare),
        }
    }
}

/// Adds the differences to the output of the move, and returns a failure when they stop it.
pub(crate) fn judge(report: &Report, tolerance: Tolerance, output: &mut Output) -> Result<(), MoveFailure> {
    let total = report.total();
    let Report { folders, messages, .. } = report;
    output.line(&format!("compared folders: {folders}, messages: {messages}, differences: {total}"));
    for difference in report.differences.iter().take(MAX_LISTED) {
        output.line(&difference.to_string());
    }
    if total > MAX_LISTED {
        output.line(&format!("{} more differences", total - MAX_LISTED));
    }
    for sharing in &report.sharing {
        output.line(&sharing.to_string());
    }
    if report.is_within(tolerance) {
        return Ok(());
    }
    let first = report.differences.iter().find(|difference| tolerance.stops_at(difference.kind()));
    Err(MoveFailure::Different {
        missing: report.missing,
        total,
        first: first.map(ToString::to_string).unwrap_or_default(),
    })
}
