//! Descriptors that are kept for a door which has to open when there are no others left.
//!
//! A flood of connections can take every descriptor of the process. Whoever would end it, through the management
//! API, must still get in.

use std::fs::File;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::io::Errno;

/// Descriptors in reserve. A clone is the same reserve.
#[derive(Debug, Clone, Default)]
pub(crate) struct FdReserve(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    size: usize,
    held: Mutex<Vec<File>>,
}

/// A connection that has come in by the reserve: once this is dropped, which must be after the connection, a
/// descriptor is put back.
#[derive(Debug)]
pub struct ReservedFd(FdReserve);

// === impl FdReserve ===

impl FdReserve {
    /// Of so many.
    pub(crate) fn of(size: usize) -> Self {
        let reserve = Self(Arc::new(Inner { size, held: Mutex::default() }));
        reserve.fill();
        reserve
    }

    /// Takes what is missing, as far as there is any. What is had already costs a lock that nobody else wants.
    pub(crate) fn fill(&self) {
        if self.0.size == 0 {
            return;
        }
        let mut held = self.0.held.lock().unwrap_or_else(PoisonError::into_inner);
        while held.len() < self.0.size {
            match File::open("/dev/null") {
                Ok(file) => held.push(file),
                Err(_) => break,
            }
        }
    }

    /// Gives one up, for the caller to take right now.
    pub(crate) fn give(&self) -> Option<ReservedFd> {
        let one = self.0.held.lock().unwrap_or_else(PoisonError::into_inner).pop();
        one.map(|_closed_here| ReservedFd(self.clone()))
    }
}

impl Drop for ReservedFd {
    fn drop(&mut self) {
        self.0.fill();
    }
}

/// Whether the process, or the system, has none left.
pub(crate) fn is_out_of_descriptors(error: &io::Error) -> bool {
    [Errno::MFILE, Errno::NFILE].iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_given_up_comes_back() {
        let reserve = FdReserve::of(2);
        let held = || reserve.0.held.lock().unwrap().len();
        assert_eq!(held(), 2);
        let first = reserve.give();
        let second = reserve.give();
        assert!(first.is_some() && second.is_some() && reserve.give().is_none());
        drop(first);
        assert_eq!(held(), 2, "whatever is free is taken back");
        drop(second);
        assert_eq!(held(), 2, "never more than its size");
        assert!(FdReserve::default().give().is_none());
    }

    #[test]
    fn knows_the_errors() {
        for (code, is_one) in [(24, true), (23, true), (11, false)] {
            assert_eq!(is_out_of_descriptors(&io::Error::from_raw_os_error(code)), is_one, "{code}");
        }
    }
}
