//! The fourth stage: the backend has said yes and the session is confirmed; the client has not been told yet.

use std::sync::Arc;

use bridge::{Limits, Opening};
use credentials::attempt::Mechanism;
use mail_proto::verdict::Verdict;
use runtime::{BridgedSession, Ledger, micros};
use upstream::ClientIdentity;

use crate::bridged::{Bridged, Follower};
use crate::client::Client;
use crate::replay::AuthenticatedLeg;
use crate::slot::Slot;

/// A login that has succeeded.
pub(crate) struct Login {
    pub(crate) placed: placement::Placed<AuthenticatedLeg>,
    pub(crate) mechanism: Mechanism,
    pub(crate) identity: ClientIdentity,
}

/// A client whose session is confirmed.
pub(crate) struct Placed {
    pub(crate) client: Client,
    pub(crate) login: Login,
    pub(crate) slot: Slot,
}

// === impl Placed ===

impl Placed {
    /// Prepares the answer to the client, and frees everything that was only needed for the login. Returns `None` when
    /// the client's stream is gone.
    pub(crate) fn bridge(self) -> Option<Bridged> {
        self.log_login();
        let Self { mut client, login, slot } = self;
        let AuthenticatedLeg { leg, reply, .. } = login.placed.leg;
        let plan = &login.placed.plan;
        let mut to_client = client.dialogue.answer(Verdict::Accepted(reply));
        to_client.extend_from_slice(leg.connection.inbox.unread());
        let listener = Arc::clone(&client.listener);
        let accounts = client.shared.recorder.accounts();
        let destination = Arc::clone(&login.placed.destination);
        let ledger = Ledger::open(plan, accounts, &listener, login.placed.ticket, destination);
        let limits = Limits::with_idle(plan.plan.server.bridge_idle);
        let (stream, inbox) = client.into_parts()?;
        let session = BridgedSession {
            client: stream,
            backend: leg.connection.stream,
            opening: Opening { to_backend: inbox.unread().to_vec(), to_client },
            follower: Follower::new(listener.protocol, leg.replay.account_guard()),
            limits,
            ledger,
        };
        Some(Bridged::new(session, listener.protocol, slot))
    }

    fn log_login(&self) {
        let placed = &self.login.placed;
        let steps = &placed.leg.leg.steps;
        let tls = self.client.tls.as_ref();
        let account = placed.ticket.account().map(|account| self.client.shared.recorder.show(account));
        tracing::info!(
            account = account.as_deref().unwrap_or("-"),
            client = %self.login.identity.client,
            destination = %placed.destination,
            mechanism = %self.login.mechanism,
            tls = tls.map_or("none", |tls| tls.version),
            resumed = tls.is_some_and(|tls| tls.resumed),
            hold_us = micros(placed.timings.hold),
            route_us = micros(placed.timings.lookup),
            connect_us = micros(steps.connect),
            backend_tls_us = micros(steps.tls),
            greeting_us = micros(steps.greeting),
            replay_us = micros(placed.leg.replay_took),
            "login"
        );
    }
}
