//! The JMAP session of an account, found the way a client finds it (RFC 8620 section 2.2).
//!
//! What must never happen here: the password follows a redirect to another server.

use credentials::sasl;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{AUTHORIZATION, CONNECTION, HOST, HeaderValue, LOCATION};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::time::{Instant, timeout_at};
use types::fault::Fault;
use types::protocol::Protocol;
use types::secret::Secret;
use upstream::Backend;

use super::login::{Account, HOSTNAME, client_identity, explain};
use super::result::TestResult;
use crate::probe::fault_text::describe;

/// Every JMAP server responds here, if only with a redirect to its session.
const WELL_KNOWN: &str = "/.well-known/jmap";
const MAX_REDIRECTS: usize = 3;
/// Bytes of a session object: far more than any server sends.
const MAX_SESSION: usize = 1 << 20;

/// The members that tell a JMAP session from any other page.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct JmapSession {
    username: String,
    api_url: String,
}

/// Requests the session, and follows redirects on the same server.
pub(super) async fn test_session(backend: &Backend, account: &Account<'_>) -> TestResult {
    let deadline = Instant::now() + backend.timeout();
    let mut path = WELL_KNOWN.to_owned();
    for _ in 0..=MAX_REDIRECTS {
        // Boxed for clippy::large_futures, as everything below that contains a TLS handshake.
        let response = match timeout_at(deadline, Box::pin(get(backend, account, &path, deadline))).await {
            Ok(Ok(response)) => response,
            Ok(Err(reason)) => return TestResult::Failed(reason),
            Err(_) => return TestResult::Failed(describe(Fault::TimedOut).to_owned()),
        };
        // A redirect is sent without authentication too: only the session shows that the login was accepted.
        if !response.status().is_redirection() {
            return match read_session(&path, response, deadline).await {
                Ok(JmapSession { username, api_url }) => {
                    TestResult::Passed(format!("found the session of {username}; its API is at {api_url}"))
                }
                Err(reason) => TestResult::Failed(reason),
            };
        }
        let status = response.status();
        let location = response.headers().get(LOCATION);
        match location.and_then(|location| local_path(location, server_name(backend))) {
            Some(next) => path = next,
            None => {
                let target = match location {
                    Some(location) => {
                        format!("{location:?}, which is another server: clients would bypass the proxy")
                    }
                    None => "nowhere: the Location field is missing".to_owned(),
                };
                return TestResult::Failed(format!("{path}: {status} redirects to {target}"));
            }
        }
    }
    TestResult::Failed(format!("{path}: more than {MAX_REDIRECTS} redirects: check for a redirect loop"))
}

async fn read_session(
    path: &str,
    response: Response<Incoming>,
    deadline: Instant,
) -> Result<JmapSession, String> {
    let status = response.status();
    let advice = match status {
        StatusCode::OK => None,
        StatusCode::UNAUTHORIZED => {
            Some("check the password, and whether the destination accepts Basic authentication")
        }
        StatusCode::NOT_FOUND => Some("the account's destination has no JMAP at this path"),
        _ => Some("see the logs of the proxy and of the destination"),
    };
    if let Some(advice) = advice {
        return Err(format!("{path}: {status}: {advice}"));
    }
    match timeout_at(deadline, Limited::new(response.into_body(), MAX_SESSION).collect()).await {
        Ok(Ok(body)) => serde_json::from_slice(&body.to_bytes()).map_err(|_| {
            format!("{path}: {status}, but the response is not a JMAP session: check which rule of [http] matches the path")
        }),
        Ok(Err(_)) => Err(describe(Fault::Closed).to_owned()),
        Err(_) => Err(describe(Fault::TimedOut).to_owned()),
    }
}

/// Sends one request on a new connection.
async fn get(
    backend: &Backend,
    account: &Account<'_>,
    path: &str,
    deadline: Instant,
) -> Result<Response<Incoming>, String> {
    let stream = match Box::pin(backend.connect(Protocol::Http, &client_identity(), deadline)).await {
        Ok(connected) => connected.stream,
        Err(fault) => return Err(explain(backend, Protocol::Http, fault).await),
    };
    let connection_error = |error: hyper::Error| format!("{path}: {error}");
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(connection_error)?;
    // The task ends when the body has been read. Its errors are reported by the body too.
    tokio::spawn(connection);
    let request = Request::get(path)
        .header(HOST, server_name(backend))
        .header(CONNECTION, "close")
        .header(AUTHORIZATION, basic(account)?)
        .body(Empty::<Bytes>::new())
        .map_err(|error| format!("{path}: {error}"))?;
    sender.send_request(request).await.map_err(connection_error)
}

fn server_name(backend: &Backend) -> &str {
    backend.destination().tls_server_name.as_deref().unwrap_or(HOSTNAME)
}

/// Returns the value of `Authorization` (RFC 7617).
fn basic(account: &Account<'_>) -> Result<HeaderValue, String> {
    let mut pair = Secret::with_capacity(account.user.len() + account.password.len() + 1);
    pair.extend(account.user.as_bytes());
    pair.extend(b":");
    pair.extend(account.password.expose());
    let mut value = Secret::with_capacity(pair.len() * 2 + 16);
    value.extend(b"Basic ");
    sasl::encode_into(&mut value, pair.expose());
    let mut value = HeaderValue::from_bytes(value.expose())
        .map_err(|_| "the account or its password cannot be sent over HTTP".to_owned())?;
    value.set_sensitive(true);
    Ok(value)
}

/// Returns the path that a `Location` names if it is on the server `name`.
fn local_path(location: &HeaderValue, name: &str) -> Option<String> {
    let location = location.to_str().ok()?;
    // "//host/path" names another server.
    if location.starts_with('/') && !location.starts_with("//") {
        return Some(location.to_owned());
    }
    let address = location.strip_prefix("https://")?;
    let (authority, path) = address.split_at(address.find('/')?);
    let host = match authority.rsplit_once(':') {
        Some((host, _)) => host,
        None => authority,
    };
    host.eq_ignore_ascii_case(name).then(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_to_other_servers_are_refused() {
        for (location, path) in [
            ("/jmap/", Some("/jmap/")),
            ("https://mail.example.org/jmap/session", Some("/jmap/session")),
            ("https://MAIL.example.org:443/jmap", Some("/jmap")),
            ("https://elsewhere.example.org/jmap", None),
            ("https://mail.example.org.elsewhere.example/jmap", None),
            ("https://mail.example.org@elsewhere.example/jmap", None),
            ("http://mail.example.org/jmap", None),
            ("//elsewhere.example.org/jmap", None),
            ("https://mail.example.org", None),
            ("jmap", None),
        ] {
            let found = local_path(&HeaderValue::from_static(location), "mail.example.org");
            assert_eq!(found.as_deref(), path, "{location}");
        }
    }
}
