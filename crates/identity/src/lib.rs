//! Who is behind this connection: from a login to the identifier that routes it.
//!
//! The room exists so that every way in (a password, a SASL message, a token, an HTTP header) ends in one
//! [`Identifier`] by one set of [`Rules`]. Nothing is authenticated here, the credential stays as it came,
//! and nothing of a refused name may reach a backend, a header or, unescaped, a log line: a [`IdentityRefusal`]
//! carries the reason and not one byte of the name.

mod rules;

pub use rules::{Identity, Rules};
pub use types::identifier::Identifier;
