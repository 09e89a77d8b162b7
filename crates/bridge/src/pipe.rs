//! The process's pipes: lent while bytes are in them, bounded in number.
//!
//! A pipe is two descriptors and the kernel's memory. An idle session has none; when all are lent, sessions
//! copy. A pipe that still holds bytes must never come back into the pool: the next session would send them.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use rustix::pipe::{PipeFlags, fcntl_setpipe_size, pipe_with};

/// Most pipes in use at once: 256 descriptors. Sessions move bulk for milliseconds at a time.
const MOST: usize = 128;
/// Most pipes kept for the next session.
const KEPT: usize = 16;
/// Bytes of one pipe, if the kernel allows: four times its default, for a quarter of the system calls. All
/// together they stay below what one user may have (`pipe-user-pages-soft`, 64 MiB).
const LENGTH: usize = 256 * 1024;

/// The pipes of the process.
pub(crate) static PIPES: Pool = Pool::new();

/// Lends pipes.
#[derive(Debug)]
pub(crate) struct Pool {
    empty: Mutex<Vec<Ends>>,
    lent: AtomicUsize,
}

/// A lent pipe.
#[derive(Debug)]
pub(crate) struct Pipe {
    pool: &'static Pool,
    /// `None` only while being dropped.
    ends: Option<Ends>,
    inside: usize,
}

/// The two ends.
#[derive(Debug)]
struct Ends {
    reader: OwnedFd,
    writer: OwnedFd,
}

// === impl Pool ===

impl Pool {
    pub(crate) const fn new() -> Self {
        Self { empty: Mutex::new(Vec::new()), lent: AtomicUsize::new(0) }
    }

    /// An empty pipe; `None` when all are lent, or the process has no descriptors left.
    pub(crate) fn lend(&'static self) -> Option<Pipe> {
        if self.lent.fetch_add(1, Ordering::Relaxed) >= MOST {
            self.lent.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        // From here on the count is the lent pipe's: it goes down when that is dropped.
        let mut pipe = Pipe { pool: self, ends: None, inside: 0 };
        let kept = self.empty.lock().unwrap_or_else(PoisonError::into_inner).pop();
        pipe.ends = Some(kept.map_or_else(Ends::open, Ok).ok()?);
        Some(pipe)
    }

    #[cfg(test)]
    pub(crate) fn lent(&self) -> usize {
        self.lent.load(Ordering::Relaxed)
    }

    #[cfg(test)]
    pub(crate) fn kept(&self) -> usize {
        self.empty.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}
