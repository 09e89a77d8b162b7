//! A destination and how to log in there.

use std::net::{Ipv4Addr, SocketAddr};

use connection::Next;
use credentials::attempt::{Attempt, ClientInfo, Credential, Mechanism};
use mail_leg::{Leg, LegRequest};
use mail_proto::step::{BackendEvent, Step};
use mail_proto::verdict::Reply;
use plan::{CompareLogin, Plan};
use tokio::time::{Duration, Instant, timeout_at};
use types::fault::Fault;
use types::protocol::Protocol;
use types::secret::Secret;
use upstream::{Backend, Backends, ClientIdentity};

use crate::error::{Cause, CompareError};

/// One of the two servers of a comparison.
#[derive(Clone, Copy, Debug)]
pub struct Side<'a> {
    /// The destination.
    pub backend: &'a Backend,
    /// How to log in.
    pub login: &'a CompareLogin,
    /// Our own name, for EHLO and its like.
    pub hostname: &'a str,
}

/// How long a server may send nothing. Large folders may have to be indexed first.
pub(crate) const SILENCE: Duration = Duration::from_secs(60);

// === impl Side ===

impl<'a> Side<'a> {
    /// Returns the side of a destination; `None` when it cannot be compared: it is not declared, it has no IMAP leg, or
    /// `moves.compare` does not name it.
    #[must_use]
    pub fn of(backends: &'a Backends, plan: &'a Plan, destination: &str) -> Option<Self> {
        let backend = backends.get(destination)?;
        let login = plan.moves.compare.get(destination)?;
        let hostname = plan.server.hostname.as_deref().unwrap_or("localhost");
        let side = Self { backend, login, hostname };
        side.offers(Protocol::Imap).then_some(side)
    }

    /// Returns whether the destination offers `protocol`.
    pub(crate) fn offers(&self, protocol: Protocol) -> bool {
        self.backend.leg(protocol).is_ok()
    }

    pub(crate) fn error(&self, protocol: Protocol, cause: Cause) -> CompareError {
        CompareError { destination: self.backend.destination().name.clone(), protocol, cause }
    }

    /// Connects, and logs in to the mailbox of `account`.
    pub(crate) async fn log_in(
        &self,
        protocol: Protocol,
        account: &str,
        deadline: Instant,
    ) -> Result<Leg, Cause> {
        let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let client =
            ClientIdentity { client: local, local, tls: None, session: "compare".to_owned(), ttl: 1 };
        let deadline = deadline.min(Instant::now() + 2 * self.backend.timeout());
        let request = LegRequest {
            protocol,
            client: &client,
            client_info: &ClientInfo::default(),
            hostname: self.hostname,
            deadline,
        };
        let mut leg = mail_leg::open(self.backend, request).await.map_err(Cause::Unusable)?;
        match timeout_at(deadline, self.authenticate(&mut leg, account)).await {
            Ok(Ok(())) => Ok(leg),
            Ok(Err(cause)) => Err(cause),
            Err(_) => Err(Cause::Unusable(Fault::TimedOut)),
        }
    }

    async fn authenticate(&self, leg: &mut Leg, account: &str) -> Result<(), Cause> {
        let attempt = Attempt { credential: self.credential(account), client_info: ClientInfo::default() };
        match leg.replay.authenticate(&attempt) {
            Step::Write(bytes) => {
                let written = leg.connection.write(bytes.expose()).await;
                written.map_err(|_| Cause::Unusable(Fault::Closed))?;
            }
            Step::Event(BackendEvent::Broken(fault)) => return Err(Cause::Unusable(fault)),
            Step::Event(BackendEvent::MechanismUnavailable) => {
                return Err(Cause::Unusable(Fault::NoMechanism));
            }
            _ => return Err(Cause::Unusable(Fault::Protocol)),
        }
        let next = leg.connection.next(&mut *leg.replay).await;
        let Ok(next) = next else {
            let user = self.user(account);
            return Err(Cause::LoginRefused { user, reply: "the server closed the connection".to_owned() });
        };
        match next {
            Next::Event(BackendEvent::Accepted(_)) => Ok(()),
            Next::Event(BackendEvent::Refused(reply) | BackendEvent::NotNow(reply)) => {
                Err(Cause::LoginRefused { user: self.user(account), reply: last_line(&reply) })
            }
            Next::Event(BackendEvent::Broken(fault)) => Err(Cause::Unusable(fault)),
            _ => Err(Cause::Unusable(Fault::Protocol)),
        }
    }

    /// A master user logs in by SASL PLAIN with the account as authorization identity (RFC 4616), or under a joined name
    /// where a separator is configured.
    fn credential(&self, account: &str) -> Credential {
        let password = self.login.password.expose();
        match &self.login.master_user {
            Some(master) if self.login.separator.is_none() => {
                let mut initial = Secret::with_capacity(account.len() + master.len() + password.len() + 2);
                for part in [account.as_bytes(), b"\0", master.as_bytes(), b"\0", password] {
                    initial.extend(part);
                }
                Credential::Sasl { mechanism: Mechanism::Plain, initial }
            }
            _ => Credential::Password {
                user: Secret::copy_of(self.user(account).as_bytes()),
                password: Secret::copy_of(password),
            },
        }
    }

    /// Returns the user name of the login, or both names of a login by SASL PLAIN.
    fn user(&self, account: &str) -> String {
        match (&self.login.master_user, &self.login.separator) {
            (Some(master), Some(separator)) => format!("{account}{separator}{master}"),
            (Some(master), None) => format!("{master} for {account}"),
            (None, _) => account.to_owned(),
        }
    }
}

fn last_line(reply: &Reply) -> String {
    String::from_utf8_lossy(&reply.last).trim().to_owned()
}
