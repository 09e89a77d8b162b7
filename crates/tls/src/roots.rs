//! The platform's root certificates.
//!
//! Reading them takes milliseconds and a few hundred kilobytes, so it happens once and only when a destination needs
//! them. An empty set is an error when it is loaded, never a set under which every backend is refused.

use std::sync::{Arc, OnceLock};

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;

use crate::setup::SetupError;

/// The platform's roots, read at the first use and shared by all clones.
#[derive(Debug, Clone, Default)]
pub struct PlatformRoots(Arc<OnceLock<Result<Arc<RootCertStore>, String>>>);

// === impl PlatformRoots ===

impl PlatformRoots {
    /// Uses these certificates instead of the platform's.
    #[must_use]
    pub fn of(certificates: Vec<CertificateDer<'static>>) -> Self {
        Self(Arc::new(OnceLock::from(store(certificates, "none were given"))))
    }

    /// Returns the roots. The first call reads files.
    ///
    /// # Errors
    /// When there are none.
    pub(crate) fn load(&self) -> Result<Arc<RootCertStore>, SetupError> {
        self.0.get_or_init(read).clone().map_err(|reason| SetupError::NoPlatformRoots { reason })
    }
}

fn read() -> Result<Arc<RootCertStore>, String> {
    let found = rustls_native_certs::load_native_certs();
    // Some platforms have a file that cannot be parsed; it matters only when no root is left.
    let reason = match found.errors.first() {
        Some(error) => error.to_string(),
        None => "the usual folders hold none".to_owned(),
    };
    store(found.certs, &reason)
}

fn store(certificates: Vec<CertificateDer<'static>>, reason: &str) -> Result<Arc<RootCertStore>, String> {
    let mut store = RootCertStore::empty();
    let (used, ignored) = store.add_parsable_certificates(certificates);
    tracing::debug!(used, ignored, "root certificates read");
    if store.is_empty() { Err(reason.to_owned()) } else { Ok(Arc::new(store)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_set_is_an_error() {
        let error = PlatformRoots::of(Vec::new()).load().unwrap_err();
        assert_eq!(
            error.to_string(),
            "no root certificates were found on this host (none were given), so no backend can be verified; \
             install the package ca-certificates, or set tls_ca"
        );
    }
}
