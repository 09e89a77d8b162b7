//! Runs the configured methods in order and caches the result.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use identity::{Identifier, Rules};
use plan::{Plan, Resolve, ResolveWith};
use tls::{PlatformRoots, SetupError};
use tokio::time::{Instant, timeout, timeout_at};
use upstream::{Backend, Backends, ClientIdentity, Endpoint};

use crate::cache::{Cache, Cached, Capacity, KnownToken};
use crate::query::{self, HttpEndpoint, IntrospectionClient, QueryError, TokenInfo};
use crate::query_limit::QueryLimit;
use crate::url::Url;

/// Finds the account of an opaque token.
pub struct Resolver {
    with: Vec<ResolveWith>,
    /// For the JMAP session.
    destination: Option<Arc<Backend>>,
    /// For introspection and userinfo.
    endpoint: Option<HttpEndpoint>,
    client: IntrospectionClient,
    claims: Vec<String>,
    rules: Rules,
    ttl: Duration,
    negative_ttl: Duration,
    timeout: Duration,
    cache: Cache,
    limit: QueryLimit,
    counters: Counters,
}

/// Counters for metrics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Tokens that were looked up.
    pub asked: u64,
    /// Lookups answered from the cache.
    pub remembered: u64,
    /// Queries that failed.
    pub failed: u64,
    /// Tokens in the cache now.
    pub entries: usize,
}

#[derive(Debug, Default)]
struct Counters {
    asked: AtomicU64,
    remembered: AtomicU64,
    failed: AtomicU64,
}

/// The most tokens in the cache, about 15 MiB. Those that no server knows cost a client nothing, so there is less room for
/// them.
const CAPACITY: Capacity = Capacity { with_account: 100_000, without_account: 10_000 };
/// How long a failure is cached, as for the mapping store: short, so that a short outage stays short, and long enough
/// that the issuer is not queried for every request.
const FAILURE_TTL: Duration = Duration::from_secs(5);

// === impl Resolver ===

impl Resolver {
    /// Makes the resolver that `plan` configures, or returns `None` if it configures none.
    ///
    /// # Errors
    /// If TLS to the endpoint cannot be set up, or the system provides no randomness.
    pub fn new(
        plan: &Plan,
        backends: &Backends,
        rules: &Rules,
        roots: &PlatformRoots,
    ) -> Result<Option<Self>, SetupError> {
        let Some(resolve) = &plan.oauth.resolve else { return Ok(None) };
        let Resolve { with, destination, url, client_id, client_secret, ttl, negative_ttl, timeout } =
            resolve;
        let endpoint = match url.as_deref().and_then(Url::parse) {
            Some(url) => {
                Some(HttpEndpoint { backend: Backend::of(&upstream_endpoint(&url), plan, roots)?, url })
            }
            None => None,
        };
        let secret =
            client_secret.as_ref().map(|secret| types::secret::Secret::new(secret.expose().to_vec()));
        Ok(Some(Self {
            with: with.clone(),
            destination: backends.get(destination).cloned(),
            endpoint,
            client: IntrospectionClient { id: client_id.clone().unwrap_or_default(), secret },
            claims: plan.oauth.claims.clone(),
            rules: rules.clone(),
            ttl: *ttl,
            negative_ttl: *negative_ttl,
            timeout: *timeout,
            cache: Cache::new(CAPACITY).ok_or(SetupError::NoRandomness)?,
            limit: QueryLimit::default(),
            counters: Counters::default(),
        }))
    }

    /// Returns the account of `token`, or `None` if no server knows it or can be reached. Waits at most the configured
    /// time for each method, and once more for other queries of the client's network. `client_identity` is passed on to the queried server.
    pub async fn account(&self, token: &[u8], client_identity: &ClientIdentity) -> Option<Identifier> {
        self.counters.asked.fetch_add(1, Ordering::Relaxed);
        match self.cache.look_up(self.cache.digest(token)) {
            Cached::Known(known) => {
                self.counters.remembered.fetch_add(1, Ordering::Relaxed);
                known.account
            }
            Cached::Pending(pending) => {
                let query = self.query_within_limit(token, client_identity, pending.last().cloned());
                Box::pin(pending.resolve(query)).await.account
            }
        }
    }

