//! The three methods of finding the account of a token.
//!
//! What must never happen: a token is sent to another host than the configured one, also after a redirect.

use std::io;
use std::str;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_proto::{Fields, Framing, RequestHead, Version};
use serde_json::Value;
use thiserror::Error;
use tokio::time::Instant;
use types::fault::Fault;
use types::protocol::Protocol;
use types::secret::Secret;
use upstream::{Backend, ClientIdentity};

use crate::fetch::{HttpResponse, fetch};
use crate::url::Url;

/// A server's answer about a token.
pub(crate) struct TokenInfo {
    /// The account's name; `None` if the server does not know the token.
    pub(crate) name: Option<String>,
    /// How long the token is valid, if the server says so.
    pub(crate) lifetime: Option<Duration>,
}

/// Why a query failed.
#[derive(Debug, Error)]
pub(crate) enum QueryError {
    /// The server could not be connected to.
    #[error("{}", .0.label())]
    Fault(Fault),
    /// The connection broke, or the response is not valid HTTP.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The status says neither that the token is valid nor that it is not.
    #[error("the server answered with status {0}")]
    Status(u16),
    /// The body is not a JSON object.
    #[error("the response is not a JSON object")]
    Json,
    /// The redirect leads to another host, to which no token is sent, or there are too many.
    #[error("the server redirects to another host, or too often")]
    Redirect,
}

/// An endpoint of the token's issuer.
pub(crate) struct HttpEndpoint {
    pub(crate) backend: Backend,
    pub(crate) url: Url,
}

/// The client credentials for introspection (RFC 7662 section 2.1).
pub(crate) struct IntrospectionClient {
    pub(crate) id: String,
    pub(crate) secret: Option<Secret>,
}

/// The most redirects from the well-known path to the session resource.
const MAX_REDIRECTS: usize = 3;

/// Queries the JMAP session resource, which names the account (RFC 8620 section 2).
pub(crate) async fn jmap(
    backend: &Backend,
    token: &[u8],
    client_identity: &ClientIdentity,
    deadline: Instant,
) -> Result<TokenInfo, QueryError> {
    let host = authority(backend);
    let mut target = "/.well-known/jmap".to_owned();
    for _ in 0..=MAX_REDIRECTS {
        let mut head = head(b"GET", &target, &host);
        head.fields.push(&b"Authorization"[..], bearer(token));
        let response = send(backend, &head, b"", client_identity, deadline).await?;
        match response.head.status {
            200 => {
                let name = json(&response)?.get("username").and_then(Value::as_str).map(str::to_owned);
                return Ok(TokenInfo { name, lifetime: None });
            }
            401 | 403 => return Ok(TokenInfo { name: None, lifetime: None }),
            301 | 302 | 307 | 308 => target = redirect(&response, &host).ok_or(QueryError::Redirect)?,
            status => return Err(QueryError::Status(status)),
        }
    }
    Err(QueryError::Redirect)
}

/// Queries the introspection endpoint (RFC 7662).
pub(crate) async fn introspection(
    endpoint: &HttpEndpoint,
    client: &IntrospectionClient,
    token: &[u8],
    client_identity: &ClientIdentity,
    deadline: Instant,
) -> Result<TokenInfo, QueryError> {
    let mut head = head(b"POST", &endpoint.url.target, &endpoint.url.authority);
    head.fields.push(&b"Content-Type"[..], &b"application/x-www-form-urlencoded"[..]);
    head.fields.push(&b"Authorization"[..], basic(client));
    let mut body = b"token=".to_vec();
    form_encode(&mut body, token);
    body.extend_from_slice(b"&token_type_hint=access_token");
    let body = Secret::new(body);
    let response = send(&endpoint.backend, &head, body.expose(), client_identity, deadline).await?;
    if response.head.status != 200 {
        return Err(QueryError::Status(response.head.status));
    }
    let body_json = json(&response)?;
    if body_json.get("active").and_then(Value::as_bool) != Some(true) {
        return Ok(TokenInfo { name: None, lifetime: None });
    }
    let text = |claim: &str| body_json.get(claim).and_then(Value::as_str).filter(|name| !name.is_empty());
    let name = text("username")
        .or_else(|| ["sub", "email"].into_iter().filter_map(text).find(|name| name.contains('@')))
        .map(str::to_owned);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let lifetime = body_json.get("exp").and_then(Value::as_u64);
    let lifetime = lifetime.map(|exp| Duration::from_secs(exp).saturating_sub(now));
    Ok(TokenInfo { name, lifetime })
}

