//! TLS on both sides: acceptors, certificate choice and reload, connectors, and the one [`Stream`].
//!
//! The room exists so that the TLS engine can be exchanged without touching a dialogue: no type of rustls or
//! tokio-rustls shows in what it offers. It must never use a process-wide default (provider, roots,
//! verifier), never weaken a destination's rule of verification, and never print a key.
//!
//! | module | subject |
//! |---|---|
//! | `stream`, `prefixed` | a connection in the clear or inside TLS; bytes that were read before |
//! | `info` | what a handshake agreed on |
//! | `acceptor`, `choice` | the server's side; which certificate a client gets |
//! | `certificates`, `watch`, `self_signed` | the table of certificates, renewed while it runs |
//! | `connector`, `verify`, `roots` | the client's side; how a backend's certificate is judged |
//! | `error` | what went wrong, in words |

mod acceptor;
mod certificates;
mod choice;
mod connector;
mod error;
mod info;
mod pair;
mod prefixed;
mod roots;
mod self_signed;
mod stream;
mod verify;
mod watch;

pub use acceptor::{Acceptor, Tickets};
pub use certificates::{CertificateInfo, Certificates, ReloadOutcome, Reloaded};
pub use connector::Connector;
pub use error::{SetupError, TlsError};
pub use info::TlsInfo;
pub use roots::PlatformRoots;
pub use stream::Stream;
pub use watch::WatchHandle;