    /// Returns the current counters.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats {
            asked: self.counters.asked.load(Ordering::Relaxed),
            remembered: self.counters.remembered.load(Ordering::Relaxed),
            failed: self.counters.failed.load(Ordering::Relaxed),
            entries: self.cache.len(),
        }
    }

    /// Runs the queries when the client's network may have another one. After the configured time it gives up: the answer
    /// is then the last known account, and is not cached.
    async fn query_within_limit(
        &self,
        token: &[u8],
        client_identity: &ClientIdentity,
        last: Option<Identifier>,
    ) -> KnownToken {
        match timeout(self.timeout, self.limit.acquire(client_identity.client.ip())).await {
            Ok(_permit) => self.query_all(token, client_identity, last).await,
            Err(_) => {
                // Neither a warning nor a failed query: no server is at fault, and any client can cause it.
                tracing::debug!(
                    client = %client_identity.client,
                    "oauth.resolve: a token was not looked up: too many queries of the client's network"
                );
                KnownToken { account: last, expires: Instant::now() }
            }
        }
    }

    /// Queries by every configured method until one names the account.
    async fn query_all(
        &self,
        token: &[u8],
        client_identity: &ClientIdentity,
        last: Option<Identifier>,
    ) -> KnownToken {
        let mut is_certain = true;
        for &method in &self.with {
            let deadline = Instant::now() + self.timeout;
            let result =
                match timeout_at(deadline, self.query_by(method, token, client_identity, deadline)).await {
                    Ok(result) => result,
                    Err(_) => Err(QueryError::Io(std::io::ErrorKind::TimedOut.into())),
                };
            match result {
                Ok(TokenInfo { name: Some(name), lifetime }) => {
                    // A name that is not a valid identifier belongs to no account.
                    let account = self.rules.name(name.as_bytes()).ok();
                    let ttl = lifetime.unwrap_or(self.ttl).min(self.ttl);
                    return KnownToken { account, expires: Instant::now() + ttl };
                }
                Ok(TokenInfo { name: None, .. }) => {}
                Err(error) => {
                    is_certain = false;
                    self.counters.failed.fetch_add(1, Ordering::Relaxed);
                    tracing::warn!(method = label(method), %error, "oauth.resolve: the account of a token is unknown: a query failed");
                }
            }
        }
        if is_certain {
            return KnownToken { account: None, expires: Instant::now() + self.negative_ttl };
        }
        // The last known account is better than the fallback destination: the account may have moved.
        KnownToken { account: last, expires: Instant::now() + FAILURE_TTL.min(self.negative_ttl) }
    }

    async fn query_by(
        &self,
        method: ResolveWith,
        token: &[u8],
        client_identity: &ClientIdentity,
        deadline: Instant,
    ) -> Result<TokenInfo, QueryError> {
        let missing = || QueryError::Fault(types::fault::Fault::Unreachable);
        match method {
            ResolveWith::Jmap => {
                let destination = self.destination.as_ref().ok_or_else(missing)?;
                query::jmap(destination, token, client_identity, deadline).await
            }
            ResolveWith::Introspection => {
                let endpoint = self.endpoint.as_ref().ok_or_else(missing)?;
                query::introspection(endpoint, &self.client, token, client_identity, deadline).await
            }
            ResolveWith::Userinfo => {
                let endpoint = self.endpoint.as_ref().ok_or_else(missing)?;
                query::userinfo(endpoint, &self.claims, token, client_identity, deadline).await
            }
        }
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver").field("with", &self.with).finish_non_exhaustive()
    }
}

fn upstream_endpoint(url: &Url) -> Endpoint {
    Endpoint { name: "oauth.resolve".into(), host: url.host.clone(), port: url.port, https: url.https }
}

const fn label(method: ResolveWith) -> &'static str {
    match method {
        ResolveWith::Jmap => "jmap",
        ResolveWith::Introspection => "introspection",
        ResolveWith::Userinfo => "userinfo",
    }
}
