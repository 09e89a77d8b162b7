//! TLS of the management API: the certificate that the plan names, or a self-signed one that is kept.

use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use plan::{ADMIN_CERTIFICATE, ADMIN_KEY, Admin, Plan};
use tls::{Acceptor, Certificates, SetupError, Tickets};

/// TLS of the management API, whether it is served or not.
pub(crate) struct ApiTls {
    /// Self-signed, and the same from start to start, because clients pin it.
    own: Arc<Certificates>,
    tickets: Tickets,
    acceptor: ArcSwap<Acceptor>,
}

/// The protocols that the API negotiates (RFC 7301).
const ALPN: &[&[u8]] = &[b"http/1.1"];

// === impl ApiTls ===

impl ApiTls {
    /// Uses the certificate that `plan` names, or the self-signed one in `folder`, whose hash is logged.
    pub(crate) fn new(
        plan: &Plan,
        certificates: &Arc<Certificates>,
        folder: Option<&Path>,
    ) -> Result<Self, SetupError> {
        let is_shown = matches!(&plan.admin, Some(Admin { certificate: None, .. }));
        let own = match folder.filter(|_| is_shown) {
            Some(folder) => {
                Certificates::stored(&folder.join(ADMIN_CERTIFICATE), &folder.join(ADMIN_KEY), &names(plan))
            }
            // Needed only after a reload to a plan that names no certificate.
            None => Certificates::self_signed(&names(plan)),
        }?;
        // Separate keys: a ticket of a mail client must not resume a session here.
        let tickets = Tickets::new()?;
        let acceptor = acceptor(plan, certificates, &own, &tickets)?;
        if is_shown {
            let sha256: String = own.list().iter().flat_map(|info| info.sha256).map(hex).collect();
            tracing::info!(sha256, "management API: self-signed certificate; clients pin this");
        }
        Ok(Self { own, tickets, acceptor: ArcSwap::from_pointee(acceptor) })
    }

    /// Returns the TLS settings that `plan` asks for, to be put in force by [`ApiTls::set`].
    pub(crate) fn prepare(
        &self,
        plan: &Plan,
        certificates: &Arc<Certificates>,
    ) -> Result<Acceptor, SetupError> {
        acceptor(plan, certificates, &self.own, &self.tickets)
    }

    /// Returns the settings in force.
    pub(crate) fn acceptor(&self) -> Acceptor {
        Acceptor::clone(&self.acceptor.load())
    }

    /// Puts `acceptor` in force.
    pub(crate) fn set(&self, acceptor: Acceptor) {
        self.acceptor.store(Arc::new(acceptor));
    }
}

fn acceptor(
    plan: &Plan,
    certificates: &Arc<Certificates>,
    own: &Arc<Certificates>,
    tickets: &Tickets,
) -> Result<Acceptor, SetupError> {
    match plan.admin.as_ref().and_then(|admin| admin.certificate.as_ref()) {
        Some(name) => Acceptor::named(&plan.tls, certificates, name, tickets, ALPN),
        None => Acceptor::new(&plan.tls, own, tickets, ALPN),
    }
}

/// Returns the names in the self-signed certificate: our own, and the addresses that the API listens on.
fn names(plan: &Plan) -> Vec<String> {
    let addresses = plan.admin.iter().flat_map(|admin| &admin.bind);
    let addresses =
        addresses.filter(|address| !address.ip().is_unspecified()).map(|address| address.ip().to_string());
    plan.server.hostname.iter().cloned().chain(["localhost".to_owned()]).chain(addresses).collect()
}

fn hex(byte: u8) -> String {
    format!("{byte:02x}")
}
