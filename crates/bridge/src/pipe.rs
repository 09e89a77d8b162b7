//! The process's pool of pipes for `splice(2)`.
//!
//! A pipe costs two descriptors and kernel memory. An idle session has none; when all are in use, sessions copy. A
//! pipe that still holds bytes must never return to the pool: the next session would send them.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use rustix::pipe::{PipeFlags, fcntl_setpipe_size, pipe_with};

/// Most pipes in use at once: 256 descriptors. Sessions move bulk data for milliseconds at a time.
const MAX_IN_USE: usize = 128;
/// Most idle pipes kept for later sessions.
const MAX_IDLE: usize = 16;
/// Bytes of one pipe, if the kernel allows: four times its default, for a quarter of the system calls. All
/// together they stay below what one user may have (`pipe-user-pages-soft`, 64 MiB).
const LENGTH: usize = 256 * 1024;

/// The pipes of the process.
pub(crate) static PIPES: Pool = Pool::new();

/// A bounded pool of pipes.
#[derive(Debug)]
pub(crate) struct Pool {
    idle: Mutex<Vec<PipeFds>>,
    in_use: AtomicUsize,
}

/// A pipe in use. Dropping it closes it and discards what it holds.
#[derive(Debug)]
pub(crate) struct Pipe {
    fds: PipeFds,
    buffered: usize,
    slot: PoolSlot,
}

/// One pipe's share of [`Pool::in_use`]; dropping it frees the share.
#[derive(Debug)]
struct PoolSlot(&'static Pool);

/// Both file descriptors of a pipe.
#[derive(Debug)]
struct PipeFds {
    reader: OwnedFd,
    writer: OwnedFd,
}

// === impl Pool ===

impl Pool {
    pub(crate) const fn new() -> Self {
        Self { idle: Mutex::new(Vec::new()), in_use: AtomicUsize::new(0) }
    }

    /// Returns an empty pipe, or `None` when all are in use or the process has no descriptors left.
    pub(crate) fn acquire(&'static self) -> Option<Pipe> {
        let slot = PoolSlot(self);
        if self.in_use.fetch_add(1, Ordering::Relaxed) >= MAX_IN_USE {
            return None;
        }
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let fds = match idle {
            Some(fds) => fds,
            None => PipeFds::open().ok()?,
        };
        Some(Pipe { fds, buffered: 0, slot })
    }

    #[cfg(test)]
    pub(crate) fn in_use(&self) -> usize {
        self.in_use.load(Ordering::Relaxed)
    }

    #[cfg(test)]
    pub(crate) fn idle(&self) -> usize {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

// === impl Pipe ===

impl Pipe {
    /// Returns the number of bytes in the pipe.
    pub(crate) fn buffered(&self) -> usize {
        self.buffered
    }

    /// Fills the pipe with `fill`, which gets the write end and the longest length, and returns how much it moved.
    pub(crate) fn fill(
        &mut self,
        allowance: u64,
        fill: impl FnOnce(BorrowedFd<'_>, usize) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let length = usize::try_from(allowance).map_or(LENGTH, |allowance| allowance.min(LENGTH));
        let count = fill(self.fds.writer.as_fd(), length)?;
        self.buffered += count;
        Ok(count)
    }

    /// Drains the pipe with `drain`, which gets the read end and the number of bytes in it, and returns how much it moved.
    pub(crate) fn drain(
        &mut self,
        drain: impl FnOnce(BorrowedFd<'_>, usize) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let count = drain(self.fds.reader.as_fd(), self.buffered)?;
        self.buffered = self.buffered.saturating_sub(count);
        Ok(count)
    }

    /// Reads back everything in the pipe, which is empty afterwards.
    pub(crate) fn rescue(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; self.buffered];
        let mut read = 0;
        while read < bytes.len() {
            match rustix::io::read(&self.fds.reader, &mut bytes[read..])? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => read += count,
            }
        }
        self.buffered = 0;
        Ok(bytes)
    }

    /// Returns the pipe to the pool if it is empty and the pool has room; closes it otherwise.
    pub(crate) fn release(self) {
        let Self { fds, buffered, slot } = self;
        if buffered > 0 {
            return;
        }
        let mut idle = slot.0.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MAX_IDLE {
            idle.push(fds);
        }
    }
}

// === impl PoolSlot ===

impl Drop for PoolSlot {
    fn drop(&mut self) {
        self.0.in_use.fetch_sub(1, Ordering::Relaxed);
    }
}

// === impl PipeFds ===

impl PipeFds {
    fn open() -> io::Result<Self> {
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        // Refused beyond the user's limit: the default length does as well.
        let _ = fcntl_setpipe_size(&writer, LENGTH);
        Ok(Self { reader, writer })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(pipe: &mut Pipe, bytes: &[u8]) {
        let count = pipe.fill(u64::MAX, |writer, _| Ok(rustix::io::write(writer, bytes)?)).unwrap();
        assert_eq!(count, bytes.len());
    }

    #[test]
    fn pipes_are_bounded_and_only_empty_ones_return() {
        static POOL: Pool = Pool::new();
        let mut pipes: Vec<_> = (0..MAX_IN_USE).map(|_| POOL.acquire().unwrap()).collect();
        assert!(POOL.acquire().is_none());
        assert_eq!((POOL.in_use(), POOL.idle()), (MAX_IN_USE, 0));

        let mut full = pipes.pop().unwrap();
        put(&mut full, b"of another session");
        full.release();
        assert_eq!((POOL.in_use(), POOL.idle()), (MAX_IN_USE - 1, 0));

        pipes.into_iter().for_each(Pipe::release);
        assert_eq!((POOL.in_use(), POOL.idle()), (0, MAX_IDLE));
        let again = POOL.acquire().unwrap();
        assert_eq!((POOL.in_use(), POOL.idle(), again.buffered()), (1, MAX_IDLE - 1, 0));
        drop(again);
        assert_eq!((POOL.in_use(), POOL.idle()), (0, MAX_IDLE - 1));
    }

    #[test]
    fn rescue_returns_the_buffered_bytes() {
        static POOL: Pool = Pool::new();
        let mut pipe = POOL.acquire().unwrap();
        put(&mut pipe, b"abc");
        put(&mut pipe, b"def");
        let mut one = [0; 1];
        pipe.drain(|reader, _| Ok(rustix::io::read(reader, &mut one)?)).unwrap();
        assert_eq!((pipe.buffered(), pipe.rescue().unwrap(), pipe.buffered()), (5, b"bcdef".to_vec(), 0));
        pipe.release();
        assert_eq!(POOL.idle(), 1);
    }

    #[test]
    fn a_fill_is_limited_to_the_allowance() {
        static POOL: Pool = Pool::new();
        let mut pipe = POOL.acquire().unwrap();
        for (allowance, expected) in [(u64::MAX, LENGTH), (7, 7), (LENGTH as u64 + 1, LENGTH)] {
            let length = pipe.fill(allowance, |_, length| Ok(length)).unwrap();
            assert_eq!(length, expected);
        }
    }
}
