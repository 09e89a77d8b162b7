//! What every call has at hand.

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
use crate::audit::{Act, Actor, Audit};
use crate::failure::{Answer, Failure};
use crate::gate::Gate;

/// See the module's comment. A clone is the same.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) app_handle: Arc<dyn AppHandle>,
    pub(crate) gate: Arc<Gate>,
    pub(crate) audit: Audit,
    pub(crate) began: Instant,
    /// Streams of events under way.
    pub(crate) streams: Arc<Semaphore>,
    /// Imports and exports under way.
    pub(crate) bulk: Arc<Semaphore>,
}

/// Where a request came from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// Who asks for an act.
pub(crate) struct Caller(pub(crate) Actor);

/// Streams of events at once.
pub(crate) const MAX_STREAMS: usize = 16;
/// Imports and exports at once: each may hold a whole mapping in memory.
pub(crate) const MAX_BULK: usize = 2;
/// Bytes of a `From` header that are kept.
const MAX_NAME: usize = 254;

// === impl Shared ===

impl Shared {
    pub(crate) fn new(app_handle: Arc<dyn AppHandle>, gate: Gate, audit: Audit) -> Self {
        Self {
            app_handle,
            gate: Arc::new(gate),
            audit,
            began: Instant::now(),
            streams: Arc::new(Semaphore::new(MAX_STREAMS)),
            bulk: Arc::new(Semaphore::new(MAX_BULK)),
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

    /// Through which every change goes.
    pub(crate) fn control(&self) -> Control {
        self.app_handle.control()
    }

    /// The key of an account's name.
    pub(crate) fn normalized(&self, identifier: &str) -> Answer<String> {
        let judged = |name: &str| {
            Identifier::parse(name).map_err(|bad| {
                let hint = if name.contains(' ') { " (in a query, write + as %2B)" } else { "" };
                Failure::bad_request(format!("identifier: {bad}{hint}"))
            })
        };
        // Before folding too: what is folded has a bound.
        judged(identifier)?;
        let key = self.router().normalize(identifier);
        judged(&key)?;
        Ok(key)
    }

    /// The key of one account's name. Nobody logs in as a whole domain, so an order to its accounts that is given
    /// by the domain's own key would be carried out on nobody.
    pub(crate) fn account(&self, identifier: &str) -> Answer<String> {
        let key = self.normalized(identifier)?;
        if key.starts_with('@') {
            let detail = format!(
                "identifier: {key} is a domain and no account; where a call takes all accounts of a domain, they are *{key}"
            );
            return Err(Failure::bad_request(detail));
        }
        Ok(key)
    }

    /// Records an act with what came of it.
    pub(crate) async fn record<T>(&self, caller: &Caller, act: Act, outcome: &Answer<T>) {
        let result = match outcome {
            Ok(_) => "ok".to_owned(),
            Err(failure) => failure.status().to_string(),
        };
        self.audit.record(&caller.0, act, &result).await;
    }
}

// === impl Caller ===

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Answer<Self> {
        let Some(Peer(address)) = parts.extensions.get::<Peer>().copied() else {
            return Err(Failure::bad_request("the request has no address"));
        };
        let name = parts.headers.get(FROM).and_then(|value| value.to_str().ok());
        let name = name.map(|name| name.chars().take(MAX_NAME).collect());
        Ok(Self(Actor::Token { address, name }))
    }
}
