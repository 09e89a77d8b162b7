//! Derives the identifier that routes a login from its credential.
//!
//! The crate exists so that every form of login (a password, a SASL message, a token, an HTTP header) yields an
//! [`Identifier`] by the same [`Rules`]. It authenticates nothing and does not change the credential.
//!
//! What must never happen: a refused name reaches a backend, a header or, unescaped, a log line. An
//! `IdentityRefusal`(types::outcome::IdentityRefusal) therefore holds the reason and no byte of the name.

mod rules;
mod throttle_key;

pub use rules::{Identity, Rules};
pub use throttle_key::ThrottleKey;
pub use types::identifier::Identifier;
