//! Who can log in at the demo's servers.

use types::secret::Secret;

/// A name and a password, the same on both servers.
#[derive(Debug)]
pub(crate) struct Account {
    /// In lower case: `alice@example.org`.
    pub(crate) login: String,
    /// The guide shows it on the screen: it protects nothing.
    pub(crate) password: Secret,
}

// === impl Account ===

impl Account {
    /// The accounts of the demo: alice, bob and carol at example.org.
    pub(crate) fn examples() -> Vec<Self> {
        let mut accounts = Vec::new();
        for name in ["alice", "bob", "carol"] {
            let password = Secret::new(format!("{name}-demo").into_bytes());
            accounts.push(Self { login: format!("{name}@example.org"), password });
        }
        accounts
    }
}
