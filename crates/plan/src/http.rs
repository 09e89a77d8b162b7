//! `[http]`: which request goes where.

use std::time::Duration;

use crate::name::Name;

/// `[http]`.
#[derive(Debug)]
pub struct Http {
    /// Bytes of a body that are buffered to extract from it.
    pub body_extract_cap: usize,
    /// Bytes of a head.
    pub max_head_size: usize,
    /// Idle limit of a relayed exchange.
    pub relay_idle: Duration,
    /// Idle limit between requests.
    pub keepalive_timeout: Duration,
    /// Requests on one connection.
    pub max_keepalive_requests: u64,
    /// In the file's order; first match wins.
    pub routes: Vec<HttpRoute>,
}

/// `[[http.route]]`.
#[derive(Debug)]
pub struct HttpRoute {
    /// The pattern as written.
    pub pattern: String,
    /// Compiled; matches a path with and without a trailing slash.
    pub matcher: globset::GlobSet,
    /// What happens on a match.
    pub target: HttpTarget,
    /// `authenticates`: whether backends answer a request with a 2xx only if its credentials are right; `None` = by its path.
    pub authenticates: Option<bool>,
}

/// Paths at and below which every request needs credentials: JMAP (RFC 8620 section 8.2), and CalDAV and CardDAV as the
/// usual servers have them.
const AUTHENTICATED: [&str; 5] = ["/jmap", "/.well-known/jmap", "/dav", "/caldav", "/carddav"];

// === impl HttpRoute ===

impl HttpRoute {
    /// Returns whether a 2xx to a request with credentials for the normalized `path` shows that they are right. Only where
    /// the account is that of the credentials.
    #[must_use]
    pub fn authenticates(&self, path: &str) -> bool {
        if !matches!(self.target, HttpTarget::Extract { from: ExtractFrom::Authorization, .. }) {
            return false;
        }
        self.authenticates.unwrap_or_else(|| AUTHENTICATED.into_iter().any(|root| is_at_or_below(path, root)))
    }
}

fn is_at_or_below(path: &str, root: &str) -> bool {
    path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Where a matched request goes.
#[derive(Debug)]
pub enum HttpTarget {
    /// Pinned.
    Destination(Name),
    /// By the account that `from` shows.
    Extract {
        /// Where the account is read.
        from: ExtractFrom,
        /// Where to go when there is none; `None` = the default destination.
        fallback: Option<Name>,
    },
}

/// Where an HTTP request shows its account.
#[derive(Debug)]
pub enum ExtractFrom {
    /// The `Authorization` header.
    Authorization,
    /// A query parameter.
    Query(String),
    /// Another header.
    Header(String),
    /// The first capture group in the body, form-decoded.
    Body(regex::bytes::Regex),
}
