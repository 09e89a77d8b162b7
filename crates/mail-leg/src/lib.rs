//! Legs of the text protocols: a connection to a backend, from connected to ready for a credential.
//!
//! It ends at [`Leg`]: a backend that is ready for a credential and has not received one. Until then everything may
//! be tried again; what follows is the session's. What must never happen here: a credential is sent.
//!
//! | module | subject |
//! |---|---|
//! | `leg` | [`open`]: greeting, STARTTLS and forwarding, at each host in turn |
//! | `protocols` | the machine that speaks each protocol to a backend |

mod leg;
mod protocols;

pub use leg::{Leg, LegRequest, MAX_RESPONSE, fault, forward, open};
pub use protocols::replay;
