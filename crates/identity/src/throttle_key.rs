//! The key under which the failed logins of an account are counted.
//!
//! What must never happen here: two spellings of one login name with different keys. A client that guesses a password could
//! otherwise reset its count with every guess, by another authorization identity, another mailbox in front of the master
//! user, another domain separator, or another case.

use credentials::attempt::Credential;
use credentials::names::{self, ClaimedAccount};

use crate::rules::Rules;

/// The canonical form of the name whose password or token a login presents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ThrottleKey(String);

// === impl ThrottleKey ===

impl ThrottleKey {
    /// Returns the key of an account, for a login whose credential has no name.
    #[must_use]
    pub fn of_account(account: &str) -> Self {
        Self(account.to_lowercase())
    }

    /// Returns the key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

// === impl Rules ===

impl Rules {
    /// Returns the key of `credential`; `None` if it has no name.
    #[must_use]
    pub fn throttle_key(&self, credential: &Credential) -> Option<ThrottleKey> {
        names::authentication_id(credential).map(|name| self.key_of_name(&name))
    }

    /// Returns the key of an HTTP `Authorization` header's value; `None` if it has no name.
    #[must_use]
    pub fn throttle_key_of_authorization(&self, value: &[u8]) -> Option<ThrottleKey> {
        match names::authorization(value) {
            Ok(ClaimedAccount::Name(name)) => Some(self.key_of_name(&name)),
            Ok(ClaimedAccount::Token(_)) | Err(_) => None,
        }
    }

    /// The password in a login as `mailbox SEPARATOR master` is that of the master user.
    fn key_of_name(&self, name: &[u8]) -> ThrottleKey {
        let (mailbox, master) = self.split_master_user(name);
        let authenticated = match master {
            Some(master) if !master.is_empty() => master,
            _ => mailbox,
        };
        ThrottleKey::of_account(&self.with_at_sign(&String::from_utf8_lossy(authenticated)))
    }
}

#[cfg(test)]
mod tests {
    use credentials::attempt::Mechanism;
    use types::secret::Secret;

    use super::*;

    fn rules() -> Rules {
        // As with `normalize = "none"`: the mapping's rules for case do not matter here.
        Rules {
            separators: vec!["*".to_owned()],
            domain_separators: vec!["%".to_owned()],
            ..Rules::default()
        }
    }

    fn key(credential: &Credential) -> Option<String> {
        rules().throttle_key(credential).map(|key| key.as_str().to_owned())
    }

    fn password(user: &[u8]) -> Credential {
        Credential::Password { user: Secret::copy_of(user), password: Secret::copy_of(b"guess") }
    }

    fn sasl(mechanism: Mechanism, initial: &[u8]) -> Credential {
        Credential::Sasl { mechanism, initial: Secret::copy_of(initial) }
    }

    #[test]
    fn every_spelling_of_a_guess_has_the_same_key() {
        for guess in [
            password(b"victim@example.org"),
            password(b"Victim@Example.ORG"),
            password(b"box1*victim@example.org"),
            password(b"box2*VICTIM@example.org"),
            password(b"victim@example.org*"),
            password(b"Victim%example.org"),
            password(b"box3%example.org*victim%example.org"),
            sasl(Mechanism::Plain, b"\0victim@example.org\0guess"),
            sasl(Mechanism::Plain, b"other1\0victim@example.org\0guess"),
            sasl(Mechanism::Plain, b"other2\0VICTIM@example.org\0guess"),
            sasl(Mechanism::ScramSha256, b"n,,n=victim@example.org,r=x"),
            sasl(Mechanism::ScramSha256, b"n,a=other,n=Victim@example.org,r=x"),
            sasl(Mechanism::XOAuth2, b"user=Victim@example.org\x01auth=Bearer t\x01\x01"),
        ] {
            assert_eq!(key(&guess).as_deref(), Some("victim@example.org"), "{guess:?}");
        }
        for value in
            [&b"Basic dmljdGltOmd1ZXNz"[..], b"basic VklDVElNOmd1ZXNz", b"Basic Ym94KnZpY3RpbTpndWVzcw=="]
        {
            let key = rules().throttle_key_of_authorization(value);
            assert_eq!(key.as_ref().map(ThrottleKey::as_str), Some("victim"), "{}", value.escape_ascii());
        }
    }

    #[test]
    fn a_credential_without_a_name_has_no_key() {
        for credential in [
            password(b""),
            sasl(Mechanism::Plain, b"other"),
            sasl(Mechanism::Plain, b"other\0\0guess"),
            sasl(Mechanism::ScramSha256, b"n,,r=x"),
            sasl(Mechanism::OAuthBearer, b"n,,\x01auth=Bearer t\x01\x01"),
        ] {
            assert_eq!(key(&credential), None, "{credential:?}");
        }
        assert_eq!(rules().throttle_key_of_authorization(b"Bearer t"), None);
        assert_eq!(ThrottleKey::of_account("Ä@Example.ORG").as_str(), "ä@example.org");
    }
}
