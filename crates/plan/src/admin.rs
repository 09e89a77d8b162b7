//! `[admin]`: the management API.

use std::net::SocketAddr;
use std::time::Duration;

use types::secret::Secret;

use crate::name::Name;

/// Where the self-signed certificate of the management API is kept, in [`Plan::state_folders`](super::Plan::state_folders).
pub const ADMIN_CERTIFICATE: &str = "admin.crt";
/// Its key, beside it.
pub const ADMIN_KEY: &str = "admin.key";

/// `[admin]`.
#[derive(Debug)]
pub struct Admin {
    /// The addresses to listen on.
    pub bind: Vec<SocketAddr>,
    /// At least `min_token_len` bytes.
    pub token: Secret,
    /// Failures after which a network is locked out.
    pub lockout_threshold: u32,
    /// The duration of a lockout.
    pub lockout_duration: Duration,
    /// Name of a `[tls.certificate]`; `None` = a self-signed one, kept in [`Plan::state_folders`](super::Plan::state_folders).
    pub certificate: Option<Name>,
    /// Whether metrics need no token.
    pub metrics_public: bool,
}
