//! Why something was not placed.

use plan::Name;
use sessions::{Busy, HeldTooLong};

use crate::timings::Timings;

/// A request that was not placed.
#[derive(Debug)]
pub struct Refusal<E> {
    /// Why.
    pub reason: Reason<E>,
    /// The destination of the last round, where the look-up got that far.
    pub destination: Option<Name>,
    /// How long the last round took.
    pub timings: Timings,
}

/// Why a request was not placed.
#[derive(Debug)]
pub enum Reason<E> {
    /// The account has as many logins or sessions as it may have.
    Busy(Busy),
    /// A move or a delay held the account for longer than a login may wait.
    Held(HeldTooLong),
    /// The account moved while it was placed, and one more round did not help or was not possible.
    Moved,
    /// The plan that named the subject is no longer in force; its rules must be applied again.
    Outdated,
    /// The plan in force names no destination for the request.
    NoDestination,
    /// The backend could not be dialled, or did not say yes.
    Dial(E),
}
