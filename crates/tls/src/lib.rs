//! TLS on both sides: acceptors, certificate choice and reload, connectors, and the one [`Stream`].
//!
//! The room exists so that the TLS engine can be exchanged without touching a dialogue: nothing of the engine
//! shows in what it offers but the plan's own certificate type. It must never use a process-wide default
//! (provider, roots, verifier), never weaken a destination's rule of verification, and never print a key.
//!
//! | module | subject |
//! |---|---|
//! | `stream`, `prefixed` | a connection in the clear or inside TLS; bytes that were read before |
//! | `info` | what a handshake agreed on |
//! | `acceptor`, `choice` | the server's side; which certificate a client gets |
//! | `certificates`, `watch`, `self_signed`, `kept` | the table of certificates, renewed while it runs; what is shown where there is none |
//! | `connector`, `verify`, `roots` | the client's side; how a backend's certificate is judged |
//! | `error`, `setup`, `words` | what went wrong, in words |

mod acceptor;
pub mod certificate;
mod certificates;
mod choice;
mod connector;
mod error;
mod info;
mod kept;
mod prefixed;
mod roots;
mod self_signed;
mod setup;
mod stream;
mod verify;
mod watch;
mod words;

pub use acceptor::{Acceptor, Tickets};
pub use certificates::{CertificateInfo, Certificates, ReloadOutcome, Reloaded};
pub use connector::Connector;
pub use error::TlsError;
pub use info::TlsInfo;
pub use roots::PlatformRoots;
pub use setup::SetupError;
pub use stream::Stream;
pub use watch::WatchHandle;

/// Names our provider of cryptography to libraries that ask the process for one (Redis' client); nothing here
/// does. To be called first, once; a second call changes nothing.
pub fn provide() {
    // Refused when there is one already, which is ours.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}
