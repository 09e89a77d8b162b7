//! Reads a certificate chain and its key from files.
//!
//! The configuration's loader judges both at start; this judges what a renewal put in their place, while
//! another program may still be writing. Half a pair must never be taken for a pair.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};
use zeroize::Zeroizing;

use crate::verify::sha256;

/// What is read out of the leaf.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Leaf {
    /// Its subject alternative names (DNS names and addresses), else its common name; lower case.
    pub(crate) subjects: Vec<String>,
    /// Of its DER form.
    pub(crate) sha256: [u8; 32],
    /// End of validity, seconds since 1970.
    pub(crate) not_after: i64,
}

/// Bytes of a file: far more than any chain, far less than what would hurt.
const MAX_FILE: u64 = 1 << 20;

/// Reads and checks a pair. The error says in words which file is at fault.
pub(crate) fn read_pair(cert: &Path, key: &Path) -> Result<(Arc<CertifiedKey>, Leaf), String> {
    let chain = CertificateDer::pem_slice_iter(&read(cert)?)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| format!("{} is not whole PEM: {error}", cert.display()))?;
    let leaf = chain.first().ok_or_else(|| format!("{} holds no certificate", cert.display()))?;
    let leaf = Leaf::of(leaf).map_err(|error| format!("{}: {error}", cert.display()))?;
    let private = PrivateKeyDer::from_pem_slice(&read(key)?)
        .map_err(|error| format!("{} holds no private key in PEM: {error}", key.display()))?;
    let pair = CertifiedKey::from_der(chain, private, &aws_lc_rs::default_provider()).map_err(|error| {
        if matches!(error, Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) {
            format!("the key in {} does not belong to the certificate in {}", key.display(), cert.display())
        } else {
            format!("the key in {} cannot be used: {error}", key.display())
        }
    })?;
    Ok((Arc::new(pair), leaf))
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, String> {
    let failed = |error: std::io::Error| format!("{} cannot be read: {error}", path.display());
    let file = File::open(path).map_err(failed)?;
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(format!(
            "{} is larger than {MAX_FILE} bytes: no certificate chain or key is",
            path.display()
        ));
    }
    Ok(bytes)
}

// === impl Leaf ===

impl Leaf {
    fn of(der: &CertificateDer<'_>) -> Result<Self, String> {
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

#[cfg(test)]
mod tests;
