//! Decides where a request goes: the first rule that matches its path, and the account that the rule finds in it.

use bytes::Bytes;
use credentials::names;
use http_proto::path::{self, BadPath};
use http_proto::{BadHead, Fields, RequestHead, authorization};
use identity::{Identifier, Identity};
use plan::{ExtractFrom, HttpRoute, HttpTarget, Name};
use types::bad_credential::BadCredential;
use types::outcome::IdentityRefusal;

use crate::body::{Broken, Piece, Source};
use crate::client::Client;
use crate::connection::HttpConnection;
use crate::local_reply;
use crate::memory::{Claim, MemoryFull};
use crate::prefix_owner;

/// What the rules say of a request.
#[derive(Debug)]
pub(crate) enum Decision {
    /// The rule names the destination.
    Pinned(Name),
    /// The request names an account: its destination.
    Account {
        identifier: Identifier,
        /// Whether a 2xx shows that the request's credentials are right.
        authenticates: bool,
    },
    /// The request names no account: the rule's fallback.
    Fallback(Name),
}

/// Why a request is not routed.
#[derive(Debug)]
pub(crate) enum Refused {
    /// Its head is ambiguous.
    Head(BadHead),
    /// Its path is ambiguous.
    Path(&'static str),
    /// No rule matches its path.
    NoRule,
    /// The name in it cannot be an account's.
    Name(IdentityRefusal),
    /// Its body could not be read.
    Body(Broken),
    /// Its body would hold more memory than it may.
    Memory(MemoryFull),
}

/// The part of a request's body that was read to find its account. It is one buffer, however the body was split.
pub(crate) struct Prefix {
    data: Vec<u8>,
    trailers: Option<Fields>,
    memory: Claim,
}

/// Decides where the request goes. What has to be read of its body for that is left in `prefix`, where a decision by
/// rules that were replaced meanwhile may have left some already.
pub(crate) async fn decide<S: Source, C: Client>(
    connection: &HttpConnection,
    head: &RequestHead,
    source: &mut S,
    client: &mut C,
    prefix: &mut Prefix,
) -> Result<Decision, Refused> {
    let plan = &connection.plan.plan;
    let Matched { route, path } = rule(&plan.http.routes, head)?;
    let (from, fallback) = match &route.target {
        HttpTarget::Destination(name) => return Ok(Decision::Pinned(Name::clone(name))),
        HttpTarget::Extract { from, fallback } => (from, fallback),
    };
    let identity = match from {
        ExtractFrom::Authorization => by_authorization(connection, head)?,
        ExtractFrom::Query(name) => by_name(connection, path::query_parameter(&head.target, name))?,
        ExtractFrom::Header(name) => by_name(connection, head.fields.only(name).map(|value| value.to_vec()))?,
        ExtractFrom::Body(regex) => {
            let cap = plan.http.body_extract_cap;
            let body = prefix.read(head, source, client, cap).await?;
            let found = regex.captures(body).and_then(|captures| captures.get(1));
            by_name(connection, found.and_then(|found| path::form_decode(found.as_bytes())))?
        }
    };
    let account = match identity {
        Some(Identity::Known(identifier)) => Some(identifier),
        Some(Identity::Opaque) => resolve(connection, head).await,
        None => None,
    };
    Ok(match account {
        Some(identifier) => Decision::Account { identifier, authenticates: route.authenticates(&path) },
        None => Decision::Fallback(Name::clone(fallback.as_ref().unwrap_or(&plan.routing.default))),
    })
}

/// The rule that applies to a request.
struct Matched<'a> {
    route: &'a HttpRoute,
    /// The normalized path.
    path: String,
}

/// Returns the first rule for the path, however the path is written.
fn rule<'a>(routes: &'a [HttpRoute], head: &RequestHead) -> Result<Matched<'a>, Refused> {
    let refused = |bad: BadPath| Refused::Path(bad.label());
    let path = path::normalize(&head.target).map_err(refused)?;
    let found = position(routes, &path.normalized);
    if path.plain.is_some_and(|plain| position(routes, &plain) != found) {
        return Err(refused(BadPath::Parameters));
    }
    if let Some(separator) = path.separator
        && !found.is_some_and(|found| prefix_owner::owns(routes, found, &separator.prefix))
    {
        return Err(refused(separator.bad));
    }
    let route = found.and_then(|found| routes.get(found)).ok_or(Refused::NoRule)?;
    Ok(Matched { route, path: path.normalized })
}

fn position(routes: &[HttpRoute], path: &str) -> Option<usize> {
    routes.iter().position(|route| route.matcher.is_match(path))
}

fn by_authorization(connection: &HttpConnection, head: &RequestHead) -> Result<Option<Identity>, Refused> {
    let Some(value) = authorization(&head.fields).map_err(Refused::Head)? else { return Ok(None) };
    match connection.plan.rules.authorization(value) {
        Ok(identity) => Ok(Some(identity)),
        // A scheme in which no name can be read (Digest, Negotiate) is not a failed login.
        Err(IdentityRefusal::Credential(BadCredential::Unknown)) => Ok(None),
        Err(refusal) => Err(Refused::Name(refusal)),
    }
}

fn by_name(connection: &HttpConnection, name: Option<Vec<u8>>) -> Result<Option<Identity>, Refused> {
    match name {
        Some(name) if !name.is_empty() => {
            let identifier = connection.plan.rules.extracted(&name).map_err(Refused::Name)?;
            Ok(Some(Identity::Known(identifier)))
        }
        _ => Ok(None),
    }
}

/// Queries the account of an opaque token.
async fn resolve(connection: &HttpConnection, head: &RequestHead) -> Option<Identifier> {
    let resolver = connection.plan.resolver.as_ref()?;
    let token = names::bearer(head.fields.get("authorization")?).ok()?;
    // Boxed: a query holds a connection and its TLS handshake.
    Box::pin(resolver.account(token.expose(), &connection.identity())).await
}

// === impl Prefix ===

impl Prefix {
    /// Returns an empty prefix of a request that holds `memory`.
    pub(crate) fn new(memory: Claim) -> Self {
        Self { data: Vec::new(), trailers: None, memory }
    }

    /// Whether nothing was read of the body.
    pub(crate) fn is_empty(&self) -> bool {
        self.data.is_empty() && self.trailers.is_none()
    }

    /// Returns the pieces, of which there are at most two, and the memory that the request holds.
    pub(crate) fn into_parts(self) -> (Vec<Piece>, Claim) {
        let mut pieces = Vec::new();
        if !self.data.is_empty() {
            pieces.push(Piece::Data(Bytes::from(self.data)));
        }
        pieces.extend(self.trailers.map(Piece::Trailers));
        (pieces, self.memory)
    }

    /// Reads the body, up to `cap` bytes of it. Returns nothing of a longer body: what follows the cap could name
    /// another account.
    async fn read<S: Source, C: Client>(
        &mut self,
        head: &RequestHead,
        source: &mut S,
        client: &mut C,
        cap: usize,
    ) -> Result<&[u8], Refused> {
        if self.is_empty() && head.expects_continue && !source.is_finished() {
            client.interim(&local_reply::go_on()).await.map_err(Refused::Body)?;
        }
        while self.data.len() <= cap {
            let Some(piece) = source.piece().await.map_err(Refused::Body)? else { return Ok(&self.data) };
            self.memory.grow(piece.memory()).map_err(Refused::Memory)?;
            match piece {
                Piece::Data(data) => self.data.extend_from_slice(&data),
                Piece::Trailers(fields) => self.trailers = Some(fields),
            }
        }
        Ok(&[])
    }
}
