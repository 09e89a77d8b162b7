//! The JMAP session of an account, as a client finds it (RFC 8620 section 2.2).

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

use super::Ended;
use super::login::{Account, HOSTNAME, client_identity, reason};
use crate::probe::words;

/// Where every JMAP server has an answer, if only that the session is elsewhere.
const WELL_KNOWN: &str = "/.well-known/jmap";
/// Answers on the way that point elsewhere.
const MAX_REDIRECTS: usize = 3;
/// Bytes of a session: far more than any has.
const MAX_SESSION: usize = 1 << 20;

/// What tells a session from any other page.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Session {
    username: String,
    api_url: String,
}

/// Asks for the session, and follows where the answer points to.
pub(super) async fn session(backend: &Backend, account: &Account<'_>) -> Ended {
    let deadline = Instant::now() + backend.timeout();
    let mut path = WELL_KNOWN.to_owned();
    for _ in 0..=MAX_REDIRECTS {
        let answer = match timeout_at(deadline, Box::pin(get(backend, account, &path, deadline))).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(why)) => return Ended::Failed(why),
            Err(_) => return Ended::Failed(words::of(Fault::TimedOut).to_owned()),
        };
        let status = answer.status();
        if !status.is_redirection() {
            return judged(&path, answer, deadline).await;
        }
        // A redirect is given to anybody: only the session itself shows that the login was right.
        match answer.headers().get(LOCATION).and_then(|place| path_of(place, name(backend))) {
            Some(next) => path = next,
            None => {
                let place =
                    answer.headers().get(LOCATION).map(|place| format!("{place:?}")).unwrap_or_default();
                return Ended::Failed(format!(
                    "{path}: {status} to {place}, which is not this server: clients would leave the proxy"
                ));
            }
        }
    }
    Ended::Failed(format!("{path}: more than {MAX_REDIRECTS} redirects: do they go round in a circle?"))
}

async fn judged(path: &str, answer: Response<Incoming>, deadline: Instant) -> Ended {
    let status = answer.status();
    match status {
        StatusCode::OK => {}
        StatusCode::UNAUTHORIZED => {
            return Ended::Failed(format!(
                "{path}: {status}: is the password right, and does the destination take Basic?"
            ));
        }
        StatusCode::NOT_FOUND => {
            return Ended::Failed(format!("{path}: {status}: the account's destination has no JMAP there"));
        }
        _ => {
            return Ended::Failed(format!(
                "{path}: {status}: see the log of the proxy and of the destination"
            ));
        }
    }
    match timeout_at(deadline, Limited::new(answer.into_body(), MAX_SESSION).collect()).await {
        Ok(Ok(body)) => match serde_json::from_slice::<Session>(&body.to_bytes()) {
            Ok(Session { username, api_url }) => {
                Ended::Ok(format!("the session of {username}; its API is at {api_url}"))
            }
            Err(_) => Ended::Failed(format!(
                "{path}: {status}, and the answer is no JMAP session: which rule of [http] does it follow?"
            )),
        },
        Ok(Err(_)) => Ended::Failed(words::of(Fault::Closed).to_owned()),
        Err(_) => Ended::Failed(words::of(Fault::TimedOut).to_owned()),
    }
}

/// One request, on a connection of its own.
async fn get(
    backend: &Backend,
    account: &Account<'_>,
    path: &str,
    deadline: Instant,
) -> Result<Response<Incoming>, String> {
    let stream = match Box::pin(backend.connect(Protocol::Http, &client_identity(), deadline)).await {
        Ok(connected) => connected.stream,
        Err(fault) => return Err(reason(backend, Protocol::Http, fault).await),
    };
    let broken = |error: hyper::Error| format!("{path}: {error}");
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    // Ends with the answer's body; its errors are the body's.
    tokio::spawn(connection);
    let request = Request::get(path)
        .header(HOST, name(backend))
        .header(CONNECTION, "close")
        .header(AUTHORIZATION, basic(account)?)
        .body(Empty::<Bytes>::new())
        .map_err(|error| format!("{path}: {error}"))?;
    sender.send_request(request).await.map_err(broken)
}

/// What the server is called.
fn name(backend: &Backend) -> &str {
    backend.destination().tls_server_name.as_deref().unwrap_or(HOSTNAME)
}

/// RFC 7617.
fn basic(account: &Account<'_>) -> Result<HeaderValue, String> {
    let mut pair = Secret::with_capacity(account.user.len() + account.password.len() + 1);
    for part in [account.user.as_bytes(), b":", account.password.expose()] {
        pair.extend(part);
    }
    let mut value = Secret::with_capacity(pair.len() * 2 + 16);
    value.extend(b"Basic ");
    sasl::encode_into(&mut value, pair.expose());
    let mut value = HeaderValue::from_bytes(value.expose())
        .map_err(|_| "the account or its password cannot be sent over HTTP".to_owned())?;
    value.set_sensitive(true);
    Ok(value)
}

/// The path on this server that a `Location` names: a path, or a URL of `name`'s.
fn path_of(place: &HeaderValue, name: &str) -> Option<String> {
    let place = place.to_str().ok()?;
    if place.starts_with('/') && !place.starts_with("//") {
        return Some(place.to_owned());
    }
    let rest = place.strip_prefix("https://")?;
    let (authority, path) = rest.split_at(rest.find('/')?);
    let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
    host.eq_ignore_ascii_case(name).then(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_goes_to_this_server_alone() {
        for (place, path) in [
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
            let found = path_of(&HeaderValue::from_static(place), "mail.example.org");
            assert_eq!(found.as_deref(), path, "{place}");
        }
    }
}
