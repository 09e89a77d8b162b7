//! Where a request goes: the first rule that matches its path, and the account that the rule finds in it.

use credentials::names;
use http_proto::path::{self, BadPath};
use http_proto::{BadHead, RequestHead, authorization};
use identity::{Identifier, Identity};
use plan::{ExtractFrom, HttpRoute, HttpTarget, Name};
use types::bad_credential::BadCredential;
use types::outcome::IdentityRefusal;

use crate::body::{Broken, Piece, Source};
use crate::client::Client;
use crate::prefix_owner;
use crate::service::HttpConnection;

/// What the rules say of a request.
#[derive(Debug)]
pub(crate) enum Decision {
    /// This destination, whoever asks.
    Pinned(Name),
    /// Where this account is.
    Account(Identifier),
    /// Nobody is named: this destination.
    Fallback(Name),
}

/// Why a request goes nowhere.
#[derive(Debug)]
pub(crate) enum Refused {
    /// It could be read in two ways.
    Bad(BadHead),
    /// Its path could.
    BadPath(&'static str),
    /// No rule is for it.
    NoRule,
    /// It names somebody by a name that cannot be one.
    NoName(IdentityRefusal),
    /// The client broke off.
    Client(Broken),
}

/// The first rule for the path, whichever way it is written.
pub(crate) fn rule<'a>(routes: &'a [HttpRoute], head: &RequestHead) -> Result<&'a HttpRoute, Refused> {
    let refused = |bad: BadPath| Refused::BadPath(bad.label());
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
    found.and_then(|found| routes.get(found)).ok_or(Refused::NoRule)
}

fn position(routes: &[HttpRoute], path: &str) -> Option<usize> {
    routes.iter().position(|route| route.matcher.is_match(path))
}

impl HttpConnection {
    /// Decides; what had to be read of the body for it is left in `prefix`, where a decision by rules that were
    /// replaced meanwhile may have left some already.
    pub(crate) async fn decide<S: Source, C: Client>(
        &self,
        head: &RequestHead,
        source: &mut S,
        client: &mut C,
        prefix: &mut Vec<Piece>,
    ) -> Result<Decision, Refused> {
        let plan = &self.plan.plan;
        let (from, fallback) = match &rule(&plan.http.routes, head)?.target {
            HttpTarget::Destination(name) => return Ok(Decision::Pinned(Name::clone(name))),
            HttpTarget::Extract { from, fallback } => (from, fallback),
        };
        let identity = match from {
            ExtractFrom::Authorization => self.by_authorization(head)?,
            ExtractFrom::Query(name) => self.by_name(path::query_parameter(&head.target, name))?,
            ExtractFrom::Header(name) => self.by_name(head.fields.only(name).map(|value| value.to_vec()))?,
            ExtractFrom::Body(regex) => {
                let body = self.beginning(head, source, client, prefix).await?;
                let found = regex.captures(&body).and_then(|captures| captures.get(1));
                self.by_name(found.and_then(|found| path::form_decode(found.as_bytes())))?
            }
        };
        let account = match identity {
            Some(Identity::Known(identifier)) => Some(identifier),
            Some(Identity::Opaque) => self.resolve(head).await,
            None => None,
        };
        Ok(match account {
            Some(identifier) => Decision::Account(identifier),
            None => Decision::Fallback(Name::clone(fallback.as_ref().unwrap_or(&plan.routing.default))),
        })
    }

    fn by_authorization(&self, head: &RequestHead) -> Result<Option<Identity>, Refused> {
        let Some(value) = authorization(&head.fields).map_err(Refused::Bad)? else { return Ok(None) };
        match self.plan.rules.authorization(value) {
            Ok(identity) => Ok(Some(identity)),
            // A scheme that names nobody to us (Digest, Negotiate) is no failed login.
            Err(IdentityRefusal::Credential(BadCredential::Unknown)) => Ok(None),
            Err(refusal) => Err(Refused::NoName(refusal)),
        }
    }

    fn by_name(&self, name: Option<Vec<u8>>) -> Result<Option<Identity>, Refused> {
        let Some(name) = name.filter(|name| !name.is_empty()) else { return Ok(None) };
        self.plan.rules.name(&name).map(|name| Some(Identity::Known(name))).map_err(Refused::NoName)
    }

    /// The beginning of the body, at most `body_extract_cap` bytes; empty when it is longer, since what stands
    /// behind the cap could say something else.
    async fn beginning<S: Source, C: Client>(
        &self,
        head: &RequestHead,
        source: &mut S,
        client: &mut C,
        prefix: &mut Vec<Piece>,
    ) -> Result<Vec<u8>, Refused> {
        let cap = self.plan.plan.http.body_extract_cap;
        if prefix.is_empty() && head.expects_continue && !source.is_finished() {
            client.interim(&crate::local_reply::go_on()).await.map_err(Refused::Client)?;
        }
        let mut body = Vec::new();
        for piece in prefix.iter() {
            if let Piece::Data(data) = piece {
                body.extend_from_slice(data);
            }
        }
        if body.len() > cap {
            return Ok(Vec::new());
        }
        while let Some(piece) = source.piece().await.map_err(Refused::Client)? {
            if let Piece::Data(data) = &piece {
                body.extend_from_slice(data);
            }
            prefix.push(piece);
            if body.len() > cap {
                return Ok(Vec::new());
            }
        }
        Ok(body)
    }

    /// Asks whose an opaque token is.
    async fn resolve(&self, head: &RequestHead) -> Option<Identifier> {
        let resolver = self.plan.resolver.as_ref()?;
        let token = names::bearer(head.fields.get("authorization")?).ok()?;
        Box::pin(resolver.account(token.expose(), &self.identity())).await
    }
}
