//! A login at a listener, by the machines with which the proxy logs in at backends.

use std::net::{Ipv4Addr, SocketAddr};

use connection::Next;
use credentials::attempt::{Attempt, ClientInfo, Credential};
use mail_leg::{Leg, LegRequest};
use mail_proto::step::{BackendEvent, Step};
use mail_proto::verdict::Reply;
use probe::{Failure, ProbeClient};
use tokio::time::{Instant, timeout_at};
use types::fault::Fault;
use types::protocol::Protocol;
use types::secret::Secret;
use upstream::{Backend, ClientIdentity};

use super::result::TestResult;
use crate::probe::fault_text::describe;

/// The account that logs in.
pub(super) struct Account<'a> {
    pub(super) user: &'a str,
    pub(super) password: &'a Secret,
}

/// The name that `verify` gives in EHLO and to the proxy.
pub(super) const HOSTNAME: &str = "localhost";

/// Logs in. Returns the logged-in leg too if the login succeeded.
pub(super) async fn test_login(
    backend: &Backend,
    protocol: Protocol,
    account: &Account<'_>,
) -> (TestResult, Option<Leg>) {
    let deadline = Instant::now() + backend.timeout();
    let request = LegRequest {
        protocol,
        client: &client_identity(),
        client_info: &ClientInfo::default(),
        hostname: HOSTNAME,
        deadline,
    };
    // Boxed, here and below, for clippy::large_futures.
    let mut leg = match Box::pin(mail_leg::open(backend, request)).await {
        Ok(leg) => leg,
        Err(fault) => return (TestResult::Failed(explain(backend, protocol, fault).await), None),
    };
    match timeout_at(deadline, Box::pin(authenticate(&mut leg, account))).await {
        Ok(Ok(())) => (TestResult::Passed("logged in".to_owned()), Some(leg)),
        Ok(Err(reason)) => (TestResult::Failed(reason), None),
        Err(_) => (TestResult::Failed(describe(Fault::TimedOut).to_owned()), None),
    }
}

async fn authenticate(leg: &mut Leg, account: &Account<'_>) -> Result<(), String> {
    let credential = Credential::Password {
        user: Secret::copy_of(account.user.as_bytes()),
        password: Secret::copy_of(account.password.expose()),
    };
    let attempt = Attempt { credential, client_info: ClientInfo::default() };
    match leg.replay.authenticate(&attempt) {
        Step::Write(bytes) => {
            leg.connection.write(bytes.expose()).await.map_err(|_| describe(Fault::Closed).to_owned())?;
        }
        Step::Event(BackendEvent::Broken(fault)) => return Err(describe(fault).to_owned()),
        _ => return Err(describe(Fault::Protocol).to_owned()),
    }
    match leg.connection.next(&mut *leg.replay).await {
        Ok(Next::Event(BackendEvent::Accepted(_))) => Ok(()),
        Ok(Next::Event(BackendEvent::Refused(reply))) => Err(format!(
            "the login was refused ({}): check the password, and whether the account exists at the destination that \
             `pointsman map get` shows",
            last_line(&reply)
        )),
        Ok(Next::Event(BackendEvent::NotNow(reply))) => Err(format!(
            "the login failed for the time being ({}): check `pointsman status` and the log",
            last_line(&reply)
        )),
        Ok(Next::Event(BackendEvent::Broken(fault))) => Err(describe(fault).to_owned()),
        Ok(_) => Err(describe(Fault::Protocol).to_owned()),
        Err(_) => Err(describe(Fault::Closed).to_owned()),
    }
}

/// Explains `fault`. A TLS error carries its details only in a probe, so the handshake is repeated by one.
pub(super) async fn explain(backend: &Backend, protocol: Protocol, fault: Fault) -> String {
    if fault == Fault::Tls
        && let Some(host) = backend.destination().hosts.first()
    {
        let deadline = Instant::now() + backend.timeout();
        let findings = probe::probe(backend, protocol, host, HOSTNAME, ProbeClient::Proxy, deadline).await;
        if let Some(Failure::Tls(error)) = findings.failure {
            return format!("{error} (for a private certificate authority, pass --ca)");
        }
    }
    describe(fault).to_owned()
}

pub(super) fn client_identity() -> ClientIdentity {
    let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    ClientIdentity { client: local, local, tls: None, session: "verify".to_owned(), ttl: 1 }
}

fn last_line(reply: &Reply) -> String {
    String::from_utf8_lossy(&reply.last).trim().to_owned()
}
