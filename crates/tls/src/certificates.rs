//! The table of certificates, which is renewed while the proxy runs.
//!
//! Certificates are renewed by other programs at any hour. A renewed pair must be picked up without anybody
//! doing anything; a broken one must never take the place of one that works. A handshake keeps the
//! certificate that it was given.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use crate::certificate::read_pair;
use arc_swap::{ArcSwap, Guard};
use plan::{Certificate, Name, Tls};
use rustls::sign::CertifiedKey;
use tokio::sync::watch;

use crate::setup::SetupError;
use crate::verify::sha256;
use crate::words::hex;
use crate::{kept, self_signed};

/// All certificates that may be shown to clients. See the module's comment.
pub struct Certificates {
    table: ArcSwap<Table>,
    /// Held while files are read: two reloads at once could put an older pair over a newer one.
    reloading: Mutex<()>,
    /// Counts the tables so far.
    generation: watch::Sender<u64>,
}

/// One state of the table.
pub(crate) struct Table {
    /// In the file's order.
    pub(crate) certificates: Vec<Arc<Certificate>>,
    /// What is shown when nothing else can be chosen.
    pub(crate) self_signed: Option<Arc<CertifiedKey>>,
}

/// Public facts about a certificate, for status pages and metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateInfo {
    /// The table's name; `None` for the self-signed one.
    pub name: Option<Name>,
    /// Host names it is chosen for.
    pub subjects: Vec<String>,
    /// Whether it is chosen when no name matches.
    pub is_default: bool,
    /// SHA-256 of the leaf.
    pub sha256: [u8; 32],
    /// End of validity, seconds since 1970; `None` for the self-signed one.
    pub not_after: Option<i64>,
}

/// What a reload did to one certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReloadOutcome {
    /// The table's name.
    pub name: Name,
    /// What was done.
    pub reloaded: Reloaded,
}

/// See [`ReloadOutcome`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reloaded {
    /// The files hold what is in use.
    Unchanged,
    /// New connections get the new one.
    Renewed,
    /// The files cannot be used, for this reason; the old one stays.
    Kept(String),
}

// === impl Certificates ===

impl Certificates {
    /// The plan's certificates. Where they leave a client without one (none at all, or several and no
    /// default), a self-signed certificate for `hostnames` is made, with a warning.
    ///
    /// # Errors
    /// When the self-signed certificate cannot be made.
    pub fn new(tls: &Tls, hostnames: &[String]) -> Result<Arc<Self>, SetupError> {
        let certificates = tls.certificates.clone();
        let is_covered = certificates.len() == 1 || certificates.iter().any(|one| one.is_default);
        let self_signed = if is_covered { None } else { Some(self_signed::make(hostnames)?.pair()?) };
        if let Some(made) = &self_signed {
            warn_self_signed(made, certificates.is_empty());
        }
        Ok(Self::of(Table { certificates, self_signed }))
    }

    /// A self-signed certificate for `hostnames` alone. Nothing is logged: the caller says what it is for,
    /// with the hash from [`Certificates::list`].
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn self_signed(hostnames: &[String]) -> Result<Arc<Self>, SetupError> {
        Ok(Self::alone(self_signed::make(hostnames)?.pair()?))
    }

    /// As [`Certificates::self_signed`], with the certificate that `cert` and `key` hold, if it is good for another
    /// month and for every one of `hostnames`; else a new one is made and written there. What could not be written
    /// is logged, and the certificate is then new at the next start too.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn kept(cert: &Path, key: &Path, hostnames: &[String]) -> Result<Arc<Self>, SetupError> {
        Ok(Self::alone(kept::read_or_make(cert, key, hostnames)?))
    }

    fn alone(pair: Arc<CertifiedKey>) -> Arc<Self> {
        Self::of(Table { certificates: Vec::new(), self_signed: Some(pair) })
    }

    fn of(table: Table) -> Arc<Self> {
        Arc::new(Self {
            table: ArcSwap::from_pointee(table),
            reloading: Mutex::new(()),
            generation: watch::Sender::new(0),
        })
    }

    /// Public facts about each, as they are now.
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

    /// Reads all files again. Blocks on files; reloads at once wait for each other.
    pub fn reload_now(&self) -> Vec<ReloadOutcome> {
        self.reload(|_| true)
    }

    /// Reads the files of the `wanted` certificates again, and logs what came of it.
    pub(crate) fn reload(&self, mut wanted: impl FnMut(&Certificate) -> bool) -> Vec<ReloadOutcome> {
        // A panic of another reload leaves no half-made table: the table is swapped whole.
        let _one_at_a_time = self.reloading.lock().unwrap_or_else(PoisonError::into_inner);
        let old = self.table.load_full();
        let mut outcomes = Vec::new();
        let mut certificates = old.certificates.clone();
        for certificate in &mut certificates {
            if wanted(certificate) {
                outcomes.push(renew(certificate));
            }
        }
        if outcomes.iter().any(|outcome| outcome.reloaded == Reloaded::Renewed) {
            self.table.store(Arc::new(Table { certificates, self_signed: old.self_signed.clone() }));
            self.generation.send_modify(|generation| *generation += 1);
        }
        outcomes
    }

    /// Changes whenever a certificate was renewed; the value counts how often.
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
        self.self_signed.as_ref().map(|made| CertificateInfo {
            name: None,
            subjects: Vec::new(),
            is_default: true,
            sha256: sha256(&made.cert[0]),
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

/// Puts what the files hold now in the place of `certificate`, if it is another one and whole.
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
                "the certificate's files changed and cannot be used: the old one is still shown; put a whole \
                 chain (leaf first) and the key that belongs to it there",
            );
            Reloaded::Kept(reason)
        }
    };
    ReloadOutcome { name, reloaded }
}

fn warn_self_signed(made: &CertifiedKey, none_at_all: bool) {
    let sha256 = hex(&sha256(&made.cert[0]));
    if none_at_all {
        tracing::warn!(
            sha256,
            "no [tls.certificate] is configured: clients get a self-signed certificate, which they will not \
             trust; configure one",
        );
    } else {
        tracing::warn!(
            sha256,
            "no [tls.certificate] is the default: clients that ask for another name, or for none, get a \
             self-signed certificate, which they will not trust; set default = true on one",
        );
    }
}
