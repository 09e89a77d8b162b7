//! What every connection of the text protocols shares.

use std::net::SocketAddr;
use std::sync::Arc;

use mail_proto::passthrough;
use mail_proto::step::{Channel, DialogueContext};
use mail_proto::verdict::CloseReason;
use placement::Placement;
use plan::Listener;
use runtime::{ActivePlan, Arrival, LoginRecorder};

use crate::offers::Offers;
use crate::protocols;

/// What every connection shares. Clones share it too.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) placement: Placement,
    pub(crate) arrival: Arrival,
    pub(crate) recorder: LoginRecorder,
    pub(crate) offers: Arc<Offers>,
}

// === impl Shared ===

impl Shared {
    /// Returns what a client of `listener`, connected to `local`, is sent when a limit on connections is reached.
    pub(crate) fn busy_farewell(
        &self,
        plan: &Arc<ActivePlan>,
        listener: &Listener,
        local: SocketAddr,
    ) -> Vec<u8> {
        let offer = self.offers.get(plan, listener.protocol, local);
        let context = DialogueContext { offer, channel: Channel::Plain, peer_is_trusted: false };
        match protocols::dialogue(listener.protocol, context) {
            Some(mut dialogue) => dialogue.farewell(CloseReason::TooBusy),
            None => passthrough::farewell(CloseReason::TooBusy).to_vec(),
        }
    }
}
