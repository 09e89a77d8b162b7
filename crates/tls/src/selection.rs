//! Which certificate a client gets.
//!
//! The selection is a pure function of the table and the ClientHello, so that a table of cases can test it. A missing
//! or unknown SNI must never end the handshake while any certificate is available: old mail clients send none.

use std::cell::Cell;
use std::sync::Arc;

use plan::Certificate;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::certificates::Certificates;
use crate::setup::SetupError;

/// Selects by SNI.
#[derive(Debug)]
pub(crate) struct BySni(pub(crate) Arc<Certificates>);

/// Always selects `[tls.certificate.NAME]`, in its current version.
#[derive(Debug)]
pub(crate) struct ByName {
    certificates: Arc<Certificates>,
    name: String,
}

/// Returns the index of the certificate for `sni`: exact name, then wildcard, then parent domain (one label only), then
/// the default, then the only one. `None` stands for the self-signed one.
///
/// `is_usable` returns whether the client can verify signatures of the key at an index: where an ECDSA and an RSA
/// certificate share a name, an old client gets the one that it supports.
pub(crate) fn select(
    certificates: &[Arc<Certificate>],
    sni: Option<&str>,
    is_usable: impl Fn(usize) -> bool,
) -> Option<usize> {
    let by_name = sni.and_then(|sni| {
        let host = sni.strip_suffix('.').unwrap_or(sni).to_ascii_lowercase();
        let candidates = names_for(&host);
        best(certificates, &candidates, &is_usable).or_else(|| best(certificates, &candidates, |_| true))
    });
    by_name
        .or_else(|| certificates.iter().position(|certificate| certificate.is_default))
        .or_else(|| (certificates.len() == 1).then_some(0))
}

/// Returns the subjects that match `host`, most specific first.
fn names_for(host: &str) -> Vec<String> {
    let mut names = vec![host.to_owned()];
    if let Some((_, parent)) = host.split_once('.') {
        names.push(format!("*.{parent}"));
        names.push(parent.to_owned());
    }
    names
}

fn best(
    certificates: &[Arc<Certificate>],
    names: &[String],
    is_usable: impl Fn(usize) -> bool,
) -> Option<usize> {
    names.iter().find_map(|name| {
        (0..certificates.len()).find(|&index| certificates[index].subjects.contains(name) && is_usable(index))
    })
}

/// The host name of a ClientHello, if it has one.
struct Requested(Option<Box<str>>);

thread_local! {
    static REQUESTED: Cell<Option<Requested>> = const { Cell::new(None) };
}

/// Runs one step of an engine, and stores the host name in `sni` when the step has processed a ClientHello. The engine
/// without buffers shows the name only to the selection, which it calls within the step, on the same thread.
pub(crate) fn note_requested<T>(sni: &mut Option<Box<str>>, step: impl FnOnce() -> T) -> T {
    // A step that panicked may have left the name of another connection.
    REQUESTED.set(None);
    let result = step();
    if let Some(Requested(name)) = REQUESTED.take() {
        *sni = name;
    }
    result
}

fn note(hello: &ClientHello<'_>) {
    REQUESTED.set(Some(Requested(hello.server_name().map(Box::from))));
}

// === impl BySni ===

impl ResolvesServerCert for BySni {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        note(&hello);
        let table = self.0.table();
        let schemes = hello.signature_schemes();
        let is_usable = |index: usize| {
            let certificate: &Certificate = &table.certificates[index];
            certificate.key.key.choose_scheme(schemes).is_some()
        };
        match select(&table.certificates, hello.server_name(), is_usable) {
            Some(index) => Some(Arc::clone(&table.certificates[index].key)),
            None => table.self_signed.clone(),
        }
    }
}

// === impl ByName ===

impl ByName {
    pub(crate) fn new(certificates: &Arc<Certificates>, name: &str) -> Result<Self, SetupError> {
        let by_name = Self { certificates: Arc::clone(certificates), name: name.to_owned() };
        if by_name.find().is_none() {
            return Err(SetupError::NoSuchCertificate { name: name.to_owned() });
        }
        Ok(by_name)
    }

    fn find(&self) -> Option<Arc<CertifiedKey>> {
        let table = self.certificates.table();
        table.certificates.iter().find(|one| *one.name == *self.name).map(|one| Arc::clone(&one.key))
    }
}

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        note(&hello);
        self.find()
    }
}

#[cfg(test)]
mod tests;
