//! The ways in their order, and what is remembered of them.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use identity::{Identifier, Rules};
use plan::{Plan, Resolve, ResolveWith};
use tls::{PlatformRoots, SetupError};
use tokio::time::{Instant, timeout_at};
use upstream::{Backend, Backends, ClientIdentity, Endpoint};

use crate::ask::{self, Client, Told, Unanswered};
use crate::cache::{Cache, Known};
use crate::url::Url;

/// Tells whose an opaque token is.
pub struct Resolver {
    with: Vec<ResolveWith>,
    /// For the JMAP session.
    destination: Option<Arc<Backend>>,
    /// For introspection and userinfo.
    endpoint: Option<(Backend, Url)>,
    client: Client,
    claims: Vec<String>,
    rules: Rules,
    ttl: Duration,
    negative_ttl: Duration,
    timeout: Duration,
    cache: Cache,
    counters: Counters,
}

/// Numbers for metrics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Tokens that were looked up.
    pub asked: u64,
    /// Of these, answered out of memory.
    pub remembered: u64,
    /// Questions to which nobody had an answer.
    pub failed: u64,
    /// Tokens that are remembered now.
    pub entries: usize,
}

#[derive(Debug, Default)]
struct Counters {
    asked: AtomicU64,
    remembered: AtomicU64,
    failed: AtomicU64,
}

/// Tokens that are remembered: some 15 MiB.
const MAX_TOKENS: usize = 100_000;
/// How long a failure is remembered, as for the mapping store: not so long that a short outage becomes a long
/// one, and long enough that nobody is asked for every request.
const FAILURE_TTL: Duration = Duration::from_secs(5);

// === impl Resolver ===

impl Resolver {
    /// What `plan` asks for; `None` where it asks for nothing.
    ///
    /// # Errors
    /// When TLS towards the endpoint cannot be set up, or the system gives no randomness.
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
            Some(url) => Some((Backend::of(&endpoint(&url), plan, roots)?, url)),
            None => None,
        };
        let secret =
            client_secret.as_ref().map(|secret| types::secret::Secret::new(secret.expose().to_vec()));
        Ok(Some(Self {
            with: with.clone(),
            destination: backends.get(destination).cloned(),
            endpoint,
            client: Client { id: client_id.clone().unwrap_or_default(), secret },
            claims: plan.oauth.claims.clone(),
            rules: rules.clone(),
            ttl: *ttl,
            negative_ttl: *negative_ttl,
            timeout: *timeout,
            cache: Cache::new(MAX_TOKENS).ok_or(SetupError::NoRandomness)?,
            counters: Counters::default(),
        }))
    }

    /// The account that `token` is for; `None`: nobody knows, or nobody can be asked. Waits at most the
    /// configured time for each way. `client_identity`: who came with it, for the server that is asked.
    pub async fn account(&self, token: &[u8], client_identity: &ClientIdentity) -> Option<Identifier> {
        self.counters.asked.fetch_add(1, Ordering::Relaxed);
        let entry = self.cache.entry(self.cache.digest(token));
        if let Some(known) = entry.answer.get() {
            self.counters.remembered.fetch_add(1, Ordering::Relaxed);
            return known.account.clone();
        }
        // Who waits for somebody else's question takes it over, should that one leave.
        let asking = entry.answer.get_or_init(|| self.ask(token, client_identity, entry.last.clone()));
        Box::pin(asking).await.account.clone()
    }

    /// The numbers at this moment.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats {
            asked: self.counters.asked.load(Ordering::Relaxed),
            remembered: self.counters.remembered.load(Ordering::Relaxed),
            failed: self.counters.failed.load(Ordering::Relaxed),
            entries: self.cache.len(),
        }
    }

    /// Asks in every way until one knows.
    async fn ask(&self, token: &[u8], client_identity: &ClientIdentity, last: Option<Identifier>) -> Known {
        let mut is_certain = true;
        for &way in &self.with {
            let until = Instant::now() + self.timeout;
            let told = match timeout_at(until, self.ask_by(way, token, client_identity, until)).await {
                Ok(told) => told,
                Err(_) => Err(Unanswered::Io(std::io::ErrorKind::TimedOut.into())),
            };
            match told {
                Ok(Told { name: Some(name), lifetime }) => {
                    // A name that cannot be one is nobody's.
                    let account = self.rules.name(name.as_bytes()).ok();
                    let ttl = lifetime.map_or(self.ttl, |lifetime| lifetime.min(self.ttl));
                    return Known { account, until: Instant::now() + ttl };
                }
                Ok(Told { name: None, .. }) => {}
                Err(error) => {
                    is_certain = false;
                    self.counters.failed.fetch_add(1, Ordering::Relaxed);
                    tracing::warn!(way = label(way), %error, "oauth.resolve: nobody could say whose a token is");
                }
            }
        }
        if is_certain {
            return Known { account: None, until: Instant::now() + self.negative_ttl };
        }
        // What was known is better than the fallback: its account may have moved.
        Known { account: last, until: Instant::now() + FAILURE_TTL.min(self.negative_ttl) }
    }

    async fn ask_by(
        &self,
        way: ResolveWith,
        token: &[u8],
        client_identity: &ClientIdentity,
        until: Instant,
    ) -> Result<Told, Unanswered> {
        let missing = || Unanswered::Fault(types::fault::Fault::Unreachable);
        match way {
            ResolveWith::Jmap => {
                let destination = self.destination.as_ref().ok_or_else(missing)?;
                Box::pin(ask::jmap(destination, token, client_identity, until)).await
            }
            ResolveWith::Introspection => {
                let (backend, url) = self.endpoint.as_ref().ok_or_else(missing)?;
                Box::pin(ask::introspection((backend, url), &self.client, token, client_identity, until))
                    .await
            }
            ResolveWith::Userinfo => {
                let (backend, url) = self.endpoint.as_ref().ok_or_else(missing)?;
                Box::pin(ask::userinfo((backend, url), &self.claims, token, client_identity, until)).await
            }
        }
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver").field("with", &self.with).finish_non_exhaustive()
    }
}

fn endpoint(url: &Url) -> Endpoint {
    Endpoint { name: "oauth.resolve".into(), host: url.host.clone(), port: url.port, https: url.https }
}

const fn label(way: ResolveWith) -> &'static str {
    match way {
        ResolveWith::Jmap => "jmap",
        ResolveWith::Introspection => "introspection",
        ResolveWith::Userinfo => "userinfo",
    }
}
