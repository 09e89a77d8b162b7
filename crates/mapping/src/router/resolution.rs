//! The router's answer: where an account is, and how we know.

use plan::Name;

/// Where an account is, and how we know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolution {
    /// Always declared.
    pub destination: Name,
    /// How we know.
    pub reason: ResolutionReason,
    /// Whether the answer came out of memory.
    pub cached: bool,
}

/// ResolutionReason an account has its destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ResolutionReason {
    /// It has an entry.
    Entry,
    /// Its domain has an entry.
    Domain,
    /// It has none: the default.
    Default,
    /// The store could not be asked.
    StoreDown {
        /// From an answer that is past its time; else the default.
        stale: bool,
    },
    /// The store names a destination that is not declared: the default.
    Undeclared,
}

// === impl ResolutionReason ===

impl ResolutionReason {
    /// Name in logs and metrics.
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

    /// Whether the default destination was taken for want of a better one.
    #[must_use]
    pub const fn is_default(self) -> bool {
        matches!(self, Self::Default | Self::StoreDown { stale: false } | Self::Undeclared)
    }
}
