//! A login at a listener, by the machines that the proxy itself logs in with at backends.

use std::net::{Ipv4Addr, SocketAddr};

use connection::Next;
use credentials::attempt::{Attempt, ClientInfo, Credential};
use mail_leg::{Leg, LegRequest};
use mail_proto::step::{BackendEvent, Step};
use mail_proto::verdict::Reply;
use probe::Failure;
use tokio::time::{Instant, timeout_at};
use types::fault::Fault;
use types::protocol::Protocol;
use types::secret::Secret;
use upstream::{Backend, ClientIdentity};

use super::Ended;
use crate::probe::words;

/// Who logs in.
pub(super) struct Account<'a> {
    pub(super) user: &'a str,
    pub(super) password: &'a Secret,
}

/// Where we say that we are from.
pub(super) const HOSTNAME: &str = "localhost";

/// Logs in; the session, when there is one.
pub(super) async fn text(
    backend: &Backend,
    protocol: Protocol,
    account: &Account<'_>,
) -> (Ended, Option<Leg>) {
    let deadline = Instant::now() + backend.timeout();
    let request = LegRequest {
        protocol,
        client: &client_identity(),
        client_info: &ClientInfo::default(),
        hostname: HOSTNAME,
        deadline,
    };
    let mut leg = match Box::pin(mail_leg::open(backend, request)).await {
        Ok(leg) => leg,
        Err(fault) => return (Ended::Failed(reason(backend, protocol, fault).await), None),
    };
    match timeout_at(deadline, Box::pin(exchange(&mut leg, account))).await {
        Ok(Ok(())) => (Ended::Ok("logged in".to_owned()), Some(leg)),
        Ok(Err(why)) => (Ended::Failed(why), None),
        Err(_) => (Ended::Failed(words::of(Fault::TimedOut).to_owned()), None),
    }
}

async fn exchange(leg: &mut Leg, account: &Account<'_>) -> Result<(), String> {
    let credential = Credential::Password {
        user: Secret::copy_of(account.user.as_bytes()),
        password: Secret::copy_of(account.password.expose()),
    };
    let attempt = Attempt { credential, client_info: ClientInfo::default() };
    let say = |fault| words::of(fault).to_owned();
    match leg.replay.authenticate(&attempt) {
        Step::Write(bytes) => leg.connection.write(bytes.expose()).await.map_err(|_| say(Fault::Closed))?,
        Step::Event(BackendEvent::Broken(fault)) => return Err(say(fault)),
        _ => return Err(say(Fault::Protocol)),
    }
    match leg.connection.next(&mut *leg.replay).await {
        Ok(Next::Event(BackendEvent::Accepted(_))) => Ok(()),
        Ok(Next::Event(BackendEvent::Refused(reply))) => Err(format!(
            "the login was refused ({}): is the password right, and is the account at the destination that `pointsman map \
             get` names?",
            last(&reply)
        )),
        Ok(Next::Event(BackendEvent::NotNow(reply))) => Err(format!(
            "not now ({}): the destination is down or refuses; see `pointsman status` and the log",
            last(&reply)
        )),
        Ok(Next::Event(BackendEvent::Broken(fault))) => Err(say(fault)),
        Ok(_) => Err(say(Fault::Protocol)),
        Err(_) => Err(say(Fault::Closed)),
    }
}

/// Why it came to `fault`, in words. TLS says more when it is asked again.
pub(super) async fn reason(backend: &Backend, protocol: Protocol, fault: Fault) -> String {
    let host = backend.destination().hosts.first().filter(|_| fault == Fault::Tls);
    if let Some(host) = host {
        let deadline = Instant::now() + backend.timeout();
        let found = probe::probe(backend, protocol, host, HOSTNAME, deadline).await;
        if let Some(Failure::Tls(error)) = found.failure {
            return format!("{error} (for a private authority, give --ca)");
        }
    }
    words::of(fault).to_owned()
}

pub(super) fn client_identity() -> ClientIdentity {
    let nobody = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    ClientIdentity { client: nobody, local: nobody, tls: None, session: "verify".to_owned(), ttl: 1 }
}

fn last(reply: &Reply) -> String {
    String::from_utf8_lossy(&reply.last).trim().to_owned()
}
