//! Certificates and keys from PEM files, checked against each other.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// What a leaf certificate says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    /// DNS names of the SANs, else the CN; lower case.
    pub subjects: Vec<String>,
    /// SHA-256 of the certificate.
    pub sha256: [u8; 32],
    /// End of validity, seconds since 1970.
    pub not_after: i64,
}

/// Reads a chain and its key, and makes sure that they belong together.
///
/// # Errors
/// In words: which file, what is wrong with it, what was expected.
pub fn read_pair(cert: &Path, key: &Path) -> Result<(Arc<CertifiedKey>, Leaf), String> {
    let chain = read_chain(cert)?;
    let leaf = leaf(&chain[0]).map_err(|why| format!("{}: {why}", cert.display()))?;
    let private = read_key(key)?;
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let signing = provider
        .key_provider
        .load_private_key(private)
        .map_err(|error| format!("{}: the key cannot be used: {error}", key.display()))?;
    let pair = CertifiedKey::new(chain, signing);
    pair.keys_match().map_err(|_| {
        format!("the key in {} does not belong to the certificate in {}", key.display(), cert.display())
    })?;
    Ok((Arc::new(pair), leaf))
}

/// Reads every certificate in a PEM file; at least one.
///
/// # Errors
/// In words, with the file.
pub fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let bytes = std::fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    let chain = chain.map_err(|error| format!("{} is not PEM: {error}", path.display()))?;
    if chain.is_empty() {
        return Err(format!("{} holds no certificate; expected PEM blocks, leaf first", path.display()));
    }
    Ok(chain)
}

/// Reads the first private key in a PEM file.
///
/// # Errors
/// In words, with the file.
pub fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    let bytes = zeroize::Zeroizing::new(
        std::fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?,
    );
    PrivateKeyDer::from_pem_slice(&bytes).map_err(|error| {
        format!("{} holds no private key: {error}; expected PEM (PKCS#8, PKCS#1 or SEC1, not encrypted)", path.display())
    })
}

fn leaf(der: &CertificateDer<'_>) -> Result<Leaf, String> {
    let (_, certificate) =
        X509Certificate::from_der(der).map_err(|error| format!("the first certificate cannot be read: {error}"))?;
    let names = certificate.subject_alternative_name().ok().flatten();
    let mut subjects: Vec<String> = names
        .iter()
        .flat_map(|extension| &extension.value.general_names)
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
            _ => None,
        })
        .collect();
    if subjects.is_empty() {
        let common = certificate.subject().iter_common_name().filter_map(|name| name.as_str().ok());
        subjects.extend(common.map(str::to_ascii_lowercase));
    }
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, der);
    let mut sha256 = [0; 32];
    sha256.copy_from_slice(digest.as_ref());
    Ok(Leaf { subjects, sha256, not_after: certificate.validity().not_after.timestamp() })
}
