//! From a claimed name to an identifier, in the fixed order: cut the master user off, fold, judge.
//!
//! The rules are configuration and know no protocol. They must never change what is replayed: they see a
//! borrowed credential and answer with a new name.

use std::borrow::Cow;
use std::str;

use credentials::attempt::Credential;
use credentials::names::{self, Claimed};
use credentials::token::{self, TokenAccount};
use plan::Plan;
use types::identifier::{BadIdentifier, Identifier};

use types::outcome::IdentityRefusal;

/// What a deployment says about names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    /// `mapping.normalize = "lowercase"`: fold with Unicode's lower case.
    pub lowercase: bool,
    /// `routing.master_user_separators`: what stands between a mailbox and the master user who opens it.
    pub separators: Vec<String>,
    /// The claims of a JWT that may hold the account, in the order in which they are tried.
    pub claims: Vec<String>,
}

/// Whom a login is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// This account.
    Known(Identifier),
    /// A token that shows no account: only who issued it can tell.
    Opaque,
}

// === impl Rules ===

impl Rules {
    /// The account that `credential` is for.
    ///
    /// # Errors
    /// [`IdentityRefusal`] when it names nobody, or by a name that cannot be one.
    pub fn identify(&self, credential: &Credential) -> Result<Identity, IdentityRefusal> {
        match names::claimed(credential)? {
            Claimed::Name(name) => self.name(&name).map(Identity::Known),
            Claimed::Token(token) => self.token(token.expose()),
        }
    }

    /// The account that the value of an HTTP `Authorization` header is for. A `Basic` user name is folded
    /// to lower case whatever `lowercase` says.
    ///
    /// # Errors
    /// As [`Rules::identify`].
    pub fn authorization(&self, value: &[u8]) -> Result<Identity, IdentityRefusal> {
        match names::authorization(value)? {
            Claimed::Name(name) => self.judge(&name, true).map(Identity::Known),
            Claimed::Token(token) => self.token(token.expose()),
        }
    }

    /// The account that a bearer token is for.
    ///
    /// # Errors
    /// [`IdentityRefusal::Identifier`] when it shows a name that cannot be one.
    pub fn token(&self, token: &[u8]) -> Result<Identity, IdentityRefusal> {
        match token::account(token, &self.claims) {
            TokenAccount::Account(name) => self.name(name.as_bytes()).map(Identity::Known),
            TokenAccount::Opaque => Ok(Identity::Opaque),
        }
    }

    /// The account that a login name is for, however it was learnt.
    ///
    /// # Errors
    /// [`IdentityRefusal::Identifier`] when what is left of it cannot be an identifier.
    pub fn name(&self, name: &[u8]) -> Result<Identifier, IdentityRefusal> {
        self.judge(name, self.lowercase)
    }

    fn judge(&self, name: &[u8], lowercase: bool) -> Result<Identifier, IdentityRefusal> {
        // The master user's part is replayed too: a line end hidden there must not get any further.
        if name.iter().any(u8::is_ascii_control) {
            return Err(BadIdentifier::Control.into());
        }
        let mailbox = self.mailbox(name);
        let text = str::from_utf8(mailbox).map_err(|_| BadIdentifier::NotUtf8)?;
        let text = if lowercase { Cow::Owned(text.to_lowercase()) } else { Cow::Borrowed(text) };
        Ok(Identifier::parse(text.as_bytes())?)
    }

    /// What stands left of the first separator in `name`, whichever of them it is.
    fn mailbox<'a>(&self, name: &'a [u8]) -> &'a [u8] {
        let starts =
            |separator: &String, rest: &[u8]| !separator.is_empty() && rest.starts_with(separator.as_bytes());
        let cut = (0..name.len()).find(|&at| self.separators.iter().any(|it| starts(it, &name[at..])));
        cut.map_or(name, |at| &name[..at])
    }
}

impl From<&Plan> for Rules {
    fn from(plan: &Plan) -> Self {
        Self {
            lowercase: plan.mapping.lowercase,
            separators: plan.routing.master_user_separators.clone(),
            claims: plan.oauth.claims.clone(),
        }
    }
}

// === impl Identity ===

impl Identity {
    /// The identifier, where it is known.
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
