//! The platform's root certificates.
//!
//! Reading them takes milliseconds and a few hundred kilobytes, so it happens once and only where a
//! destination needs it. An empty set must never be taken for "trust nobody today": it is an error in words.

use std::sync::{Arc, OnceLock};

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;

use crate::setup::SetupError;

/// The platform's roots, read at first use and then shared by all clones.
#[derive(Debug, Clone, Default)]
pub struct PlatformRoots(Arc<OnceLock<Result<Arc<RootCertStore>, String>>>);

// === impl PlatformRoots ===

impl PlatformRoots {
    /// These certificates in the place of what the platform has.
    #[must_use]
    pub fn of(certificates: Vec<CertificateDer<'static>>) -> Self {
        Self(Arc::new(OnceLock::from(fill(certificates, "none were given"))))
    }

    /// The roots. The first call reads files.
    pub(crate) fn load(&self) -> Result<Arc<RootCertStore>, SetupError> {
        self.0.get_or_init(read).clone().map_err(|reason| SetupError::NoPlatformRoots { reason })
    }
}

fn read() -> Result<Arc<RootCertStore>, String> {
    let found = rustls_native_certs::load_native_certs();
    // A platform has one odd file or another; what matters is whether anything is left.
    let reason = match found.errors.first() {
        Some(error) => error.to_string(),
        None => "the usual places are empty".to_owned(),
    };
    fill(found.certs, &reason)
}

fn fill(certificates: Vec<CertificateDer<'static>>, reason: &str) -> Result<Arc<RootCertStore>, String> {
    let mut store = RootCertStore::empty();
    let (used, passed_over) = store.add_parsable_certificates(certificates);
    tracing::debug!(used, passed_over, "root certificates read");
    if store.is_empty() { Err(reason.to_owned()) } else { Ok(Arc::new(store)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn none_is_an_error_in_words() {
        let error = PlatformRoots::of(Vec::new()).load().unwrap_err();
        assert_eq!(
            error.to_string(),
            "no root certificates were found on this host (none were given), so that no backend could be \
             verified; install the package ca-certificates, or name the roots with tls_ca"
        );
    }
}