/// Queries the userinfo endpoint (OpenID Connect Core section 5.3).
pub(crate) async fn userinfo(
    endpoint: &HttpEndpoint,
    claims: &[String],
    token: &[u8],
    client_identity: &ClientIdentity,
    deadline: Instant,
) -> Result<TokenInfo, QueryError> {
    let mut head = head(b"GET", &endpoint.url.target, &endpoint.url.authority);
    head.fields.push(&b"Authorization"[..], bearer(token));
    let response = send(&endpoint.backend, &head, b"", client_identity, deadline).await?;
    match response.head.status {
        200 => {}
        401 | 403 => return Ok(TokenInfo { name: None, lifetime: None }),
        status => return Err(QueryError::Status(status)),
    }
    let body_json = json(&response)?;
    let name = claims
        .iter()
        .filter_map(|claim| body_json.get(claim)?.as_str())
        .find(|value| value.contains('@'))
        .map(str::to_owned);
    Ok(TokenInfo { name, lifetime: None })
}

async fn send(
    backend: &Backend,
    head: &RequestHead,
    body: &[u8],
    client_identity: &ClientIdentity,
    deadline: Instant,
) -> Result<HttpResponse, QueryError> {
    let connected = Box::pin(backend.connect(Protocol::Http, client_identity, deadline))
        .await
        .map_err(QueryError::Fault)?;
    let response = fetch(connected.stream, head, body).await;
    let steps = connected.steps;
    let verdict = if response.is_ok() { Ok(steps.connect + steps.tls) } else { Err(Fault::Closed) };
    backend.report(Protocol::Http, client_identity.client.ip(), verdict);
    Ok(response?)
}

fn head(method: &'static [u8], target: &str, authority: &str) -> RequestHead {
    let mut fields = Fields::default();
    fields.push(&b"Host"[..], authority.to_owned());
    fields.push(&b"Accept"[..], &b"application/json"[..]);
    fields.push(&b"Connection"[..], &b"close"[..]);
    RequestHead {
        method: Bytes::from_static(method),
        target: Bytes::copy_from_slice(target.as_bytes()),
        version: Version::Http11,
        authority: Bytes::copy_from_slice(authority.as_bytes()),
        fields,
        framing: Framing::None,
        keeps_alive: false,
        expects_continue: false,
        upgrade: None,
    }
}

/// Returns the host name for the `Host` field: the name in the destination's certificate, which its clients use.
fn authority(backend: &Backend) -> String {
    let destination = backend.destination();
    match destination.tls_server_name.as_ref().or_else(|| destination.hosts.first()) {
        Some(name) if name.contains(':') => format!("[{name}]"),
        Some(name) => name.clone(),
        None => String::new(),
    }
}

/// Returns the target of a redirect, if it stays on the same host.
fn redirect(response: &HttpResponse, host: &str) -> Option<String> {
    let location = str::from_utf8(response.head.fields.get("location")?).ok()?;
    if location.starts_with('/') && !location.starts_with("//") {
        return location.bytes().all(|byte| matches!(byte, b'!'..=b'~')).then(|| location.to_owned());
    }
    let url = Url::parse(location)?;
    let named = host.trim_start_matches('[').trim_end_matches(']');
    url.host.eq_ignore_ascii_case(named).then_some(url.target)
}

fn json(response: &HttpResponse) -> Result<Value, QueryError> {
    // serde_json limits the depth to 128, and `fetch` limits the size.
    let value: Value = serde_json::from_slice(&response.body).map_err(|_| QueryError::Json)?;
    if value.is_object() { Ok(value) } else { Err(QueryError::Json) }
}

fn bearer(token: &[u8]) -> Bytes {
    wiped([b"Bearer ", token].concat())
}

/// Returns the `Basic` credential. The id and the secret are form-encoded before they are joined (RFC 6749 section 2.3.1).
fn basic(client: &IntrospectionClient) -> Bytes {
    let mut pair = Vec::new();
    form_encode(&mut pair, client.id.as_bytes());
    pair.push(b':');
    form_encode(&mut pair, client.secret.as_ref().map(Secret::expose).unwrap_or_default());
    let pair = Secret::new(pair);
    let encoded = Secret::new(STANDARD.encode(pair.expose()).into_bytes());
    wiped([b"Basic ", encoded.expose()].concat())
}

/// Returns a credential that is wiped from memory when the head is dropped.
fn wiped(credential: Vec<u8>) -> Bytes {
    struct Owner(Secret);
    impl AsRef<[u8]> for Owner {
        fn as_ref(&self) -> &[u8] {
            self.0.expose()
        }
    }
    Bytes::from_owner(Owner(Secret::new(credential)))
}

fn form_encode(out: &mut Vec<u8>, value: &[u8]) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for &byte in value {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'*' => out.push(byte),
            b' ' => out.push(b'+'),
            _ => out.extend([b'%', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]),
        }
    }
}
