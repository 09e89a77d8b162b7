//! The parameters of a call: of the query, or members of a JSON body with the same names.
//!
//! What must never happen here: a misspelt `destinaton=` that makes a kick match more sessions. Unknown names, repeated
//! names, bad escapes and bytes that are not UTF-8 are refused.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use api::parameters::{DEFAULT_LIMIT, FROM, LIMIT, MAX_LIMIT};
use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::{Method, StatusCode};
use http_body_util::{BodyExt, Limited};
use serde::de::{Deserialize, DeserializeOwned, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use tokio::time::timeout;

use crate::failure::{CallResult, Failure};

/// The parameters of a call.
#[derive(Debug, Default)]
pub(crate) struct Parameters {
    given: BTreeMap<String, String>,
}

/// The members of a JSON object, repeated ones included: a map would silently keep one of them.
struct Members(Vec<(String, Value)>);

/// The most bytes of a JSON body.
const MAX_BODY: usize = 64 * 1024;
/// How long receiving a body may take.
const BODY_TIME: Duration = Duration::from_secs(30);

// === impl Parameters ===

impl Parameters {
    /// Reads the parameters of a query.
    pub(crate) fn of_query(query: &str) -> CallResult<Self> {
        let mut parameters = Self::default();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            parameters.add(decode(name)?, decode(value)?)?;
        }
        Ok(parameters)
    }

    /// Adds the members of a JSON object.
    fn add_body(&mut self, body: &[u8]) -> CallResult<()> {
        if body.trim_ascii().is_empty() {
            return Ok(());
        }
        let Members(members) = serde_json::from_slice(body).map_err(|error| {
            Failure::bad_request(format!("the body is not a JSON object of parameters: {error}"))
        })?;
        for (name, value) in members {
            let value = match value {
                // An unset variable of a script; see `only`.
                Value::Null => String::new(),
                Value::String(text) => text,
                Value::Bool(yes) => yes.to_string(),
                Value::Number(number) => digits(&number).ok_or_else(|| {
                    Failure::bad_request(format!("{name}: found {number}, expected a whole number"))
                })?,
                Value::Array(_) | Value::Object(_) => {
                    let detail = format!("{name}: expected text, a number, true or false");
                    return Err(Failure::bad_request(detail));
                }
            };
            self.add(name, value)?;
        }
        Ok(())
    }

    fn add(&mut self, name: String, value: String) -> CallResult<()> {
        if self.given.contains_key(&name) {
            return Err(Failure::bad_request(format!("{name} is given twice: give it once")));
        }
        self.given.insert(name, value);
        Ok(())
    }

    /// Refuses names that the call does not have, and empty values: an unset variable of a script must not select every
    /// session or none.
    pub(crate) fn only(self, known: &[&str]) -> CallResult<Self> {
        if let Some((name, _)) = self.given.iter().find(|(_, value)| value.is_empty()) {
            let detail = format!("{name:?} is empty: give it a value, or leave it out");
            return Err(Failure::bad_request(detail));
        }
        match self.given.keys().find(|name| !known.contains(&name.as_str())) {
            None => Ok(self),
            Some(name) => {
                let expected = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                let detail = format!("{name:?} is not a parameter of this call; expected: {expected}");
                Err(Failure::bad_request(detail))
            }
        }
    }

    pub(crate) fn optional(&self, name: &str) -> Option<&str> {
        self.given.get(name).map(String::as_str)
    }

    pub(crate) fn required(&self, name: &str) -> CallResult<&str> {
        self.optional(name).ok_or_else(|| {
            Failure::bad_request(format!("{name} is missing: give it as ?{name}= or in a JSON body"))
        })
    }

    /// Returns the value of `true` or `false`; a missing parameter is `false`.
    pub(crate) fn flag(&self, name: &str) -> CallResult<bool> {
        match self.optional(name) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(other) => {
                Err(Failure::bad_request(format!("{name}: found {other:?}, expected true or false")))
            }
        }
    }

    /// Returns the start and the size of a page.
    pub(crate) fn page(&self) -> CallResult<(Option<u64>, usize)> {
        let number = |name| match self.optional(name) {
            None => Ok(None),
            Some(text) => text.parse::<u64>().map(Some).map_err(|_| {
                Failure::bad_request(format!("{name}: found {text:?}, expected a number from 0"))
            }),
        };
        let limit = number(LIMIT)?.map_or(DEFAULT_LIMIT, |limit| usize::try_from(limit).unwrap_or(MAX_LIMIT));
        Ok((number(FROM)?, limit.clamp(1, MAX_LIMIT)))
    }
}

