//! TLS on both sides: acceptors, certificate selection and reload, connectors, and the one [`Stream`].
//!
//! The crate exists so that the TLS engine can be replaced without touching a dialogue: apart from the plan's
//! certificate type, no type of the engine is in its public interface. It must never use a process-wide default
//! (provider, roots, verifier), never weaken a destination's verification, and never print a key.
//!
//! | module | subject |
//! |---|---|
//! | `stream`, `prefixed` | a connection in the clear or inside TLS; bytes that were read earlier |
//! | `encrypted`, `engine` | records between a socket and the engine |
//! | `scratch`, `leftover` | the worker's buffers; what a poll leaves over |
//! | `handshake_info` | what a handshake negotiated |
//! | `acceptor`, `selection` | the server's side; which certificate a client gets |
//! | `certificates`, `certificate`, `watch` | the table of certificates; reading them from files, reloading them |
//! | `self_signed`, `stored` | self-signed certificates, in memory and in files |
//! | `connector`, `verify`, `roots` | the client's side; how a backend's certificate is verified |
//! | `error`, `setup`, `describe` | errors of handshakes and of the configuration, and how they are described |

mod acceptor;
pub mod certificate;
mod certificates;
mod connector;
mod describe;
mod encrypted;
mod engine;
mod error;
mod handshake_info;
mod leftover;
mod prefixed;
mod roots;
mod scratch;
mod selection;
mod self_signed;
mod setup;
mod stored;
mod stream;
mod verify;
mod watch;

pub use acceptor::{Acceptor, Tickets};
pub use certificates::{CertificateInfo, Certificates, ReloadOutcome, Reloaded};
pub use connector::Connector;
pub use error::TlsError;
pub use handshake_info::TlsInfo;
pub use roots::PlatformRoots;
pub use setup::SetupError;
pub use stream::Stream;
pub use watch::WatchHandle;

/// Installs our cryptography provider as the process's default, for libraries that use the default (the Redis client).
/// This crate never does. Call it once, before any TLS is used; a second call changes nothing.
pub fn provide() {
    // Fails when a default is installed already; that one is ours.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}
