//! The process's pipes: lent while bytes are in them, bounded in number.
//!
//! A pipe is two descriptors and the kernel's memory. An idle session has none; when all are lent, sessions
//! copy. A pipe that still holds bytes must never come back into the pool: the next session would send them.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
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

/// A lent pipe. Dropped, it is closed with whatever is in it.
#[derive(Debug)]
pub(crate) struct Pipe {
    ends: Ends,
    inside: usize,
    lent: Lent,
}

/// One of [`Pool::lent`].
#[derive(Debug)]
struct Lent(&'static Pool);

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
        let lent = Lent(self);
        if self.lent.fetch_add(1, Ordering::Relaxed) >= MOST {
            return None;
        }
        let kept = self.empty.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let ends = kept.map_or_else(Ends::open, Ok).ok()?;
        Some(Pipe { ends, inside: 0, lent })
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

// === impl Pipe ===

impl Pipe {
    /// Bytes in it.
    pub(crate) fn inside(&self) -> usize {
        self.inside
    }

    /// Fills it by `fill`, which is told the end to write to and the length, and tells how much it moved.
    pub(crate) fn fill(
        &mut self,
        allowance: u64,
        fill: impl FnOnce(BorrowedFd<'_>, usize) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let length = usize::try_from(allowance).map_or(LENGTH, |allowance| allowance.min(LENGTH));
        let count = fill(self.ends.writer.as_fd(), length)?;
        self.inside += count;
        Ok(count)
    }

    /// Drains it by `drain`, which is told the end to read from and how much there is.
    pub(crate) fn drain(
        &mut self,
        drain: impl FnOnce(BorrowedFd<'_>, usize) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let count = drain(self.ends.reader.as_fd(), self.inside)?;
        self.inside = self.inside.saturating_sub(count);
        Ok(count)
    }

    /// Everything in it, read back; it is empty then.
    pub(crate) fn rescue(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; self.inside];
        let mut read = 0;
        while read < bytes.len() {
            match rustix::io::read(&self.ends.reader, &mut bytes[read..])? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => read += count,
            }
        }
        self.inside = 0;
        Ok(bytes)
    }

    /// Back into the pool if it is empty and the pool has room; closed if not.
    pub(crate) fn give_back(self) {
        let Self { ends, inside, lent } = self;
        if inside > 0 {
            return;
        }
        let mut empty = lent.0.empty.lock().unwrap_or_else(PoisonError::into_inner);
        if empty.len() < KEPT {
            empty.push(ends);
        }
    }
}

// === impl Lent ===

impl Drop for Lent {
    fn drop(&mut self) {
        self.0.lent.fetch_sub(1, Ordering::Relaxed);
    }
}

// === impl Ends ===

impl Ends {
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
    fn pipes_are_bounded_and_kept_only_empty() {
        static POOL: Pool = Pool::new();
        let mut pipes: Vec<_> = (0..MOST).map(|_| POOL.lend().unwrap()).collect();
        assert!(POOL.lend().is_none());
        assert_eq!((POOL.lent(), POOL.kept()), (MOST, 0));

        let mut full = pipes.pop().unwrap();
        put(&mut full, b"of another session");
        full.give_back();
        assert_eq!((POOL.lent(), POOL.kept()), (MOST - 1, 0));

        pipes.into_iter().for_each(Pipe::give_back);
        assert_eq!((POOL.lent(), POOL.kept()), (0, KEPT));
        let again = POOL.lend().unwrap();
        assert_eq!((POOL.lent(), POOL.kept(), again.inside()), (1, KEPT - 1, 0));
        drop(again);
        assert_eq!((POOL.lent(), POOL.kept()), (0, KEPT - 1));
    }

    #[test]
    fn what_is_inside_can_be_had_back() {
        static POOL: Pool = Pool::new();
        let mut pipe = POOL.lend().unwrap();
        put(&mut pipe, b"abc");
        put(&mut pipe, b"def");
        let mut one = [0; 1];
        pipe.drain(|reader, _| Ok(rustix::io::read(reader, &mut one)?)).unwrap();
        assert_eq!((pipe.inside(), pipe.rescue().unwrap(), pipe.inside()), (5, b"bcdef".to_vec(), 0));
        pipe.give_back();
        assert_eq!(POOL.kept(), 1);
    }

    #[test]
    fn no_more_is_taken_than_allowed() {
        static POOL: Pool = Pool::new();
        let mut pipe = POOL.lend().unwrap();
        for (allowance, expected) in [(u64::MAX, LENGTH), (7, 7), (LENGTH as u64 + 1, LENGTH)] {
            let length = pipe.fill(allowance, |_, length| Ok(length)).unwrap();
            assert_eq!(length, expected);
        }
    }
}
