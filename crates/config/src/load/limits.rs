//! `[limits]`.

use std::time::Duration;

use crate::read::Table;
use plan::Limits;

/// `[limits]`, which may be missing.
pub(super) fn read(root: &Table<'_>) -> Limits {
    let mut limits = Limits {
        auth_delay_max: Duration::from_secs(15),
        logins_in_flight_per_account: 8,
        connections_per_account: 0,
        handshakes_per_core: 256,
    };
    let Some(table) = root.table("limits") else { return limits };
    let count = |key, default: usize, min| {
        usize::try_from(table.integer(key, default as u64, min..=1_000_000)).unwrap_or(default)
    };
    limits.auth_delay_max = table.duration("auth_delay_max", limits.auth_delay_max);
    limits.logins_in_flight_per_account = count("logins_in_flight_per_account", 8, 0);
    limits.connections_per_account = count("connections_per_account", 0, 0);
    limits.handshakes_per_core = count("handshakes_per_core", 256, 1);
    table.finish();
    limits
}
