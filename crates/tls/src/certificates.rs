//! The table of certificates, which is reloaded while the proxy runs.
//!
//! Other programs renew certificates at any time. A renewed pair is loaded without an operator's action. A broken pair
//! must never replace one that works. A handshake under way keeps the certificate that it started with.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::{ArcSwap, Guard};
use plan::{Certificate, Name, Tls};
use rustls::sign::CertifiedKey;
use tokio::sync::watch;

use crate::certificate::read_pair;
use crate::describe::hex;
use crate::setup::SetupError;
use crate::verify::sha256;
use crate::{self_signed, stored};

/// All certificates that clients may get. See the module's comment.
pub struct Certificates {
    table: ArcSwap<Table>,
    /// Held while files are read: of two concurrent reloads, the slower one could install an older pair.
    reloading: Mutex<()>,
    /// The number of reloads that renewed a certificate.
    generation: watch::Sender<u64>,
}

/// The certificates at one time.
pub(crate) struct Table {
    /// In the order of the configuration.
    pub(crate) certificates: Vec<Arc<Certificate>>,
    /// The certificate for clients for which no other can be selected.
    pub(crate) self_signed: Option<Arc<CertifiedKey>>,
}

/// Public facts about a certificate, for status pages and metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateInfo {
    /// The table's name; `None` for the self-signed one.
    pub name: Option<Name>,
    /// Host names that it is selected for.
    pub subjects: Vec<String>,
    /// Whether it is selected when no name matches.
    pub is_default: bool,
    /// SHA-256 of the leaf.
    pub sha256: [u8; 32],
    /// End of validity, seconds since 1970; `None` for the self-signed one.
    pub not_after: Option<i64>,
}

/// The result of a reload for one certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReloadOutcome {
    /// The table's name.
    pub name: Name,
    /// The result.
    pub reloaded: Reloaded,
}

/// See [`ReloadOutcome`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reloaded {
    /// The files hold the certificate that is in use.
    Unchanged,
    /// New connections get the certificate in the files.
    Renewed,
    /// The files cannot be used, for this reason: the old certificate stays in use.
    Rejected(String),
}

// === impl Certificates ===

impl Certificates {
    /// Returns the plan's certificates. If some client would get none (the plan has none, or several and no default), a
    /// self-signed certificate for `hostnames` is generated, with a warning.
    ///
    /// # Errors
    /// When the self-signed certificate cannot be generated.
    pub fn new(tls: &Tls, hostnames: &[String]) -> Result<Arc<Self>, SetupError> {
        let certificates = tls.certificates.clone();
        let is_covered = certificates.len() == 1 || certificates.iter().any(|one| one.is_default);
        let self_signed = if is_covered { None } else { Some(self_signed::generate(hostnames)?.pair()?) };
        if let Some(pair) = &self_signed {
            warn_self_signed(pair, certificates.is_empty());
        }
        Ok(Self::of(Table { certificates, self_signed }))
    }

    /// Generates a self-signed certificate for `hostnames` as the only one. Nothing is logged: the caller logs its
    /// purpose, with the hash from [`Certificates::list`].
    ///
    /// # Errors
    /// When it cannot be generated.
    pub fn self_signed(hostnames: &[String]) -> Result<Arc<Self>, SetupError> {
        Ok(Self::only(self_signed::generate(hostnames)?.pair()?))
    }

    /// Returns the self-signed certificate in `cert` and `key` as the only one, if it is valid for another 30 days and
    /// for all of `hostnames`. Otherwise generates one and writes it there; when that fails, a warning is logged, and
    /// the next start generates another one.
    ///
    /// # Errors
    /// When it cannot be generated.
    pub fn stored(cert: &Path, key: &Path, hostnames: &[String]) -> Result<Arc<Self>, SetupError> {
        Ok(Self::only(stored::read_or_generate(cert, key, hostnames)?))
    }

    fn only(pair: Arc<CertifiedKey>) -> Arc<Self> {
        Self::of(Table { certificates: Vec::new(), self_signed: Some(pair) })
    }

    fn of(table: Table) -> Arc<Self> {
        Arc::new(Self {
            table: ArcSwap::from_pointee(table),
            reloading: Mutex::new(()),
            generation: watch::Sender::new(0),
        })
    }

