//! The path from a request to a confirmed session.

use std::fmt;
use std::sync::Arc;

use mapping::Router;
use plan::Name;
use runtime::{ActivePlan, CurrentPlan};
use sessions::{LoginTicket, Registry, SessionTicket, Unconfirmed};
use tokio::time::Instant;
use upstream::Backend;

use crate::refusal::{Reason, Refusal};
use crate::request::{Candidate, Dial, Request, Subject};
use crate::timings::Timings;

/// Places requests. Clones share the registry, the mapping and the plan in force.
#[derive(Clone)]
pub struct Placement {
    registry: Registry,
    router: Arc<Router>,
    current: CurrentPlan,
}

/// A request that was placed: the proof that its session is where its account is.
#[derive(Debug)]
pub struct Placed<L> {
    /// The backend's side of the session.
    pub leg: L,
    /// The confirmed session.
    pub ticket: SessionTicket,
    /// The destination's name.
    pub destination: Name,
    /// The destination.
    pub backend: Arc<Backend>,
    /// The plan by which it was placed.
    pub plan: Arc<ActivePlan>,
    /// How long the last round took.
    pub timings: Timings,
}

/// What became of one attempt to confirm.
enum Confirmation {
    Confirmed(SessionTicket),
    /// The account has moved, or a reload has replaced its destination: one more round.
    Moved(LoginTicket),
    Refused(NotConfirmed),
}

enum NotConfirmed {
    Busy(sessions::Busy),
    Outdated,
}

/// How often a request is placed anew when its account keeps moving, or its plan keeps being replaced.
const MAX_ROUNDS: u32 = 4;

// === impl Placement ===

impl Placement {
    /// Places requests by `current`, with the accounts' live state in `registry` and the mapping in `router`.
    #[must_use]
    pub fn new(registry: Registry, router: Arc<Router>, current: CurrentPlan) -> Self {
        Self { registry, router, current }
    }

    /// Returns the plan in force.
    #[must_use]
    pub const fn current(&self) -> &CurrentPlan {
        &self.current
    }

    /// Places `request`: waits while its account is held, looks up the destination, dials it, and confirms the
    /// session. An account that moves meanwhile is looked up and dialled again.
    ///
    /// # Errors
    /// See [`Reason`]. Nothing is left of the request in the registry.
    pub async fn place<D: Dial>(
        &self,
        request: &Request,
        dial: &mut D,
    ) -> Result<Placed<D::Leg>, Refusal<D::Error>> {
        let mut progress = Progress::default();
        match self.place_in_rounds(request, dial, &mut progress).await {
            Ok(placed) => Ok(placed),
            Err(reason) => {
                Err(Refusal { reason, destination: progress.destination, timings: progress.timings })
            }
        }
    }

    async fn place_in_rounds<D: Dial>(
        &self,
        request: &Request,
        dial: &mut D,
        progress: &mut Progress,
    ) -> Result<Placed<D::Leg>, Reason<D::Error>> {
        let mut ticket = self.begin(request).map_err(Reason::Busy)?;
        for _ in 0..MAX_ROUNDS {
            *progress = Progress::default();
            let began = Instant::now();
            ticket.wait_admitted().await.map_err(Reason::Held)?;
            progress.timings.hold = began.elapsed();

            let began = Instant::now();
            let candidate = match self.look_up(request, &ticket).await {
                Ok(candidate) => candidate,
                // A reload came between the mapping's answer and the plan, and removed the destination.
                Err(Missing::Destination) => continue,
                Err(Missing::Rule) => return Err(Reason::NoDestination),
                Err(Missing::Plan) => return Err(Reason::Outdated),
            };
            progress.timings.lookup = began.elapsed();
            progress.destination = Some(Arc::clone(&candidate.destination));

            let leg = dial.dial(&candidate).await.map_err(Reason::Dial)?;
            match self.confirm(request, ticket, &candidate.backend).await {
                Confirmation::Confirmed(ticket) => {
                    let Candidate { plan, destination, backend, .. } = candidate;
                    return Ok(Placed { leg, ticket, destination, backend, plan, timings: progress.timings });
                }
                Confirmation::Moved(_) if !dial.can_repeat() => return Err(Reason::Moved),
                Confirmation::Moved(again) => ticket = again,
                Confirmation::Refused(NotConfirmed::Busy(busy)) => return Err(Reason::Busy(busy)),
                Confirmation::Refused(NotConfirmed::Outdated) => return Err(Reason::Outdated),
            }
        }
        Err(Reason::Moved)
    }

