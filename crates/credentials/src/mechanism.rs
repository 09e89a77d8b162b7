//! The SASL mechanisms, in one table.
//!
//! A new mechanism of a known family is one more row: configuration, dialogues, replays and the names in credentials use
//! the table. A new family is a variant of [`Family`]; the compiler then reports every place where families differ.

use std::fmt;

/// What mechanisms have in common: who takes part in the exchange, and how the account is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// RFC 4616: one message with names and password.
    Plain,
    /// The two prompts of draft-murchison-sasl-login, which the proxy runs itself.
    Login,
    /// RFC 7628: one message with a token.
    OAuthBearer,
    /// Google's predecessor of OAUTHBEARER.
    XOAuth2,
    /// RFC 5802: a challenge and a proof, which only the client can make.
    Scram,
}

/// Defines [`Mechanism`] and its table from the same rows.
macro_rules! mechanisms {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $family:ident;)+) => {
        /// The SASL mechanisms that can be offered. There is no `-PLUS` among them: channel binding cannot pass a proxy
        /// that terminates TLS.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Mechanism {
            $($(#[$doc])* $variant,)+
        }

        /// Every mechanism with its registered name and its family.
        const TABLE: &[(Mechanism, &str, Family)] = &[$((Mechanism::$variant, $name, Family::$family),)+];
    };
}

mechanisms! {
    /// RFC 4616.
    Plain = "PLAIN", Plain;
    /// draft-murchison-sasl-login.
    Login = "LOGIN", Login;
    /// RFC 7628.
    OAuthBearer = "OAUTHBEARER", OAuthBearer;
    /// Google's predecessor of OAUTHBEARER.
    XOAuth2 = "XOAUTH2", XOAuth2;
    /// RFC 5802.
    ScramSha1 = "SCRAM-SHA-1", Scram;
    /// RFC 7677.
    ScramSha256 = "SCRAM-SHA-256", Scram;
    /// draft-melnikov-scram-sha-512.
    ScramSha512 = "SCRAM-SHA-512", Scram;
}

// === impl Mechanism ===

impl Mechanism {
    /// Returns every mechanism.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(|(mechanism, ..)| *mechanism)
    }

    /// Returns the registered name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        // The table has the variants in their order.
        TABLE[self as usize].1
    }

    /// Returns the mechanism of that name in any case (RFC 4422 section 3.1 writes names in upper case; clients vary).
    #[must_use]
    pub fn from_name(name: &[u8]) -> Option<Self> {
        Self::all().find(|mechanism| mechanism.name().as_bytes().eq_ignore_ascii_case(name))
    }

    /// Returns what the mechanism has in common with others.
    #[must_use]
    pub const fn family(self) -> Family {
        TABLE[self as usize].2
    }

    /// Returns whether the mechanism sends the password or token itself, so that it needs TLS. SCRAM does not.
    #[must_use]
    pub const fn is_cleartext(self) -> bool {
        match self.family() {
            Family::Plain | Family::Login | Family::OAuthBearer | Family::XOAuth2 => true,
            Family::Scram => false,
        }
    }

    /// Returns whether the client's first message is a bearer token. A challenge that follows it means that the server has
    /// rejected the token (RFC 7628 section 3.2.3).
    #[must_use]
    pub const fn is_token(self) -> bool {
        match self.family() {
            Family::OAuthBearer | Family::XOAuth2 => true,
            Family::Plain | Family::Login | Family::Scram => false,
        }
    }

    /// Returns whether a credential can be replayed a second time, at another backend.
    #[must_use]
    pub const fn can_repeat(self) -> bool {
        match self.family() {
            Family::Plain | Family::Login | Family::OAuthBearer | Family::XOAuth2 => true,
            Family::Scram => false,
        }
    }
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_variants() {
        for (index, (mechanism, name, family)) in TABLE.iter().enumerate() {
            assert_eq!(*mechanism as usize, index);
            assert_eq!((mechanism.name(), mechanism.family()), (*name, *family));
            assert_eq!(Mechanism::from_name(name.to_ascii_lowercase().as_bytes()), Some(*mechanism));
        }
    }
}
