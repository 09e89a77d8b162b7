//! The steps of one move.
//!
//! What must never happen here: a step that is taken before it is in the journal; a flip while a session of the group
//! is open, while the sync still runs, or after the hold is over; logins that go on before it is known what the store has
//! written.

use std::sync::Arc;

use control::{Order, OrderError};
use mapping::Change;
use plan::Name;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::command::{CommandError, Output, Task};
use crate::comparing::{MailboxReader, judge};
use crate::crash_point::crash_point;
use crate::failure::MoveFailure;
use crate::holding::Holding;
use crate::journal::Ending;
use crate::location::{Location, forget_cached, locate, settle};
use crate::record::{Figures, MoveOutcome, MoveRecord, Step};
use crate::request::MoveRequest;
use crate::shared::Shared;

/// A move in progress.
pub(crate) struct Running {
    shared: Arc<Shared>,
    record: MoveRecord,
    cancel: CancellationToken,
    output: Output,
}

// === impl Running ===

impl Running {
    pub(crate) fn new(shared: Arc<Shared>, record: MoveRecord, cancel: CancellationToken) -> Self {
        Self { shared, record, cancel, output: Output::default() }
    }

    /// Takes every step, and writes how the move ended.
    pub(crate) async fn run(mut self) -> MoveOutcome {
        let result = self.take_steps().await;
        let outcome = match &result {
            Ok(()) => MoveOutcome::Done,
            Err(failure) => failure.outcome(),
        };
        let message = result.err().map(|failure| failure.to_string());
        log_end(&self.record, outcome, message.as_deref());
        let output = std::mem::take(&mut self.output).into_text();
        let ending =
            Ending { outcome, message: message.as_deref(), figures: &self.record.figures, output: &output };
        crash_point("end");
        self.shared.write_end(self.record.id, &ending).await;
        outcome
    }

    async fn take_steps(&mut self) -> Result<(), MoveFailure> {
        // The queue has written that the check begins.
        self.check().await?;
        self.enter(Step::Hold).await?;
        let holding = Holding::begin(&self.shared, &self.record).await?;
        let moved = self.take_held_steps(&holding).await;
        crash_point("flipped or failed");
        if moved.is_ok() {
            // From here on the move can be taken back, not cancelled.
            self.cancel = CancellationToken::new();
            self.enter_after_flip(Step::Release).await;
        }
        holding.release(&mut self.record).await;
        moved?;
        let Err(error) = self.verify().await else { return Ok(()) };
        match self.revert().await {
            Ok(()) => Err(MoveFailure::Verify(error)),
            Err(failure) => Err(MoveFailure::NotReverted { error, failure: Box::new(failure) }),
        }
    }

    /// The steps under the hold. After `Ok` the accounts are at the target.
    async fn take_held_steps(&mut self, holding: &Holding) -> Result<(), MoveFailure> {
        self.enter(Step::Drain).await?;
        self.drain(holding).await?;
        self.copy(holding).await?;
        self.enter(Step::Flip).await?;
        let source = Arc::clone(&self.record.source);
        let target = Arc::clone(&self.record.target);
        self.flip(holding, &source, &target).await
    }

    /// Writes that a step is about to be taken, before the mapping is changed: without the journal nothing is begun.
    async fn enter(&mut self, step: Step) -> Result<(), MoveFailure> {
        self.stop_if_cancelled()?;
        self.record.step = step;
        self.shared.journal.enter(self.record.id, step).await?;
        self.shared.changed(&self.record);
        crash_point(step.label());
        Ok(())
    }

    /// Writes the same once the mapping has been changed: from there on the move is finished, with the journal or without.
    async fn enter_after_flip(&mut self, step: Step) {
        self.record.step = step;
        if let Err(error) = self.shared.journal.enter(self.record.id, step).await {
            tracing::error!(id = %self.record.id, %error, step = step.label(), "a step of a move was not recorded");
        }
        self.shared.changed(&self.record);
        crash_point(step.label());
    }

    fn stop_if_cancelled(&self) -> Result<(), MoveFailure> {
        if self.cancel.is_cancelled() { Err(MoveFailure::Cancelled) } else { Ok(()) }
    }

    // --- check ---

    async fn check(&mut self) -> Result<(), MoveFailure> {
        // A queued move may have waited, and its accounts may have been moved by hand meanwhile.
        forget_cached(&self.shared, &self.record).await;
        let request = MoveRequest {
            accounts: self.record.accounts.iter().map(Arc::clone).collect(),
            target: Arc::clone(&self.record.target),
            options: self.record.options.clone(),
            rollback_of: self.record.rollback_of,
        };
        let plan = self.shared.current.now();
        let checked = self.shared.checker(&plan).check(&request).await?.map_err(MoveFailure::Problems)?;
        self.shared.journal.checked(self.record.id, &checked.source).await?;
        self.record.source = checked.source;
        Ok(())
    }

    // --- drain, sync and verify ---

    async fn drain(&mut self, holding: &Holding) -> Result<(), MoveFailure> {
        let ended = holding.drain(self.record.options.grace, &self.cancel).await?;
        self.record.figures.sessions_ended += ended;
        Ok(())
    }