    fn begin(&self, request: &Request) -> Result<LoginTicket, sessions::Busy> {
        match &request.subject {
            Subject::Account(account) => {
                self.registry.begin(account.as_str(), request.protocol, request.client)
            }
            Subject::Unknown | Subject::Fixed(_) | Subject::Passthrough => {
                Ok(self.registry.begin_anonymous(request.protocol, request.client))
            }
        }
    }

    async fn look_up(&self, request: &Request, ticket: &LoginTicket) -> Result<Candidate, Missing> {
        let mapped = self.mapped(ticket).await;
        // After the mapping's answer: the plan is at least as new, so an answer by a newer one finds its destination.
        let plan = self.current.now();
        if !is_decided_by(request, &plan) {
            return Err(Missing::Plan);
        }
        let destination = destination(&request.subject, mapped, &plan).ok_or(Missing::Rule)?;
        let backend = Arc::clone(plan.backends.get(&destination).ok_or(Missing::Destination)?);
        Ok(Candidate { plan, destination, backend, account: ticket.account().cloned() })
    }

    /// Returns what the mapping says of the ticket's account, where it has one.
    async fn mapped(&self, ticket: &LoginTicket) -> Option<Name> {
        Some(self.router.resolve(ticket.account()?).await.destination)
    }

    /// Makes the login a session where it still leads to `backend`: by the mapping, which may have been changed in the
    /// store itself and then leaves no mark in the registry, and by the plan in force.
    async fn confirm(&self, request: &Request, ticket: LoginTicket, backend: &Backend) -> Confirmation {
        // Each further round is a reload between the look-up and the confirmation. It must not cost a login whose
        // destination it did not change: not every credential can be replayed.
        for _ in 0..MAX_ROUNDS {
            let plan = self.current.now();
            if !is_decided_by(request, &plan) {
                return Confirmation::Refused(NotConfirmed::Outdated);
            }
            let mapped = self.mapped(&ticket).await;
            let Some(destination) = destination(&request.subject, mapped, &plan) else { break };
            if !plan.backends.get(&destination).is_some_and(|found| found.is_same(backend)) {
                break;
            }
            let held = self.current.hold();
            if !Arc::ptr_eq(&held, &plan) {
                continue;
            }
            return match ticket.confirm(destination) {
                Ok(session) => Confirmation::Confirmed(session),
                Err(Unconfirmed::Outdated(ticket)) => Confirmation::Moved(ticket),
                Err(Unconfirmed::Busy(busy)) => Confirmation::Refused(NotConfirmed::Busy(busy)),
            };
        }
        Confirmation::Moved(ticket)
    }
}

impl fmt::Debug for Placement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Placement").field("current", &self.current).finish_non_exhaustive()
    }
}

/// How far the last round came.
#[derive(Default)]
struct Progress {
    destination: Option<Name>,
    timings: Timings,
}

/// Why a look-up found no candidate.
enum Missing {
    /// The plan in force does not have the destination.
    Destination,
    /// The plan in force has no rule for the request.
    Rule,
    /// The plan that named the subject is no longer in force.
    Plan,
}

fn is_decided_by(request: &Request, plan: &Arc<ActivePlan>) -> bool {
    match &request.decided_by {
        Some(decided_by) => Arc::ptr_eq(decided_by, plan),
        None => true,
    }
}

/// Returns where `subject` goes by `plan`; `mapped` is what the mapping says of its account.
fn destination(subject: &Subject, mapped: Option<Name>, plan: &ActivePlan) -> Option<Name> {
    let routing = &plan.plan.routing;
    match subject {
        Subject::Account(_) => Some(mapped.unwrap_or_else(|| Arc::clone(&routing.default))),
        Subject::Unknown => Some(Arc::clone(&routing.default)),
        Subject::Fixed(name) => Some(Arc::clone(name)),
        Subject::Passthrough => routing.passthrough.clone(),
    }
}
