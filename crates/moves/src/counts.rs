//! How many moves there are, and what they have cost since the start of the process: for the metrics.

use std::time::Duration;

use crate::record::{Figures, MoveOutcome, Step};

/// The numbers at one moment.
#[derive(Clone, Debug, Default)]
pub struct MoveCounts {
    /// Moves that have not ended, by step. A move that waits for the mapping store after a restart counts as queued.
    pub unfinished: Vec<(Step, usize)>,
    /// Logins that wait for the end of a move now.
    pub waiting_logins: usize,
    /// What has ended.
    pub totals: MoveTotals,
}

/// What the moves that have ended have cost.
#[derive(Clone, Copy, Debug, Default)]
pub struct MoveTotals {
    ended: [u64; MoveOutcome::ALL.len()],
    /// The time for which logins were held, of all moves together.
    pub held: Duration,
    /// Logins that waited.
    pub logins_waited: u64,
}

// === impl MoveTotals ===

impl MoveTotals {
    pub(crate) fn add(&mut self, outcome: MoveOutcome, figures: &Figures) {
        for (of, count) in MoveOutcome::ALL.into_iter().zip(&mut self.ended) {
            *count += u64::from(of == outcome);
        }
        self.held += figures.held;
        self.logins_waited += u64::try_from(figures.logins_waited).unwrap_or(u64::MAX);
    }

    /// Returns how many moves have ended in each way.
    pub fn ended(&self) -> impl Iterator<Item = (MoveOutcome, u64)> {
        MoveOutcome::ALL.into_iter().zip(self.ended)
    }
}
