//! What every connection of the text protocols shares.

use std::sync::Arc;

use placement::Placement;
use runtime::{Arrival, LoginRecorder};

use crate::offers::Offers;

/// What every connection shares. Clones share it too.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) placement: Placement,
    pub(crate) arrival: Arrival,
    pub(crate) recorder: LoginRecorder,
    pub(crate) offers: Arc<Offers>,
}