// === impl Members ===

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = object.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

impl<S: Send + Sync> FromRequest<S> for Parameters {
    type Rejection = Failure;

    async fn from_request(request: Request, _: &S) -> CallResult<Self> {
        let mut parameters = Self::of_query(request.uri().query().unwrap_or_default())?;
        if matches!(*request.method(), Method::GET | Method::HEAD) {
            return Ok(parameters);
        }
        let body = read_json_text(request, MAX_BODY, BODY_TIME).await?;
        parameters.add_body(&body)?;
        Ok(parameters)
    }
}

/// Reads a body of at most `max` bytes as JSON; an empty one is the default value. Query parameters are refused.
pub(crate) async fn read_json<T: DeserializeOwned + Default>(
    request: Request,
    max: usize,
    time: Duration,
) -> CallResult<T> {
    Parameters::of_query(request.uri().query().unwrap_or_default())?.only(&[])?;
    let body = read_json_text(request, max, time).await?;
    if body.trim_ascii().is_empty() {
        return Ok(T::default());
    }
    serde_json::from_slice(&body).map_err(|error| Failure::bad_request(format!("the body: {error}")))
}

async fn read_json_text(request: Request, max: usize, time: Duration) -> CallResult<Bytes> {
    let media = request.headers().get(CONTENT_TYPE).map(|value| value.as_bytes().to_ascii_lowercase());
    let body = read(request.into_body(), max, time).await?;
    let is_json = media.as_deref().is_none_or(|media| media.starts_with(b"application/json"));
    if !is_json && !body.is_empty() {
        let detail =
            "a body must be JSON (Content-Type: application/json); or give query parameters and no body";
        return Err(Failure::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
    }
    Ok(body)
}

/// Reads a body of at most `max` bytes.
pub(crate) async fn read(body: Body, max: usize, time: Duration) -> CallResult<Bytes> {
    match timeout(time, Limited::new(body, max).collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
            let detail = format!("the body has more than {max} bytes");
            Err(Failure::new(StatusCode::PAYLOAD_TOO_LARGE, detail))
        }
        Ok(Err(_)) => Err(Failure::bad_request("the connection was cut in the middle of the body")),
        Err(_) => {
            let detail = format!("the body was not received within {} seconds", time.as_secs());
            Err(Failure::new(StatusCode::REQUEST_TIMEOUT, detail))
        }
    }
}

/// Returns a whole number of any size in digits.
fn digits(number: &serde_json::Number) -> Option<String> {
    if number.is_i64() || number.is_u64() {
        return Some(number.to_string());
    }
    number.as_f64().filter(|float| float.fract() == 0.0).map(|float| format!("{float:.0}"))
}

/// Undoes percent-encoding (RFC 3986 section 2.1), and refuses what is malformed instead of guessing. A `+` is literal: it
/// stands for a space only in HTML forms, and accounts such as `alice+tag@example.org` have one.
fn decode(text: &str) -> CallResult<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
                let high = digit(rest.next());
                let low = digit(rest.next());
                let code = high.zip(low).and_then(|(high, low)| u8::try_from(high * 16 + low).ok());
                code.ok_or_else(|| Failure::bad_request("the query has a % that no two hex digits follow"))?
            }
            other => other,
        });
    }
    String::from_utf8(bytes).map_err(|_| Failure::bad_request("the query is not UTF-8 once decoded"))
}

#[cfg(test)]
mod tests;
