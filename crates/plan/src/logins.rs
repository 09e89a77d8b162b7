//! `[capabilities.*]` and `[oauth]`: how clients may log in, and how the account of a token is found.

use std::time::Duration;

use credentials::attempt::Mechanism;
use types::secret::Secret;

use crate::name::Name;

/// `[capabilities.PROTO]`.
#[derive(Debug, Clone)]
pub struct Capabilities {
    /// Mechanisms offered, in this order.
    pub sasl: Vec<Mechanism>,
    /// Cleartext mechanisms without TLS.
    pub cleartext_without_tls: bool,
    /// Greeting text.
    pub banner: String,
    /// IMAP capabilities, EHLO keywords, Sieve extensions.
    pub advertise: Vec<String>,
    /// Whether `advertise` or `sasl` were written in the file: an explicit list wins over `learn`.
    pub advertise_is_set: bool,
    /// See `advertise_is_set`.
    pub sasl_is_set: bool,
    /// ManageSieve's IMPLEMENTATION.
    pub implementation: String,
    /// Query the destinations, and advertise what all of them have.
    pub learn: bool,
}

/// `[oauth]`.
#[derive(Debug)]
pub struct OAuth {
    /// Claims to try, in order.
    pub claims: Vec<String>,
    /// `[oauth.resolve]`, when `with` names a way.
    pub resolve: Option<Resolve>,
}

/// `[oauth.resolve]`.
#[derive(Debug)]
pub struct Resolve {
    /// The methods, in the order in which they are tried; at least one.
    pub with: Vec<ResolveWith>,
    /// The destination whose JMAP session resource is queried.
    pub destination: Name,
    /// The URL of the introspection or userinfo endpoint.
    pub url: Option<String>,
    /// The credential for introspection.
    pub client_id: Option<String>,
    /// The credential for introspection.
    pub client_secret: Option<Secret>,
    /// How long an answer is kept.
    pub ttl: Duration,
    /// How long a negative answer is kept.
    pub negative_ttl: Duration,
    /// Time limit of one query.
    pub timeout: Duration,
}

/// A method to find the account of an opaque token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResolveWith {
    /// The JMAP session resource (RFC 8620).
    Jmap,
    /// RFC 7662.
    Introspection,
    /// OpenID Connect.
    Userinfo,
}
