//! The state that every call can use.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::header::FROM;
use axum::http::request::Parts;
use control::Control;
use mapping::Router;
use runtime::ActivePlan;
use sessions::Registry;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use types::identifier::Identifier;

use crate::app_handle::AppHandle;
use crate::audit::{Action, Actor, Audit};
use crate::authenticator::Authenticator;
use crate::failure::{CallResult, Failure};

/// The state that every call can use. Clones share it.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) app_handle: Arc<dyn AppHandle>,
    pub(crate) authenticator: Arc<Authenticator>,
    pub(crate) audit: Audit,
    pub(crate) began: Instant,
    /// Permits for streams of events.
    pub(crate) streams: Arc<Semaphore>,
    /// Permits for imports and exports.
    pub(crate) bulk: Arc<Semaphore>,
    /// Permits for comparisons of mailboxes.
    pub(crate) comparisons: Arc<Semaphore>,
}

/// The address that a request came from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// The client that requested an action.
pub(crate) struct Caller(pub(crate) Actor);

/// Concurrent streams of events.
pub(crate) const MAX_STREAMS: usize = 16;
/// Concurrent imports and exports: each may hold a whole mapping in memory.
pub(crate) const MAX_BULK: usize = 2;
/// Concurrent comparisons of mailboxes: each may hold hashes of a million messages.
pub(crate) const MAX_COMPARISONS: usize = 4;
/// Bytes of a `From` header that are kept.
const MAX_NAME: usize = 254;

// === impl Shared ===

impl Shared {
    pub(crate) fn new(app_handle: Arc<dyn AppHandle>, authenticator: Authenticator, audit: Audit) -> Self {
        Self {
            app_handle,
            authenticator: Arc::new(authenticator),
            audit,
            began: Instant::now(),
            streams: Arc::new(Semaphore::new(MAX_STREAMS)),
            bulk: Arc::new(Semaphore::new(MAX_BULK)),
            comparisons: Arc::new(Semaphore::new(MAX_COMPARISONS)),
        }
    }

    pub(crate) fn plan(&self) -> Arc<ActivePlan> {
        self.app_handle.plan()
    }

    pub(crate) fn registry(&self) -> Registry {
        self.app_handle.registry()
    }

    pub(crate) fn router(&self) -> Arc<Router> {
        self.app_handle.router()
    }

    /// Returns the control through which every change is made.
    pub(crate) fn control(&self) -> Control {
        self.app_handle.control()
    }

    /// Returns the key of an account's name.
    pub(crate) fn normalized(&self, identifier: &str) -> CallResult<String> {
        let check = |name: &str| {
            Identifier::parse(name).map_err(|bad| Failure::bad_request(format!("identifier: {bad}")))
        };
        // Checked before normalization too, so that its input is bounded.
        check(identifier)?;
        let key = self.router().normalize(identifier);
        check(&key)?;
        Ok(key)
    }

    /// Returns the key of one account's name. The key of a domain is refused: no login has it, so the action would have no
    /// effect.
    pub(crate) fn account(&self, identifier: &str) -> CallResult<String> {
        let key = self.normalized(identifier)?;
        if key.starts_with('@') {
            let detail = format!(
                "identifier: found the domain {key}, expected an account; a call that takes all accounts of a domain takes *{key}"
            );
            return Err(Failure::bad_request(detail));
        }
        Ok(key)
    }

    /// Records an action and its result.
    pub(crate) async fn record<T>(&self, caller: &Caller, action: Action, outcome: &CallResult<T>) {
        let result = match outcome {
            Ok(_) => "ok".to_owned(),
            Err(failure) => failure.status().to_string(),
        };
        self.audit.record(&caller.0, action, &result).await;
    }
}

// === impl Caller ===

impl Caller {
    /// Returns whether the request came from this host.
    pub(crate) fn is_this_host(&self) -> bool {
        match &self.0 {
            Actor::Token { address, .. } => address.to_canonical().is_loopback(),
            Actor::Signal => true,
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> CallResult<Self> {
        let Some(Peer(address)) = parts.extensions.get::<Peer>().copied() else {
            return Err(Failure::bad_request("the request has no address"));
        };
        let name = parts.headers.get(FROM).and_then(|value| value.to_str().ok());
        let name = name.map(|name| name.chars().take(MAX_NAME).collect());
        Ok(Self(Actor::Token { address, name }))
    }
}
