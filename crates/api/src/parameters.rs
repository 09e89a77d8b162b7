//! Names of parameters, in the query or as members of a JSON body.

/// An account; for a kick also `*@example.org`.
pub const IDENTIFIER: &str = "identifier";
/// A destination's name.
pub const DESTINATION: &str = "destination";
/// A client's address, or a network in CIDR notation.
pub const CLIENT: &str = "client";
/// A protocol's name.
pub const PROTOCOL: &str = "protocol";
/// Whole seconds; any integer.
pub const SECONDS: &str = "seconds";
/// The most entries of a page.
pub const LIMIT: &str = "limit";
/// The start of a page: `next` of the page before.
pub const FROM: &str = "from";
/// `true` = check only, and change nothing.
pub const DRY_RUN: &str = "dry_run";

/// The name of a batch of moves.
pub const BATCH: &str = "batch";
/// `true` = only moves that have not ended.
pub const UNFINISHED: &str = "unfinished";

/// Entries of a page when `limit` is not given.
pub const DEFAULT_LIMIT: usize = 100;
/// The most that `limit` can be; larger values are clamped.
pub const MAX_LIMIT: usize = 10_000;
/// The longest delay that has an effect, in seconds; larger values are clamped.
pub const MAX_DELAY_SECONDS: u64 = 120;
