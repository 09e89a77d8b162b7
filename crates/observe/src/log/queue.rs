//! The queue between the threads that log and the one thread that writes.
//!
//! Standard error may be a pipe whose reader has stopped, and a write to it then waits for ever. So a thread that
//! logs only appends to a buffer in memory. When the buffer is full, lines are dropped and counted. What must never
//! happen here: a wait for the writer, or a write while the lock is held.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tracing_subscriber::fmt::MakeWriter;

/// Most bytes that wait to be written. As many again may be with the writer.
pub(super) const CAPACITY: usize = 1 << 20;

/// Most memory that is kept for lines while there are none.
const IDLE_CAPACITY: usize = 64 * 1024;

/// Lines that wait to be written. A clone is the same queue.
#[derive(Clone, Debug)]
pub(super) struct LogQueue(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Signalled when a line was added.
    added: Condvar,
    /// Signalled when the writer has written what it took.
    written: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Whole lines; at most [`CAPACITY`] bytes.
    pending: Vec<u8>,
    /// Whether the writer has lines that it has not written yet.
    is_writing: bool,
    /// Lines that were dropped since the start.
    dropped: u64,
    /// How many of `dropped` the log has reported.
    reported: u64,
}

// === impl LogQueue ===

impl LogQueue {
    pub(super) fn new() -> Self {
        let state = Mutex::new(State::default());
        Self(Arc::new(Shared { state, added: Condvar::new(), written: Condvar::new() }))
    }

    /// Writes lines to `out`, for as long as the process runs. `report` logs how many lines were dropped.
    pub(super) fn write_to(&self, mut out: impl Write, report: impl Fn(u64)) {
        let mut batch = Vec::new();
        let mut is_healthy = true;
        loop {
            let unreported = self.take(&mut batch, is_healthy);
            // Before the write, so that the report is the first line after the gap.
            if unreported > 0 {
                report(unreported);
            }
            is_healthy = out.write_all(&batch).and_then(|()| out.flush()).is_ok();
            self.finish(&batch, is_healthy);
        }
    }

    /// Returns the number of lines that were dropped since the start.
    pub(super) fn dropped(&self) -> u64 {
        self.lock().dropped
    }

    /// Waits until every line is written, for at most `limit`. Returns whether it is so.
    pub(super) fn flush(&self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        let mut state = self.lock();
        while state.is_writing || !state.pending.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            state = self.0.written.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// Appends a line, or drops and counts it if there is no room.
    fn add(&self, line: &[u8]) {
        let mut state = self.lock();
        if line.len() > CAPACITY - state.pending.len() {
            state.dropped += 1;
            return;
        }
        state.pending.extend_from_slice(line);
        drop(state);
        self.0.added.notify_one();
    }

    /// Waits for lines and moves them to `batch`. Returns how many dropped lines are to be reported: none while
    /// writes fail, because the report could not be written either.
    fn take(&self, batch: &mut Vec<u8>, is_healthy: bool) -> u64 {
        let mut state = self.lock();
        while state.pending.is_empty() && (!is_healthy || state.reported == state.dropped) {
            state = self.0.added.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        batch.clear();
        batch.shrink_to(IDLE_CAPACITY);
        std::mem::swap(&mut state.pending, batch);
        state.is_writing = true;
        if !is_healthy {
            return 0;
        }
        let unreported = state.dropped - state.reported;
        state.reported = state.dropped;
        unreported
    }

    fn finish(&self, batch: &[u8], is_healthy: bool) {
        let mut state = self.lock();
        if !is_healthy {
            // Some of these lines may have been written: more are counted, never fewer.
            let lines = batch.iter().filter(|byte| **byte == b'\n').count();
            state.dropped += u64::try_from(lines).unwrap_or(u64::MAX);
        }
        state.is_writing = false;
        drop(state);
        self.0.written.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Write for LogQueue {
    /// Takes one formatted line. Never fails and never waits for the writer.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.add(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for LogQueue {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[cfg(test)]
mod tests;
