//! The three ways to ask whose a token is.

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

use crate::fetch::{Answer, fetch};
use crate::url::Url;

/// What a server said of a token.
pub(crate) struct Told {
    /// The account's name; `None`: it knows no such token.
    pub(crate) name: Option<String>,
    /// How long the token is good, by its own word.
    pub(crate) lifetime: Option<Duration>,
}

/// Why nobody could tell.
#[derive(Debug, Error)]
pub(crate) enum Unanswered {
    /// The server could not be connected to.
    #[error("{}", .0.label())]
    Fault(Fault),
    /// The connection broke, or what came is no answer.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The answer's status is neither yes nor no.
    #[error("it answered with status {0}")]
    Status(u16),
    /// The body is none that was asked for.
    #[error("its answer is not the JSON that was asked for")]
    Json,
    /// It leads to another host: a token is not taken there.
    #[error("it redirects to another host, or too often")]
    Redirect,
}

/// Whom introspection is asked as (RFC 7662 section 2.1).
pub(crate) struct Client {
    pub(crate) id: String,
    pub(crate) secret: Option<Secret>,
}

/// Redirects from the well-known path to the session resource.
const MAX_REDIRECTS: usize = 3;

/// RFC 8620 section 2: the session resource names the account.
pub(crate) async fn jmap(
    backend: &Backend,
    token: &[u8],
    client_identity: &ClientIdentity,
    until: Instant,
) -> Result<Told, Unanswered> {
    let host = authority(backend);
    let mut target = "/.well-known/jmap".to_owned();
    for _ in 0..=MAX_REDIRECTS {
        let mut head = head(b"GET", &target, &host);
        head.fields.push(&b"Authorization"[..], bearer(token));
        let answer = ask(backend, &head, b"", client_identity, until).await?;
        match answer.head.status {
            200 => {
                let name = json(&answer)?.get("username").and_then(Value::as_str).map(str::to_owned);
                return Ok(Told { name, lifetime: None });
            }
            401 | 403 => return Ok(Told { name: None, lifetime: None }),
            301 | 302 | 307 | 308 => target = redirect(&answer, &host).ok_or(Unanswered::Redirect)?,
            status => return Err(Unanswered::Status(status)),
        }
    }
    Err(Unanswered::Redirect)
}

/// RFC 7662.
pub(crate) async fn introspection(
    (backend, url): (&Backend, &Url),
    client: &Client,
    token: &[u8],
    client_identity: &ClientIdentity,
    until: Instant,
) -> Result<Told, Unanswered> {
    let mut head = head(b"POST", &url.target, &url.authority);
    head.fields.push(&b"Content-Type"[..], &b"application/x-www-form-urlencoded"[..]);
    head.fields.push(&b"Authorization"[..], basic(client));
    let mut body = b"token=".to_vec();
    form_encode(&mut body, token);
    body.extend_from_slice(b"&token_type_hint=access_token");
    let body = Secret::new(body);
    let answer = ask(backend, &head, body.expose(), client_identity, until).await?;
    if answer.head.status != 200 {
        return Err(Unanswered::Status(answer.head.status));
    }
    let said = json(&answer)?;
    if said.get("active").and_then(Value::as_bool) != Some(true) {
        return Ok(Told { name: None, lifetime: None });
    }
    let text = |claim: &str| said.get(claim).and_then(Value::as_str).filter(|name| !name.is_empty());
    let name = text("username")
        .or_else(|| ["sub", "email"].into_iter().filter_map(text).find(|name| name.contains('@')))
        .map(str::to_owned);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let lifetime = said.get("exp").and_then(Value::as_u64);
    let lifetime = lifetime.map(|exp| Duration::from_secs(exp).saturating_sub(now));
    Ok(Told { name, lifetime })
}

/// OpenID Connect Core section 5.3.
pub(crate) async fn userinfo(
    (backend, url): (&Backend, &Url),
    claims: &[String],
    token: &[u8],
    client_identity: &ClientIdentity,
    until: Instant,
) -> Result<Told, Unanswered> {
    let mut head = head(b"GET", &url.target, &url.authority);
    head.fields.push(&b"Authorization"[..], bearer(token));
    let answer = ask(backend, &head, b"", client_identity, until).await?;
    match answer.head.status {
        200 => {}
        401 | 403 => return Ok(Told { name: None, lifetime: None }),
        status => return Err(Unanswered::Status(status)),
    }
    let said = json(&answer)?;
    let name = claims
        .iter()
        .filter_map(|claim| said.get(claim)?.as_str())
        .find(|value| value.contains('@'))
        .map(str::to_owned);
    Ok(Told { name, lifetime: None })
}

async fn ask(
    backend: &Backend,
    head: &RequestHead,
    body: &[u8],
    client_identity: &ClientIdentity,
    until: Instant,
) -> Result<Answer, Unanswered> {
    let connected =
        Box::pin(backend.connect(Protocol::Http, client_identity, until)).await.map_err(Unanswered::Fault)?;
    let answer = fetch(connected.stream, head, body).await;
    let steps = connected.steps;
    let verdict = if answer.is_ok() { Ok(steps.connect + steps.tls) } else { Err(Fault::Closed) };
    backend.report(Protocol::Http, client_identity.client.ip(), verdict);
    Ok(answer?)
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

/// The name that the destination's certificate has, which is how its clients call it.
fn authority(backend: &Backend) -> String {
    let destination = backend.destination();
    let name = destination.tls_server_name.as_ref().or_else(|| destination.hosts.first());
    name.map(|name| if name.contains(':') { format!("[{name}]") } else { name.clone() }).unwrap_or_default()
}

/// Where a redirect leads on the same host.
fn redirect(answer: &Answer, host: &str) -> Option<String> {
    let location = str::from_utf8(answer.head.fields.get("location")?).ok()?;
    if location.starts_with('/') && !location.starts_with("//") {
        return location.bytes().all(|byte| matches!(byte, b'!'..=b'~')).then(|| location.to_owned());
    }
    let url = Url::parse(location)?;
    let named = host.trim_start_matches('[').trim_end_matches(']');
    url.host.eq_ignore_ascii_case(named).then_some(url.target)
}

fn json(answer: &Answer) -> Result<Value, Unanswered> {
    // serde_json stops at a depth of 128, and the size is bounded.
    let value: Value = serde_json::from_slice(&answer.body).map_err(|_| Unanswered::Json)?;
    if value.is_object() { Ok(value) } else { Err(Unanswered::Json) }
}

fn bearer(token: &[u8]) -> Bytes {
    wiped([b"Bearer ", token].concat())
}

/// RFC 6749 section 2.3.1: id and secret are form-encoded before they are put together.
fn basic(client: &Client) -> Bytes {
    let mut pair = Vec::new();
    form_encode(&mut pair, client.id.as_bytes());
    pair.push(b':');
    form_encode(&mut pair, client.secret.as_ref().map(Secret::expose).unwrap_or_default());
    let pair = Secret::new(pair);
    let encoded = Secret::new(STANDARD.encode(pair.expose()).into_bytes());
    wiped([b"Basic ", encoded.expose()].concat())
}

/// A credential for a head, wiped with it.
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
