//! What is to be placed, and how.

use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;

use identity::Identifier;
use plan::Name;
use runtime::ActivePlan;
use types::protocol::Protocol;
use upstream::Backend;

/// Something that needs a backend.
#[derive(Debug, Clone)]
pub struct Request {
    /// What decides where it goes.
    pub subject: Subject,
    /// The protocol that it speaks.
    pub protocol: Protocol,
    /// The real client's address.
    pub client: IpAddr,
    /// The plan whose rules named the subject, where another plan's rules could name another one. The placement is
    /// refused with [`Reason::Outdated`](crate::Reason::Outdated) when that plan is no longer in force.
    pub decided_by: Option<Arc<ActivePlan>>,
}

/// What decides where a request goes.
#[derive(Debug, Clone)]
pub enum Subject {
    /// An account: the destination that the mapping names.
    Account(Identifier),
    /// A login whose account is unknown: the default destination.
    Unknown,
    /// A fixed destination, whatever the account.
    Fixed(Name),
    /// A connection that passes through whole: `routing.passthrough_destination`.
    Passthrough,
}

/// A destination that was looked up and may be dialled.
#[derive(Clone)]
pub struct Candidate {
    /// The plan in force when it was looked up.
    pub plan: Arc<ActivePlan>,
    /// The destination's name.
    pub destination: Name,
    /// The destination.
    pub backend: Arc<Backend>,
    /// The normalised account, where it is known.
    pub account: Option<Arc<str>>,
}

/// How a protocol gets from a candidate to a backend that has said yes.
pub trait Dial: Send {
    /// The backend's side of the session.
    type Leg: Send;
    /// Why there is none.
    type Error: Send;

    /// Connects to the candidate; for a login, replays the credential too, up to the backend's yes.
    fn dial(&mut self, candidate: &Candidate) -> impl Future<Output = Result<Self::Leg, Self::Error>> + Send;

    /// Returns whether [`Dial::dial`] may be called again after a leg that was not confirmed. A SCRAM exchange, in
    /// which the client took part, is good for one backend only.
    fn can_repeat(&self) -> bool;
}
