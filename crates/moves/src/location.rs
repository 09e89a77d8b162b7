//! Where the accounts of a move are.
//!
//! What must never happen here: an answer from a cache, or a default destination that stands for a store that is down.

use std::sync::Arc;
use std::time::Duration;

use control::Order;
use mapping::ResolutionReason;
use plan::Name;
use tokio::time::sleep;

use crate::record::MoveRecord;
use crate::shared::Shared;

/// Where a group is, as the store has it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Location {
    /// All of it is here.
    At(Name),
    /// An account is elsewhere than the first one.
    Split {
        /// The account.
        account: Arc<str>,
        /// Its destination.
        found: Name,
    },
    /// The store does not answer.
    Unknown,
}

/// How often a store that does not answer is queried.
const STORE_RETRY: Duration = Duration::from_secs(1);

/// Has the store queried about the accounts of a move, whatever was cached.
pub(crate) async fn forget_cached(shared: &Shared, record: &MoveRecord) {
    let names = record.accounts.iter().map(Arc::clone).collect();
    // An invalidation cannot fail.
    let _ = shared.control.execute(Order::Invalidate(names)).await;
}

/// Asks the store where the accounts of a move are.
pub(crate) async fn locate(shared: &Shared, record: &MoveRecord) -> Location {
    forget_cached(shared, record).await;
    let mut first: Option<Name> = None;
    for account in &record.accounts {
        let found = shared.router.resolve(account).await;
        if matches!(found.reason, ResolutionReason::StoreDown { .. }) {
            return Location::Unknown;
        }
        let expected = first.get_or_insert_with(|| Arc::clone(&found.destination));
        if *expected != found.destination {
            return Location::Split { account: Arc::clone(account), found: found.destination };
        }
    }
    match first {
        Some(destination) => Location::At(destination),
        None => Location::Unknown,
    }
}

/// Does the same, and waits for a store that does not answer, for as long as it takes.
pub(crate) async fn settle(shared: &Shared, record: &MoveRecord) -> Location {
    let mut has_warned = false;
    loop {
        let location = locate(shared, record).await;
        if location != Location::Unknown {
            return location;
        }
        if !has_warned {
            has_warned = true;
            let note =
                "the mapping store does not say whether the accounts have moved: they are held until it does";
            tracing::error!(id = %record.id, source = %record.source, target = %record.target, "{note}");
            if let Err(error) = shared.journal.note(record.id, note).await {
                tracing::error!(id = %record.id, %error, "a note on a move was not recorded");
            }
        }
        sleep(STORE_RETRY).await;
    }
}
