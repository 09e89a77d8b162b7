//! What every HTTP connection shares.

use std::fmt;
use std::sync::Arc;

use placement::Placement;
use runtime::{Arrival, LoginRecorder};

use crate::pool::Pool;

/// Serves HTTP. Clones share everything.
#[derive(Clone)]
pub struct Service {
    pub(crate) placement: Placement,
    pub(crate) arrival: Arrival,
    pub(crate) recorder: LoginRecorder,
    pub(crate) pool: Arc<Pool>,
}

// === impl Service ===

impl Service {
    /// Serves clients that `arrival` receives, places their requests with `placement` and records their logins with
    /// `recorder`. Must be called within the runtime.
    #[must_use]
    pub fn new(placement: Placement, arrival: Arrival, recorder: LoginRecorder) -> Self {
        Self { placement, arrival, recorder, pool: Pool::new() }
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").field("placement", &self.placement).finish_non_exhaustive()
    }
}
