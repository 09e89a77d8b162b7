//! Turns what a probe found into what it means for logins there.

use ::probe::{Failure, Findings};
use plan::{Capabilities, Forwarding, TlsMode, Verify};
use tls::certificate::{self, Leaf};
use types::protocol::Protocol;
use upstream::Backend;

use super::report::{BackendRow, CertificateRow};
use super::{capabilities, fault_text};
use crate::format::unix_time;

/// The host of a backend that was probed, and the protocol it was probed with.
#[derive(Clone, Copy)]
pub(super) struct ProbedHost<'a> {
    pub(super) protocol: Protocol,
    pub(super) host: &'a str,
}

/// Returns the row for what was found at `probed`, where clients are offered `offered`.
pub(super) fn judge(
    backend: &Backend,
    offered: &Capabilities,
    probed: ProbedHost<'_>,
    findings: &Findings,
) -> BackendRow {
    let destination = backend.destination();
    let protocol = probed.protocol;
    let mut row = BackendRow {
        destination: destination.name.to_string(),
        protocol: protocol.name().to_owned(),
        host: probed.host.to_owned(),
        greeting: String::from_utf8_lossy(&findings.greeting).trim().to_owned(),
        tls: findings.tls.as_ref().map(|info| info.version.to_owned()),
        ..BackendRow::default()
    };
    let Some(leg) = destination.leg(protocol) else { return row };
    row.port = leg.port;
    judge_certificate(&mut row, findings);
    match &findings.failure {
        Some(Failure::Tls(error)) => row.problems.push(error.to_string()),
        Some(Failure::Fault(fault)) => row.problems.push(fault_text::describe(*fault).to_owned()),
        None => {}
    }
    judge_capabilities(&mut row, offered, protocol, findings);
    row.forwarding = forwarding_text(leg.forwarding, findings).to_owned();
    if findings.failure.is_none() && !findings.introduced {
        row.warnings.push(
            "the server accepts neither XCLIENT nor ID from the proxy, so it sees the proxy's address instead of the \
             client's: add the proxy to its trusted networks, or set forwarding = \"none\""
                .to_owned(),
        );
    }
    if leg.tls != TlsMode::Plain && destination.verify == Verify::Nothing {
        row.warnings.push(
            "its certificate is not verified (tls_allow_invalid_certs): pin the certificate instead"
                .to_owned(),
        );
    }
    row.state = match (row.problems.is_empty(), row.warnings.is_empty()) {
        (false, _) => "failed",
        (true, false) => "warning",
        (true, true) => "ok",
    };
    row
}

/// Notes what a server offers to clients over TLS, which the SSL TLV reports, and not to others, and the reverse.
pub(super) fn judge_ssl_tlv(row: &mut BackendRow, protocol: Protocol, with_tlv: &Findings) {
    let offered = probe::announced(protocol, &with_tlv.received);
    let more: Vec<&str> = difference(&offered, &row.capabilities);
    let fewer: Vec<&str> = difference(&row.capabilities, &offered);
    if more.is_empty() && fewer.is_empty() {
        return;
    }
    let mut note = "the SSL TLV of the PROXY header changes what the server offers:".to_owned();
    if !more.is_empty() {
        note.push_str(&format!(" with it there is also {}", more.join(", ")));
    }
    if !fewer.is_empty() {
        let separator = if more.is_empty() { "" } else { ";" };
        note.push_str(&format!("{separator} without it there is also {}", fewer.join(", ")));
    }
    note.push_str("; if logins of clients over TLS fail, set proxy_tlvs = false");
    row.notes.push(note);
}

/// Returns the members of `these` that are not among `those`.
fn difference<'a>(these: &'a [String], those: &[String]) -> Vec<&'a str> {
    these.iter().filter(|one| !those.contains(one)).map(String::as_str).collect()
}

fn judge_capabilities(row: &mut BackendRow, offered: &Capabilities, protocol: Protocol, findings: &Findings) {
    if !matches!(protocol, Protocol::Imap | Protocol::Pop3 | Protocol::ManageSieve | Protocol::Submission) {
        return;
    }
    row.capabilities = probe::announced(protocol, &findings.received);
    row.mechanisms = probe::mechanisms(protocol, &row.capabilities);
    // An EHLO response without keywords is an answer: it offers no login.
    let is_silent = row.capabilities.is_empty() && protocol != Protocol::Submission;
    if findings.failure.is_some() || is_silent {
        return;
    }
    let missing = capabilities::missing(offered, protocol, &row.capabilities, &row.mechanisms);
    if !missing.is_empty() {
        row.warnings.push(format!(
            "clients are offered {}, which the server lacks: remove it from [capabilities.{protocol}], or enable it on \
             the server",
            missing.join(", ")
        ));
    }
    if !capabilities::accepts_passwords(protocol, &row.capabilities, &row.mechanisms) {
        row.problems.push(
            "the server accepts no passwords on this connection (neither PLAIN nor LOGIN): allow them for the proxy's \
             address, or use TLS"
                .to_owned(),
        );
    }
}

const fn forwarding_text(forwarding: Forwarding, findings: &Findings) -> &'static str {
    match (forwarding, findings.failure.is_none(), findings.introduced) {
        (Forwarding::None, ..) => "none",
        (Forwarding::Proxy, true, _) => "PROXY taken",
        (Forwarding::Proxy, false, _) => "PROXY ?",
        (Forwarding::Xclient, true, true) => "XCLIENT/ID taken",
        (Forwarding::Xclient, true, false) => "XCLIENT/ID not taken",
        (Forwarding::Xclient, false, _) => "XCLIENT/ID ?",
    }
}

fn judge_certificate(row: &mut BackendRow, findings: &Findings) {
    let Some(der) = &findings.certificate else { return };
    let Ok(leaf) = Leaf::of(&der.as_slice().into()) else { return };
    let now = i64::try_from(unix_time()).unwrap_or(i64::MAX);
    if let Some(expiry) = certificate::expiry_warning(leaf.not_after, now) {
        row.warnings.push(format!("its certificate {expiry}: renew it on the server"));
    }
    let days_left = leaf.not_after.saturating_sub(now).div_euclid(86_400);
    row.certificate = Some(CertificateRow {
        sha256: leaf.sha256.iter().map(|byte| format!("{byte:02x}")).collect(),
        names: leaf.subjects,
        not_after: leaf.not_after,
        days_left,
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noted(without: &str, with: &str) -> Vec<String> {
        let mut row = BackendRow {
            capabilities: probe::announced(Protocol::Imap, without.as_bytes()),
            ..BackendRow::default()
        };
        let findings = Findings { received: with.as_bytes().to_vec(), ..Findings::default() };
        judge_ssl_tlv(&mut row, Protocol::Imap, &findings);
        row.notes
    }

    #[test]
    fn a_tlv_that_changes_the_offer_is_noted() {
        let plain = "* OK [CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED] hi\r\n";
        let secured = "* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] hi\r\n";
        assert!(noted(plain, plain).is_empty());
        assert_eq!(
            noted(plain, secured),
            [
                "the SSL TLV of the PROXY header changes what the server offers: with it there is also AUTH=PLAIN; \
              without it there is also STARTTLS, LOGINDISABLED; if logins of clients over TLS fail, set proxy_tlvs = \
              false"
            ]
        );
        let fewer = "* OK [CAPABILITY IMAP4rev1 LOGINDISABLED] hi\r\n";
        assert_eq!(
            noted(plain, fewer),
            [
                "the SSL TLV of the PROXY header changes what the server offers: without it there is also STARTTLS; if \
              logins of clients over TLS fail, set proxy_tlvs = false"
            ]
        );
    }
}
