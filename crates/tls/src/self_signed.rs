//! Generates self-signed certificates.
//!
//! A proxy without a certificate still starts, so that the operator sees what is missing: it generates one. It must
//! never do so without a warning, because clients do not trust it. The key is held in memory only, unless the pair is
//! [stored](crate::stored).

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use rcgen::{Certificate, CertificateParams, DnType, KeyPair, date_time_ymd};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;
use zeroize::Zeroizing;

use crate::setup::SetupError;

/// Years of validity: longer than a process runs, and short enough for clients that refuse unusual dates.
const YEARS: i32 = 10;

/// A generated certificate and its key.
pub(crate) struct NewCertificate {
    certificate: Certificate,
    key: KeyPair,
}

/// Generates an ECDSA certificate for `hostnames` (names or addresses), or for `localhost` when there are none.
///
/// # Errors
/// When a name cannot be in a certificate or the generator fails.
pub(crate) fn generate(hostnames: &[String]) -> Result<NewCertificate, SetupError> {
    let names = if hostnames.is_empty() { vec!["localhost".to_owned()] } else { hostnames.to_vec() };
    let common_name = names[0].clone();
    let mut params = CertificateParams::new(names).map_err(failed)?;
    params.distinguished_name.push(DnType::CommonName, common_name);
    let year = this_year();
    params.not_before = date_time_ymd(year, 1, 1);
    params.not_after = date_time_ymd(year + YEARS, 1, 1);
    let key = KeyPair::generate().map_err(failed)?;
    let certificate = params.self_signed(&key).map_err(failed)?;
    Ok(NewCertificate { certificate, key })
}

fn failed(error: impl std::fmt::Display) -> SetupError {
    SetupError::SelfSigned { reason: error.to_string() }
}

// === impl NewCertificate ===

impl NewCertificate {
    /// Returns the pair as the engine uses it.
    ///
    /// # Errors
    /// When the engine refuses the key.
    pub(crate) fn pair(&self) -> Result<Arc<CertifiedKey>, SetupError> {
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(self.key.serialize_der()));
        let chain = vec![self.certificate.der().clone()];
        CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider()).map(Arc::new).map_err(failed)
    }

    /// Returns the certificate in PEM.
    pub(crate) fn certificate_pem(&self) -> String {
        self.certificate.pem()
    }

    /// Returns the key in PEM.
    pub(crate) fn key_pem(&self) -> Zeroizing<String> {
        Zeroizing::new(self.key.serialize_pem())
    }
}

/// Returns the year in UTC, wrong by at most a day around New Year, which does not matter here.
fn this_year() -> i32 {
    /// Mean length of a Gregorian year, in seconds.
    const YEAR: u64 = 31_556_952;
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    // DER cannot hold a date after the year 9999.
    1970 + i32::try_from((seconds / YEAR).min(8_000)).unwrap_or(8_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_matches() {
        for names in [&["mail.example.org".to_owned(), "192.0.2.1".to_owned()][..], &[]] {
            let pair = generate(names).unwrap().pair().unwrap();
            assert_eq!(pair.cert.len(), 1);
            pair.keys_match().unwrap();
        }
    }

    #[test]
    fn refuses_a_name_that_cannot_be_in_a_certificate() {
        let Err(error) = generate(&["zwölf.example".to_owned()]) else { panic!("it was generated") };
        let error = error.to_string();
        assert!(error.starts_with("the self-signed certificate could not be generated: "), "{error}");
    }
}