    /// Returns public facts about each certificate in use.
    #[must_use]
    pub fn list(&self) -> Vec<CertificateInfo> {
        let table = self.table();
        table
            .certificates
            .iter()
            .map(|one| CertificateInfo::of(one))
            .chain(table.self_signed_info())
            .collect()
    }

    /// Reads all files again. Blocks on files; concurrent reloads wait for each other.
    pub fn reload_now(&self) -> Vec<ReloadOutcome> {
        self.reload(|_| true)
    }

    /// Reads the files of the certificates that `is_wanted` selects again, and logs the results.
    pub(crate) fn reload(&self, mut is_wanted: impl FnMut(&Certificate) -> bool) -> Vec<ReloadOutcome> {
        // A poisoned lock is harmless: the table is replaced as a whole.
        let _guard = self.reloading.lock().unwrap_or_else(PoisonError::into_inner);
        let old = self.table.load_full();
        let mut outcomes = Vec::new();
        let mut certificates = old.certificates.clone();
        for certificate in &mut certificates {
            if is_wanted(certificate) {
                outcomes.push(renew(certificate));
            }
        }
        if outcomes.iter().any(|outcome| outcome.reloaded == Reloaded::Renewed) {
            self.table.store(Arc::new(Table { certificates, self_signed: old.self_signed.clone() }));
            self.generation.send_modify(|generation| *generation += 1);
        }
        outcomes
    }

    /// Returns a counter that changes at every reload that renewed a certificate.
    #[must_use]
    pub fn renewals(&self) -> watch::Receiver<u64> {
        self.generation.subscribe()
    }

    pub(crate) fn table(&self) -> Guard<Arc<Table>> {
        self.table.load()
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.list()).finish()
    }
}

// === impl Table ===

impl Table {
    fn self_signed_info(&self) -> Option<CertificateInfo> {
        self.self_signed.as_ref().map(|pair| CertificateInfo {
            name: None,
            subjects: Vec::new(),
            is_default: true,
            sha256: sha256(&pair.cert[0]),
            not_after: None,
        })
    }
}

// === impl CertificateInfo ===

impl CertificateInfo {
    fn of(certificate: &Certificate) -> Self {
        Self {
            name: Some(Arc::clone(&certificate.name)),
            subjects: certificate.subjects.clone(),
            is_default: certificate.is_default,
            sha256: certificate.sha256,
            not_after: Some(certificate.not_after),
        }
    }
}

/// Replaces `certificate` with the pair in its files, if that is valid and a different one.
fn renew(certificate: &mut Arc<Certificate>) -> ReloadOutcome {
    let name = Arc::clone(&certificate.name);
    let reloaded = match read_pair(&certificate.cert_path, &certificate.key_path) {
        Ok((key, _)) if key.cert == certificate.key.cert => Reloaded::Unchanged,
        Ok((key, leaf)) => {
            let subjects =
                if certificate.subjects_are_set { certificate.subjects.clone() } else { leaf.subjects };
            tracing::info!(certificate = %name, sha256 = %hex(&leaf.sha256), "certificate renewed");
            *certificate = Arc::new(Certificate {
                name: Arc::clone(&name),
                cert_path: certificate.cert_path.clone(),
                key_path: certificate.key_path.clone(),
                subjects,
                subjects_are_set: certificate.subjects_are_set,
                is_default: certificate.is_default,
                key,
                sha256: leaf.sha256,
                not_after: leaf.not_after,
            });
            Reloaded::Renewed
        }
        Err(reason) => {
            tracing::warn!(
                certificate = %name,
                cert = %certificate.cert_path.display(),
                key = %certificate.key_path.display(),
                reason,
                "certificate not renewed: its files changed and cannot be used, so the old certificate stays in \
                 use; the files must hold the whole chain, leaf first, and the key of the leaf",
            );
            Reloaded::Rejected(reason)
        }
    };
    ReloadOutcome { name, reloaded }
}

fn warn_self_signed(pair: &CertifiedKey, is_only: bool) {
    let sha256 = hex(&sha256(&pair.cert[0]));
    if is_only {
        tracing::warn!(
            sha256,
            "no [tls.certificate] is configured: clients get a self-signed certificate, which they do not trust; \
             configure one",
        );
    } else {
        tracing::warn!(
            sha256,
            "no [tls.certificate] is the default: clients that send another SNI, or none, get a self-signed \
             certificate, which they do not trust; set default = true on one",
        );
    }
}
