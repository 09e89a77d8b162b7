//! File descriptors reserved for a listener that must accept when the process has no others left.
//!
//! A flood of connections can use up every descriptor of the process. The operator who wants to stop it must still be
//! able to reach the management API.

use std::fs::File;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::io::Errno;

/// Descriptors in reserve. A clone shares the reserve.
#[derive(Debug, Clone, Default)]
pub(crate) struct FdReserve(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    size: usize,
    held: Mutex<Vec<File>>,
}

/// The mark of a connection that uses a reserved descriptor. Drop it after the connection: dropping it refills the
/// reserve.
#[derive(Debug)]
pub struct ReservedFd(FdReserve);

// === impl FdReserve ===

impl FdReserve {
    /// Returns a reserve of `size` descriptors.
    pub(crate) fn of(size: usize) -> Self {
        let reserve = Self(Arc::new(Inner { size, held: Mutex::default() }));
        reserve.fill();
        reserve
    }

    /// Opens the missing descriptors, as many as the system allows. The lock is uncontended, also when nothing is
    /// missing.
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

    /// Closes one reserved descriptor, for the caller to use at once.
    pub(crate) fn release(&self) -> Option<ReservedFd> {
        let one = self.0.held.lock().unwrap_or_else(PoisonError::into_inner).pop();
        one.map(|_closed_here| ReservedFd(self.clone()))
    }
}

impl Drop for ReservedFd {
    fn drop(&mut self) {
        self.0.fill();
    }
}

/// Returns whether `error` means that the process or the system has no descriptor left.
pub(crate) fn is_out_of_descriptors(error: &io::Error) -> bool {
    [Errno::MFILE, Errno::NFILE].iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_released_descriptor_is_reserved_again() {
        let reserve = FdReserve::of(2);
        let held = || reserve.0.held.lock().unwrap().len();
        assert_eq!(held(), 2);
        let first = reserve.release();
        let second = reserve.release();
        assert!(first.is_some() && second.is_some() && reserve.release().is_none());
        drop(first);
        assert_eq!(held(), 2, "a free descriptor is reserved again");
        drop(second);
        assert_eq!(held(), 2, "the reserve never exceeds its size");
        assert!(FdReserve::default().release().is_none());
    }

    #[test]
    fn only_descriptor_errors_count() {
        for (code, is_one) in [(24, true), (23, true), (11, false)] {
            assert_eq!(is_out_of_descriptors(&io::Error::from_raw_os_error(code)), is_one, "{code}");
        }
    }
}
