//! The public host name and the certificates: clients connect to that name.

use plan::TlsMode;

use crate::diagnostic::Problems;
use crate::draft::Draft;

/// Warns if no certificate is valid for `server.hostname`. Without any certificate the start warns of the self-signed one.
pub(super) fn all(draft: &Draft, problems: &Problems) {
    let certificates = &draft.plan.tls.certificates;
    let Some(hostname) = &draft.plan.server.hostname else { return };
    let uses_tls = draft.plan.listeners.iter().any(|listener| listener.tls != TlsMode::Plain);
    if certificates.is_empty() || !uses_tls {
        return;
    }
    let hostname = hostname.to_ascii_lowercase();
    let wildcard = hostname.split_once('.').map(|(_, parent)| format!("*.{parent}"));
    let mut subjects = certificates.iter().flat_map(|certificate| &certificate.subjects);
    if !subjects.any(|subject| *subject == hostname || Some(subject) == wildcard.as_ref()) {
        let message = format!(
            "no certificate is valid for \"{hostname}\": clients that connect to this name will not trust it"
        );
        let names: Vec<_> =
            certificates.iter().flat_map(|certificate| &certificate.subjects).cloned().collect();
        let help = format!(
            "write a name that clients connect to, or add a certificate for it; there are certificates for {}",
            names.join(", ")
        );
        problems.warning("server.hostname", draft.hostname.clone(), message, help);
    }
}
