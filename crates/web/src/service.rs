//! What every HTTP connection shares.

use std::fmt;
use std::sync::Arc;

use listen::ConnectionLimiter;
use placement::Placement;
use runtime::{Arrival, LoginRecorder};

use crate::memory::MemoryLimiter;
use crate::pool::Pool;

/// Serves HTTP. Clones share everything.
#[derive(Clone)]
pub struct Service {
    pub(crate) placement: Placement,
    pub(crate) arrival: Arrival,
    pub(crate) recorder: LoginRecorder,
    pub(crate) pool: Arc<Pool>,
    /// The requests in progress, which are limited like connections: each may need a connection to a backend.
    pub(crate) requests: ConnectionLimiter,
    pub(crate) memory: Arc<MemoryLimiter>,
}

// === impl Service ===

impl Service {
    /// Serves clients that `arrival` receives, places their requests with `placement` and records their logins with
    /// `recorder`. Must be called within the runtime.
    #[must_use]
    pub fn new(placement: Placement, arrival: Arrival, recorder: LoginRecorder) -> Self {
        let requests = ConnectionLimiter::new();
        Self { placement, arrival, recorder, pool: Pool::new(), requests, memory: Arc::default() }
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").field("placement", &self.placement).finish_non_exhaustive()
    }
}
