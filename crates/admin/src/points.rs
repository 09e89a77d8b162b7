//! Changes of the mapping, in the one order that is safe.
//!
//! First the store and the cache, then the desk: a login that was routed before the change and is confirmed after
//! it finds another generation, and is routed afresh. Every change that the API makes comes through here.

use desk::Desk;
use route::store::{Applied, StoreError};
use route::{Change, Router};

/// Changes beyond which every account's logins are routed afresh, instead of those that are named.
const MANY: usize = 1_000;

/// Makes these changes, all or none, and has the logins under way that they concern routed afresh.
pub(crate) async fn apply(router: &Router, desk: &Desk, changes: Vec<Change>) -> Result<Applied, StoreError> {
    let is_of_many = changes.len() > MANY || changes.iter().any(|change| change.identifier.starts_with('@'));
    let keys: Vec<String> = if is_of_many {
        Vec::new()
    } else {
        changes.iter().map(|change| router.normalize(&change.identifier)).collect()
    };
    let applied = router.apply(changes).await;
    // After a failure too: one of them says that the change was made, but may not last.
    if is_of_many {
        reroute_all(desk);
    }
    for key in keys {
        desk.bump(&key);
    }
    applied
}

/// Has every login under way routed afresh.
pub(crate) fn reroute_all(desk: &Desk) {
    desk.kick_where(|_| false);
}
