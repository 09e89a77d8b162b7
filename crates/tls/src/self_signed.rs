//! The certificate of last resort.
//!
//! A proxy without a certificate should still come up and show its operator what is missing, so one is made
//! at start. It must never be made silently: clients will not trust it. Its key lives in memory only, unless
//! it is [kept](crate::kept).

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use rcgen::{Certificate, CertificateParams, DnType, KeyPair, date_time_ymd};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;
use zeroize::Zeroizing;

use crate::setup::SetupError;

/// Years of validity: longer than a process runs, short enough for clients that refuse odd dates.
const YEARS: i32 = 10;

/// A certificate and its key, just made.
pub(crate) struct Fresh {
    certificate: Certificate,
    key: KeyPair,
}

/// An ECDSA certificate for `hostnames` (names or addresses), `localhost` when there are none.
pub(crate) fn make(hostnames: &[String]) -> Result<Fresh, SetupError> {
    let names = if hostnames.is_empty() { vec!["localhost".to_owned()] } else { hostnames.to_vec() };
    let common_name = names[0].clone();
    let mut params = CertificateParams::new(names).map_err(failed)?;
    params.distinguished_name.push(DnType::CommonName, common_name);
    let year = this_year();
    params.not_before = date_time_ymd(year, 1, 1);
    params.not_after = date_time_ymd(year + YEARS, 1, 1);
    let key = KeyPair::generate().map_err(failed)?;
    let certificate = params.self_signed(&key).map_err(failed)?;
    Ok(Fresh { certificate, key })
}

fn failed(error: impl std::fmt::Display) -> SetupError {
    SetupError::SelfSigned { reason: error.to_string() }
}

// === impl Fresh ===

impl Fresh {
    /// As the TLS engine takes it.
    pub(crate) fn pair(&self) -> Result<Arc<CertifiedKey>, SetupError> {
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(self.key.serialize_der()));
        let chain = vec![self.certificate.der().clone()];
        CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider()).map(Arc::new).map_err(failed)
    }

    /// The certificate as a file holds it.
    pub(crate) fn certificate_pem(&self) -> String {
        self.certificate.pem()
    }

    /// The key as a file holds it.
    pub(crate) fn key_pem(&self) -> Zeroizing<String> {
        Zeroizing::new(self.key.serialize_pem())
    }
}

/// The year by this host's clock (UTC); off by at most a day around New Year, which does not matter here.
fn this_year() -> i32 {
    /// Mean length of a Gregorian year, in seconds.
    const YEAR: u64 = 31_556_952;
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    // A clock set beyond the year 9999 would make a date that DER cannot hold.
    1970 + i32::try_from((seconds / YEAR).min(8_000)).unwrap_or(8_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_a_key_that_fits() {
        for names in [&["mail.example.org".to_owned(), "192.0.2.1".to_owned()][..], &[]] {
            let made = make(names).unwrap().pair().unwrap();
            assert_eq!(made.cert.len(), 1);
            made.keys_match().unwrap();
        }
    }

    #[test]
    fn refuses_a_name_that_cannot_be_one() {
        let Err(error) = make(&["zwölf.example".to_owned()]) else { panic!("it was made") };
        let error = error.to_string();
        assert!(error.starts_with("the self-signed certificate could not be made: "), "{error}");
    }
}
