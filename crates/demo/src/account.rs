//! Who can log in at the demo's servers.

use types::secret::Secret;

/// A name and a password, the same on both servers.
#[derive(Debug)]
pub struct Account {
    /// Login name, in lower case: `alice@example.org`.
    pub login: String,
    /// What opens it. Shown on the screen by [`crate::Guide`]: it protects nothing.
    pub password: Secret,
}

// === impl Account ===

impl Account {
    /// An account of that name and password.
    #[must_use]
    pub fn new(login: &str, password: &str) -> Self {
        Self { login: login.to_ascii_lowercase(), password: Secret::copy_of(password.as_bytes()) }
    }

    /// The people of the demo: alice, bob and carol at example.org.
    #[must_use]
    pub fn cast() -> Vec<Self> {
        ["alice", "bob", "carol"]
            .into_iter()
            .map(|name| Self::new(&format!("{name}@example.org"), &format!("{name}-demo")))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cast_is_known_by_name() {
        let cast = Account::cast();
        let logins: Vec<&str> = cast.iter().map(|account| account.login.as_str()).collect();
        assert_eq!(logins, ["alice@example.org", "bob@example.org", "carol@example.org"]);
        assert_eq!(cast[0].password.expose(), b"alice-demo");
        assert_eq!(
            format!("{:?}", cast[0]),
            "Account { login: \"alice@example.org\", password: [redacted] }"
        );
    }
}
