//! Reads certificate chains and keys from files, at start and at every reload.
//!
//! At a reload another program may still be writing: a chain must never be used with a key that does not match.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};
use zeroize::Zeroizing;

/// The facts that are read from a leaf certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    /// Its subject alternative names (DNS names and addresses), or else its common name; lower case.
    pub subjects: Vec<String>,
    /// SHA-256 of its DER form.
    pub sha256: [u8; 32],
    /// End of validity, seconds since 1970.
    pub not_after: i64,
}

/// The largest file that is read, in bytes: far more than a chain needs.
const MAX_FILE: u64 = 1 << 20;

/// A certificate that expires within this number of days is a warning.
const EXPIRY_WARNING_DAYS: i64 = 21;

/// Returns what to report about the end of a certificate's validity, such as "expires in 5 days"; `None` = it is valid for
/// three more weeks. Both times are seconds since 1970.
#[must_use]
pub fn expiry_warning(not_after: i64, now: i64) -> Option<String> {
    let seconds_left = not_after.saturating_sub(now);
    match seconds_left.div_euclid(86_400) {
        _ if seconds_left < 0 => Some("has expired".to_owned()),
        1 => Some("expires in 1 day".to_owned()),
        days if days < EXPIRY_WARNING_DAYS => Some(format!("expires in {days} days")),
        _ => None,
    }
}

/// Reads a chain and its key, and checks that they match.
///
/// # Errors
/// A description that names the file and what is wrong with it.
pub fn read_pair(cert: &Path, key: &Path) -> Result<(Arc<CertifiedKey>, Leaf), String> {
    let chain = read_chain(cert)?;
    let leaf = chain.first().ok_or_else(|| format!("{} holds no certificate", cert.display()))?;
    let leaf = Leaf::of(leaf).map_err(|error| format!("{}: {error}", cert.display()))?;
    let private = read_key(key)?;
    let pair = CertifiedKey::from_der(chain, private, &rustls::crypto::aws_lc_rs::default_provider())
        .map_err(|error| {
            if matches!(error, Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) {
                format!("the key in {} does not match the certificate in {}", key.display(), cert.display())
            } else {
                format!("the key in {} cannot be used: {error}", key.display())
            }
        })?;
    Ok((Arc::new(pair), leaf))
}

/// Reads every certificate of a PEM file; at least one.
///
/// # Errors
/// A description that names the file.
pub fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let chain = CertificateDer::pem_slice_iter(&read(path)?)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| format!("{} is not valid PEM: {error}", path.display()))?;
    if chain.is_empty() {
        return Err(format!("{} holds no certificate", path.display()));
    }
    Ok(chain)
}

/// Reads the first private key of a PEM file.
///
/// # Errors
/// A description that names the file.
pub fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    PrivateKeyDer::from_pem_slice(&read(path)?)
        .map_err(|error| format!("{} holds no private key in PEM: {error}", path.display()))
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, String> {
    let failed = |error: std::io::Error| format!("{} cannot be read: {error}", path.display());
    let file = File::open(path).map_err(failed)?;
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(format!(
            "{} is larger than {MAX_FILE} bytes; expected a certificate chain or a key in PEM",
            path.display()
        ));
    }
    Ok(bytes)
}

// === impl Leaf ===

impl Leaf {
    /// Reads a leaf.
    ///
    /// # Errors
    /// A description of what is wrong with it.
    pub fn of(der: &CertificateDer<'_>) -> Result<Self, String> {
        let (_, leaf) =
            X509Certificate::from_der(der).map_err(|error| format!("not a certificate: {error}"))?;
        let mut subjects: Vec<String> = match leaf.subject_alternative_name() {
            Ok(Some(names)) => names.value.general_names.iter().filter_map(name).collect(),
            Ok(None) => Vec::new(),
            Err(error) => return Err(format!("its subject alternative names cannot be read: {error}")),
        };
        if subjects.is_empty() {
            let common_names = leaf.subject().iter_common_name();
            subjects =
                common_names.filter_map(|name| name.as_str().ok()).map(str::to_ascii_lowercase).collect();
        }
        Ok(Self { subjects, sha256: sha256(der), not_after: leaf.validity().not_after.timestamp() })
    }
}

fn name(general: &GeneralName<'_>) -> Option<String> {
    match general {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        GeneralName::IPAddress(bytes) => {
            let v4 = <[u8; 4]>::try_from(*bytes).map(std::net::IpAddr::from);
            let v6 = <[u8; 16]>::try_from(*bytes).map(std::net::IpAddr::from);
            v4.or(v6).ok().map(|address| address.to_string())
        }
        _ => None,
    }
}

fn sha256(der: &CertificateDer<'_>) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, der).as_ref());
    hash
}

#[cfg(test)]
mod tests;
