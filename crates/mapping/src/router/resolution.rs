//! The router's answer: the destination of an account, and the reason for it.

use plan::Name;

/// The destination of an account, and the reason for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolution {
    /// The destination; always a declared one.
    pub destination: Name,
    /// Why the account has this destination.
    pub reason: ResolutionReason,
    /// Whether the answer came from memory.
    pub cached: bool,
}

/// ResolutionReason an account has its destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ResolutionReason {
    /// The account has an entry.
    Entry,
    /// The account's domain has an entry.
    Domain,
    /// There is no entry, so the default destination is used.
    Default,
    /// The store is down.
    StoreDown {
        /// Whether an expired answer was used; otherwise the default destination was.
        stale: bool,
    },
    /// The store names an undeclared destination, so the default destination is used.
    Undeclared,
}

// === impl ResolutionReason ===

impl ResolutionReason {
    /// Returns the name in logs and metrics.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Entry => "entry",
            Self::Domain => "domain",
            Self::Default => "default",
            Self::StoreDown { stale: true } => "store_down_stale",
            Self::StoreDown { stale: false } => "store_down",
            Self::Undeclared => "undeclared",
        }
    }

    /// Returns whether the default destination was used because no entry applies or is known.
    #[must_use]
    pub const fn is_default(self) -> bool {
        matches!(self, Self::Default | Self::StoreDown { stale: false } | Self::Undeclared)
    }
}
