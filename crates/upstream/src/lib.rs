//! Connections to backends: health, address resolution, dialling, the PROXY header, TLS.
//!
//! Everything here happens before a credential is sent, so all of it may be tried again. The crate knows no
//! application protocol: `mail-leg` and `web` take over at the first byte of theirs. What must never happen here: a
//! connection that was announced for one client is handed to another, or a connection that leads back to ourselves.
//!
//! | module | subject |
//! |---|---|
//! | `backend` | [`Backends`] and [`Backend`]: the destinations of a plan with their live state |
//! | `attempts` | which host is tried next |
//! | `connect` | one connection: dial, PROXY header, TLS |
//! | `dial` | from a host name to a TCP connection |
//! | `health` | the circuit breaker of a leg |
//! | `checks` | checks of legs under the proxy's own address |
//! | `client` | what a backend may learn of the client |

mod attempts;
mod backend;
mod checks;
mod client;
mod connect;
mod dial;
mod health;

pub use attempts::{Attempts, HostAttempt};
pub use backend::{Backend, Backends, Endpoint};
pub use checks::LegCheck;
pub use client::{ClientIdentity, Steps};
pub use connect::Connected;
pub use health::{Health, HealthSnapshot};
