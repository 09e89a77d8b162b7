//! Turns a claimed name into an identifier in a fixed order: remove the master user, replace the domain separator, fold case,
//! validate.
//!
//! The rules come from the configuration and do not depend on a protocol. They must never change the credential that is
//! replayed, so they borrow it and return a new name.

use std::borrow::Cow;
use std::str;

use credentials::attempt::Credential;
use credentials::names::{self, ClaimedAccount};
use credentials::token::{self, TokenAccount};
use plan::Plan;
use types::identifier::{BadIdentifier, Identifier};
use types::outcome::IdentityRefusal;

/// The configured rules for names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    /// `mapping.normalize = "lowercase"`: convert to Unicode lower case.
    pub lowercase: bool,
    /// `mapping.default_domain`: the domain of logins without one.
    pub default_domain: Option<String>,
    /// `routing.master_user_separators`: the strings that separate a mailbox from the master user who opens it.
    pub separators: Vec<String>,
    /// `login_domain_separator` of every destination: the strings that some server reads as `@`.
    pub domain_separators: Vec<String>,
    /// The JWT claims that may hold the account, in the order in which they are tried.
    pub claims: Vec<String>,
}

/// The account of a login, as far as the credential shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// The credential names this account.
    Known(Identifier),
    /// The credential is a token that names no account; only its issuer knows the account.
    Opaque,
}

// === impl Rules ===

impl Rules {
    /// Returns the account of `credential`.
    ///
    /// # Errors
    /// [`IdentityRefusal`] if the credential names no account, or its name is not a valid identifier.
    pub fn identify(&self, credential: &Credential) -> Result<Identity, IdentityRefusal> {
        match names::claimed(credential)? {
            ClaimedAccount::Name(name) => self.name(&name).map(Identity::Known),
            ClaimedAccount::Token(token) => self.token(token.expose()),
        }
    }

    /// Returns the account of an HTTP `Authorization` header's value. A `Basic` user name is always converted to lower
    /// case, regardless of `lowercase`.
    ///
    /// # Errors
    /// The same as [`Rules::identify`].
    pub fn authorization(&self, value: &[u8]) -> Result<Identity, IdentityRefusal> {
        match names::authorization(value)? {
            ClaimedAccount::Name(name) => {
                let identifier = self.to_identifier(&name, true)?;
                self.complete(identifier).map(Identity::Known)
            }
            ClaimedAccount::Token(token) => self.token(token.expose()),
        }
    }

    /// Returns the account of a bearer token.
    ///
    /// # Errors
    /// [`IdentityRefusal::Identifier`] if the token names an account that is not a valid identifier.
    pub fn token(&self, token: &[u8]) -> Result<Identity, IdentityRefusal> {
        match token::account(token, &self.claims) {
            TokenAccount::Account(name) => self.name(name.as_bytes()).map(Identity::Known),
            TokenAccount::Opaque => Ok(Identity::Opaque),
        }
    }

    /// Returns the account of a login name, whatever its source.
    ///
    /// # Errors
    /// [`IdentityRefusal::Identifier`] if the name without the master user is not a valid identifier.
    pub fn name(&self, name: &[u8]) -> Result<Identifier, IdentityRefusal> {
        let identifier = self.to_identifier(name, self.lowercase)?;
        self.complete(identifier)
    }

    /// Returns the identifier in a name that an HTTP route extracts. The name may be that of an OAuth client, so no domain
    /// is added.
    ///
    /// # Errors
    /// The same as [`Rules::name`].
    pub fn extracted(&self, name: &[u8]) -> Result<Identifier, IdentityRefusal> {
        self.to_identifier(name, self.lowercase)
    }

    /// Adds the default domain to a name without one.
    fn complete(&self, identifier: Identifier) -> Result<Identifier, IdentityRefusal> {
        match &self.default_domain {
            Some(domain) if !identifier.as_str().contains('@') => {
                Ok(Identifier::parse(format!("{}@{domain}", identifier.as_str()).as_bytes())?)
            }
            _ => Ok(identifier),
        }
    }

    fn to_identifier(&self, name: &[u8], lowercase: bool) -> Result<Identifier, IdentityRefusal> {
        // Checked before the master user is removed: that part is replayed too, and must not smuggle in a line end.
        if name.iter().any(u8::is_ascii_control) {
            return Err(BadIdentifier::Control.into());
        }
        let (mailbox, _) = self.split_master_user(name);
        let text = str::from_utf8(mailbox).map_err(|_| BadIdentifier::NotUtf8)?;
        let text = self.with_at_sign(text);
        let text = if lowercase { Cow::Owned(text.to_lowercase()) } else { text };
        Ok(Identifier::parse(text.as_bytes())?)
    }

    /// Returns `alice@example.org` for `alice%example.org`, where `%` is the domain separator of a destination. A name that
    /// has an `@` is not changed.
    ///
    /// The destination is not known yet, so the separators of all destinations count. Otherwise the account would be looked
    /// up under another name as soon as it is on a server without the separator, and would be sent back to its old server.
    pub(crate) fn with_at_sign<'a>(&self, name: &'a str) -> Cow<'a, str> {
        if name.contains('@') {
            return Cow::Borrowed(name);
        }
        for separator in &self.domain_separators {
            match name.rsplit_once(separator) {
                Some((local, domain)) if !local.is_empty() && !domain.is_empty() => {
                    return Cow::Owned(format!("{local}@{domain}"));
                }
                _ => {}
            }
        }
        Cow::Borrowed(name)
    }

    /// Splits `name` at the first occurrence of any separator, into the mailbox and the master user.
    pub(crate) fn split_master_user<'a>(&self, name: &'a [u8]) -> (&'a [u8], Option<&'a [u8]>) {
        for at in 0..name.len() {
            for separator in &self.separators {
                if !separator.is_empty() && name[at..].starts_with(separator.as_bytes()) {
                    return (&name[..at], Some(&name[at + separator.len()..]));
                }
            }
        }
        (name, None)
    }
}

impl From<&Plan> for Rules {
    fn from(plan: &Plan) -> Self {
        Self {
            lowercase: plan.mapping.lowercase,
            default_domain: plan.mapping.default_domain.clone(),
            separators: plan.routing.master_user_separators.clone(),
            domain_separators: plan.login_domain_separators(),
            claims: plan.oauth.claims.clone(),
        }
    }
}

// === impl Identity ===

impl Identity {
    /// Returns the identifier, if it is known.
    #[must_use]
    pub fn identifier(&self) -> Option<&Identifier> {
        match self {
            Self::Known(identifier) => Some(identifier),
            Self::Opaque => None,
        }
    }
}

#[cfg(test)]
mod tests;
