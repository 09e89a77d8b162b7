//! Listening sockets, connection limits and the inbound PROXY header.
//!
//! What must never happen here: a busy loop or a crash when descriptors or connections run out; one address that uses
//! up every connection; a client address taken from a peer that is not trusted to report it.
//!
//! | module | subject |
//! |---|---|
//! | `binder` | the listening sockets of a plan, new or inherited |
//! | `bound` | a listening socket and its accept loop |
//! | `inherited` | sockets passed by a service manager or by the process before this one |
//! | `limiter` | connections per listener, per client address and per trusted peer |
//! | `origin` | the client address, from the socket or from a PROXY header |
//! | `reserve` | file descriptors kept for the management API |
//! | [`socket`] | socket options of both legs |

mod binder;
mod bound;
mod inherited;
mod limiter;
mod origin;
mod reserve;
pub mod socket;

pub use binder::{BindError, Binder};
pub use bound::{Accepted, BoundListener};
pub use inherited::{InheritError, Inherited};
pub use limiter::{ConnectionLimiter, Permit};
pub use origin::{NoOrigin, Origin, origin};
pub use reserve::ReservedFd;
