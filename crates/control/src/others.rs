//! The other proxies in front of the same store: what is done here is told to them, what they did is done here.

use std::collections::HashMap;
use std::sync::Arc;

use cluster::{Event, Heard, Subscription};
use sessions::Hold;
use tokio::time::Instant;

use crate::orders::Control;

/// Holds of other proxies at once: more than all of them together ever have under way.
const MAX_HOLDS: usize = 4_096;

/// Holds that others have told us of: by the sender's run and its number for the hold.
type Holds = HashMap<(u64, u64), Vec<(Arc<[Arc<str>]>, Hold, Instant)>>;

// === impl Control ===

impl Control {
    /// Tells the other proxies of something that was done here, and waits until they have done it too, for two
    /// seconds at most. Who could not be told asks the store anew when it hears from us again; what was to be
    /// told is in the log then.
    pub async fn publish(&self, event: Event) {
        let what = event.label();
        match self.bus().publish(event).await {
            Ok(delivery) if delivery.silent.is_empty() => {}
            Ok(delivery) => {
                tracing::warn!(event = what, silent = ?delivery.silent, "other proxies have not answered: they may not have done it");
            }
            Err(error) => tracing::warn!(event = what, %error, "a change event was not told"),
        }
    }

    /// Does what other proxies did, for as long as there is a bus.
    pub async fn apply_remote(self, mut subscription: Subscription) {
        let mut holds = Holds::new();
        while let Some(heard) = subscription.next().await {
            self.act(&heard, &mut holds);
            heard.done();
        }
    }

    fn act(&self, heard: &Heard, holds: &mut Holds) {
        let from = &heard.from;
        match &heard.event {
            Event::Changed(keys) => {
                for key in keys {
                    self.router.invalidate(key);
                }
                self.route_afresh(keys);
            }
            Event::Flush => self.flush(),
            Event::Kick(filter) => {
                let kicked = self.kick(filter);
                tracing::info!(%from, sessions = kicked.sessions, "kicked, as another proxy was told to");
            }
            Event::Delay { account, delay } => self.delay(account, *delay),
            Event::Hold { hold, accounts, lasts } => {
                let Some(run) = heard.run else { return };
                self.hold_for((run, *hold), accounts, Instant::now() + *lasts, holds);
            }
            Event::Release { hold } => {
                if let Some(run) = heard.run {
                    drop(holds.remove(&(run, *hold)));
                }
            }
        }
    }

    /// A hold that is told again lasts anew.
    fn hold_for(&self, key: (u64, u64), accounts: &[Arc<str>], until: Instant, holds: &mut Holds) {
        let now = Instant::now();
        holds.retain(|_, held| {
            held.retain(|(_, _, until)| *until > now);
            !held.is_empty()
        });
        if holds.len() >= MAX_HOLDS {
            tracing::warn!("other proxies hold more accounts than can be kept: one more hold was ignored");
            return;
        }
        let held = holds.entry(key).or_default();
        held.retain(|(group, ..)| **group != *accounts);
        let names: Vec<&str> = accounts.iter().map(|account| &**account).collect();
        match self.hold(&names, until) {
            Ok(hold) => held.push((accounts.into(), hold, until)),
            Err(error) => tracing::warn!(%error, "another proxy holds accounts that are held here too"),
        }
    }
}
