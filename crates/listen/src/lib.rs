//! The doors: listening sockets, the limits of how many may come in, and the inbound PROXY header.
//!
//! What must never happen here: a full house that spins or crashes (descriptors, connections, one address
//! taking all the room), or an address that is believed from somebody who may not say it.

mod bound;
mod limiter;
mod origin;
mod reserve;
pub mod socket;

pub use bound::{Accepted, BindError, BoundListener, bind, bind_all};
pub use limiter::{ConnectionLimiter, Permit};
pub use origin::{NoOrigin, Origin, origin};
pub use reserve::ReservedFd;