    /// Copies until the source stays unchanged while it is copied, and compares the mailboxes.
    async fn copy(&mut self, holding: &Holding) -> Result<(), MoveFailure> {
        let options = self.record.options.compare;
        let has_sync = self.record.options.sync.is_some();
        let plan = self.shared.current.now();
        let rounds = if has_sync { plan.plan.moves.max_rounds } else { 1 };
        let reader = MailboxReader::new(plan, &self.record, holding.deadline(), &self.cancel);
        self.enter(Step::Sync).await?;
        if options.is_none() && !(has_sync && reader.can_read_source()) {
            self.sync(holding).await?;
            return self.stop_if_cancelled();
        }
        let mut before = reader.snapshot().await?;
        let mut last_change = String::new();
        for _ in 0..rounds {
            self.enter(Step::Sync).await?;
            self.sync(holding).await?;
            self.enter(Step::Compare).await?;
            let mut changed = reader.change_since(&mut before).await?;
            if let (None, Some(options)) = (&changed, options) {
                let report = reader.compare(options.with_shared).await?;
                // The comparison takes a while, too.
                changed = reader.change_since(&mut before).await?;
                if changed.is_none() {
                    return judge(&report, options.tolerance, &mut self.output);
                }
            }
            let Some(folder) = changed else { return Ok(()) };
            self.output.line(&format!("{folder} has changed at {} since the copy", self.record.source));
            last_change = folder;
        }
        Err(MoveFailure::NotQuiet { folder: last_change, rounds })
    }

    async fn sync(&mut self, holding: &Holding) -> Result<(), MoveFailure> {
        let Some(command) = self.record.options.sync.clone() else { return Ok(()) };
        let result = self.run_command(&command, holding.deadline()).await;
        match result {
            Ok(()) => Ok(()),
            Err(CommandError::TimedOut(_)) => {
                Err(MoveFailure::HoldOver { hold: self.record.options.hold, step: Step::Sync })
            }
            Err(error) => Err(MoveFailure::Sync(error)),
        }
    }

    async fn verify(&mut self) -> Result<(), CommandError> {
        let Some(command) = self.record.options.verify.clone() else { return Ok(()) };
        self.enter_after_flip(Step::Verify).await;
        let deadline = Instant::now() + self.record.options.hold;
        self.run_command(&command, deadline).await
    }

    async fn run_command(&mut self, command: &str, deadline: Instant) -> Result<(), CommandError> {
        let record = &self.record;
        let names: Vec<&str> = record.accounts.iter().map(|name| &**name).collect();
        let environment = vec![
            ("ACCOUNT", names.first().map(|name| (*name).to_owned()).unwrap_or_default()),
            ("ACCOUNTS", names.join("\n")),
            ("FROM", record.source.to_string()),
            ("TO", record.target.to_string()),
            ("MOVE_ID", record.id.to_string()),
        ];
        let task = Task { command, environment, deadline, cancel: &self.cancel };
        task.run(&mut self.output).await
    }

    // --- flip ---

    /// The mapping may have been changed by hand while the accounts were held. That change stays.
    async fn check_unchanged(&self, source: &Name) -> Result<(), MoveFailure> {
        match locate(&self.shared, &self.record).await {
            Location::At(found) if found == *source => Ok(()),
            Location::At(found) => Err(self.changed_meanwhile(found)),
            Location::Split { account, found } => Err(MoveFailure::ChangedMeanwhile { account, found }),
            Location::Unknown => {
                let why = "it does not answer".into();
                Err(MoveFailure::Store(OrderError::Store(mapping::store::StoreError::Unreachable(why))))
            }
        }
    }

    /// Maps the group to `to` in one durable write. When the store does not say what it has written, the group stays
    /// held until it does.
    async fn flip(&self, holding: &Holding, from: &Name, to: &Name) -> Result<(), MoveFailure> {
        self.check_unchanged(from).await?;
        holding.check_in_force(self.record.step).await?;
        let order = Order::Change(self.changes(to));
        let Err(error) = self.shared.control.execute(order).await else { return Ok(()) };
        match settle(&self.shared, &self.record).await {
            Location::At(found) if found == *to => Ok(()),
            Location::At(found) if found == *from => Err(MoveFailure::Store(error)),
            Location::At(found) => Err(self.changed_meanwhile(found)),
            Location::Split { account, found } => Err(MoveFailure::ChangedMeanwhile { account, found }),
            Location::Unknown => Err(MoveFailure::Store(error)),
        }
    }

    fn changed_meanwhile(&self, found: Name) -> MoveFailure {
        let account = self.record.accounts.first().map_or_else(Arc::default, Arc::clone);
        MoveFailure::ChangedMeanwhile { account, found }
    }

    fn changes(&self, to: &Name) -> Vec<Change> {
        self.record.accounts.iter().map(|account| Change::set(&**account, &**to)).collect()
    }

    /// Takes the accounts back to the source, because the check at the target failed: held again, flipped back, released.
    async fn revert(&mut self) -> Result<(), MoveFailure> {
        self.enter_after_flip(Step::Revert).await;
        let holding = Holding::begin(&self.shared, &self.record).await?;
        let result = async {
            self.drain(&holding).await?;
            let source = Arc::clone(&self.record.source);
            let target = Arc::clone(&self.record.target);
            self.flip(&holding, &target, &source).await
        };
        let result = result.await;
        holding.release(&mut self.record).await;
        result
    }
}

fn log_end(record: &MoveRecord, outcome: MoveOutcome, message: Option<&str>) {
    let accounts = record.accounts.len();
    let Figures { held, sessions_ended, logins_waited, longest_wait } = record.figures;
    let id = record.id;
    let held_ms = held.as_millis();
    let longest_wait_ms = longest_wait.as_millis();
    if outcome == MoveOutcome::Done {
        tracing::info!(%id, accounts, source = %record.source, target = %record.target, held_ms, sessions_ended,
            logins_waited, longest_wait_ms, "moved");
    } else {
        tracing::warn!(%id, accounts, source = %record.source, target = %record.target, held_ms, sessions_ended,
            logins_waited, step = record.step.label(), outcome = outcome.label(),
            reason = message.unwrap_or_default(), "not moved");
    }
}
