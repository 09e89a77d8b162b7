//! Names that the configuration file gives.

use std::sync::Arc;

/// The name of a destination, a listener or a certificate.
pub type Name = Arc<str>;
