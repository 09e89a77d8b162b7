//! The doors: listening sockets, the limits of how many may come in, and the inbound PROXY header.
//!
//! What must never happen here: a full house that spins or crashes (descriptors, connections, one address
//! taking all the room), or an address that is believed from somebody who may not say it.

mod door;
mod origin;
mod places;
mod reserve;

pub use door::{Accepted, BindError, Door, bind, bind_all};
pub use origin::{NoOrigin, Origin, origin};
pub use places::{Full, Place, Places};
pub use reserve::Spare;
