//! `[tls]`: what is shown to clients.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::SupportedCipherSuite;
use rustls::sign::CertifiedKey;

use crate::name::Name;

/// `[tls]`.
#[derive(Debug)]
pub struct Tls {
    /// `[tls.certificate.*]`, in the file's order.
    pub certificates: Vec<Arc<Certificate>>,
    /// `tls.protocols.min_version = "1.3"`.
    pub only_tls13: bool,
    /// Prefer the server's order of cipher suites.
    pub ignore_client_order: bool,
    /// What is left after `disable_cipher_suites`; never empty.
    pub cipher_suites: Vec<SupportedCipherSuite>,
}

/// `[tls.certificate.NAME]`, read and checked.
#[derive(Debug)]
pub struct Certificate {
    /// The table's name.
    pub name: Name,
    /// Where the chain was read from (files are watched).
    pub cert_path: PathBuf,
    /// Where the key was read from.
    pub key_path: PathBuf,
    /// Host names it is chosen for, lower case: the configured ones, else the SANs, else the CN.
    pub subjects: Vec<String>,
    /// Whether `subjects` was configured (else a renewed certificate brings its own).
    pub subjects_are_set: bool,
    /// Chosen when no name matches.
    pub is_default: bool,
    /// Chain and signing key, which belong together.
    pub key: Arc<CertifiedKey>,
    /// SHA-256 of the leaf.
    pub sha256: [u8; 32],
    /// End of validity, seconds since 1970.
    pub not_after: i64,
}
