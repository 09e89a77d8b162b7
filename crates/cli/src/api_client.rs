//! The client of the management API: one connection and one response per call, everything bounded.
//!
//! What must never happen here: the token is sent to a server whose certificate was not verified; a response of
//! unbounded size is read; a wait has no end.

mod endpoint;
mod error;

use std::future::Future;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, AUTHORIZATION, CONNECTION, CONTENT_TYPE, FROM, HOST};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tls::Stream;
use tokio::net::TcpStream;
use tokio::time::timeout;

pub(crate) use endpoint::{ApiEndpoint, connectable, load_plan};
pub(crate) use error::CommandError;

/// One call of the API.
pub(crate) struct ApiCall<'a> {
    method: Method,
    path: &'a str,
    query: String,
    accept: &'a str,
    body: Vec<u8>,
    content_type: Option<&'a str>,
    time_limit: Duration,
}

/// Calls the API of one proxy.
pub(crate) struct ApiClient {
    endpoint: ApiEndpoint,
}

/// Limit for the TCP connection and the TLS handshake together.
const CONNECT_TIME: Duration = Duration::from_secs(10);
/// Limit for an ordinary response. A kick waits up to eight seconds for its sessions to end.
const RESPONSE_TIME: Duration = Duration::from_secs(60);
/// Limit for an import or an export. The API allows five minutes for the body of an import.
pub(crate) const BULK_TIME: Duration = Duration::from_secs(600);
/// Bytes of a response that are held in memory: the largest page has ten thousand of the longest accounts.
const MAX_RESPONSE: usize = 32 << 20;

// === impl ApiCall ===

impl<'a> ApiCall<'a> {
    pub(crate) fn new(method: Method, path: &'a str) -> Self {
        Self {
            method,
            path,
            query: String::new(),
            accept: "application/json",
            body: Vec::new(),
            content_type: None,
            time_limit: RESPONSE_TIME,
        }
    }

    pub(crate) fn get(path: &'a str) -> Self {
        Self::new(Method::GET, path)
    }

    /// Adds a query parameter.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.query.push(if self.query.is_empty() { '?' } else { '&' });
        self.query.push_str(name);
        self.query.push('=');
        for &byte in value.as_bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                self.query.push(char::from(byte));
            } else {
                self.query.push_str(&format!("%{byte:02X}"));
            }
        }
        self
    }

    /// Adds a query parameter if there is a value.
    pub(crate) fn with_some(self, name: &str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// Adds a body, and extends the time limit for it.
    pub(crate) fn sending(mut self, content_type: &'a str, body: Vec<u8>) -> Self {
        self.content_type = Some(content_type);
        self.body = body;
        self.time_limit = BULK_TIME;
        self
    }

    /// Sets the media type of the response, which is JSON otherwise.
    pub(crate) fn accepting(mut self, media_type: &'a str) -> Self {
        self.accept = media_type;
        self
    }
}

// === impl ApiClient ===

impl ApiClient {
    pub(crate) const fn new(endpoint: ApiEndpoint) -> Self {
        Self { endpoint }
    }

    /// Returns the JSON response to `call`.
    pub(crate) async fn json<T: DeserializeOwned>(&self, call: ApiCall<'_>) -> Result<T, CommandError> {
        let body = self.body(call).await?;
        serde_json::from_slice(&body).map_err(|error| {
            self.unreachable(format!(
                "its response cannot be understood ({error}); is it a pointsman of the same version?"
            ))
        })
    }

    /// Returns the body of the response to `call`.
    pub(crate) async fn body(&self, call: ApiCall<'_>) -> Result<Vec<u8>, CommandError> {
        let time_limit = call.time_limit;
        let exchange = async {
            let response = self.open(call).await?;
            read_body(response).await
        };
        timeout(time_limit, exchange).await.map_err(|_| self.timed_out(time_limit))?
    }

    /// Returns `HOST:PORT` of the API, for people.
    pub(crate) fn authority(&self) -> String {
        self.endpoint.authority()
    }

    /// Returns the status of the response to `call`; an error status is not an error here.
    pub(crate) async fn status(&self, call: ApiCall<'_>) -> Result<StatusCode, CommandError> {
        let time_limit = call.time_limit;
        let response = timeout(time_limit, self.send(call)).await.map_err(|_| self.timed_out(time_limit))?;
        Ok(response?.status())
    }

    /// Returns the successful response to `call`, with its body not read yet.
    pub(crate) async fn open(&self, call: ApiCall<'_>) -> Result<Response<Incoming>, CommandError> {
        let response = self.send(call).await?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let body = read_body(response).await?;
        Err(match serde_json::from_slice(&body) {
            Ok(problem) => CommandError::Refused(problem),
            Err(_) => self.unreachable(format!(
                "it responded {status} without the details that the API gives; is this the [admin] address?"
            )),
        })
    }

    async fn send(&self, call: ApiCall<'_>) -> Result<Response<Incoming>, CommandError> {
        // Boxed: the TLS connector's future is too large for clippy::large_futures.
        let stream = timeout(CONNECT_TIME, Box::pin(self.connect()))
            .await
            .map_err(|_| self.timed_out(CONNECT_TIME))??;
        let connection_error =
            |error: hyper::Error| self.unreachable(format!("the connection failed: {error}"));
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(connection_error)?;
        // The task ends when the body has been read. Its errors are reported by the body too.
        tokio::spawn(connection);
        let request = self.request(call)?;
        sender.send_request(request).await.map_err(connection_error)
    }

    fn request(&self, call: ApiCall<'_>) -> Result<Request<Full<Bytes>>, CommandError> {
        let mut request = Request::builder()
            .method(call.method)
            .uri(format!("{}{}", call.path, call.query))
            .header(HOST, self.endpoint.authority())
            .header(AUTHORIZATION, self.endpoint.authorization())
            .header(ACCEPT, call.accept)
            .header(CONNECTION, "close");
        if let Some(user) = local_user() {
            request = request.header(FROM, user);
        }
        if let Some(content_type) = call.content_type {
            request = request.header(CONTENT_TYPE, content_type);
        }
        request
            .body(Full::new(Bytes::from(call.body)))
            .map_err(|error| CommandError::Usage(format!("the request cannot be built: {error}")))
    }

    async fn connect(&self) -> Result<Stream, CommandError> {
        let (host, port) = self.endpoint.address();
        let tcp = TcpStream::connect((host, port)).await.map_err(|error| {
            self.unreachable(format!("{error}; is the proxy running, and is this its [admin] address?"))
        })?;
        Stream::plain(tcp, Vec::new())
            .connect(self.endpoint.connector(), host)
            .await
            .map_err(|error| self.unreachable(self.endpoint.tls_error_text(&error)))
    }

    fn unreachable(&self, reason: String) -> CommandError {
        CommandError::Unreachable(self.endpoint.authority(), reason)
    }

    fn timed_out(&self, time_limit: Duration) -> CommandError {
        self.unreachable(format!("no response within {} seconds", time_limit.as_secs()))
    }
}

/// Runs `work` on a runtime of its own.
pub(crate) fn block_on<T>(work: impl Future<Output = Result<T, CommandError>>) -> Result<T, CommandError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CommandError::Usage(format!("the async runtime cannot be started: {error}")))?;
    runtime.block_on(work)
}

/// Returns the local user's name for the audit log. The proxy records it but cannot verify it.
fn local_user() -> Option<String> {
    let user = ["SUDO_USER", "USER"].iter().find_map(|name| std::env::var(name).ok())?;
    let is_plain = !user.is_empty() && user.bytes().all(|byte| byte.is_ascii_graphic());
    is_plain.then_some(user)
}

/// Reads a body to its end, unless it is too large.
async fn read_body(response: Response<Incoming>) -> Result<Vec<u8>, CommandError> {
    let mut body = response.into_body();
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| CommandError::Incomplete(error.to_string()))?;
        if let Some(data) = frame.data_ref() {
            if bytes.len() + data.len() > MAX_RESPONSE {
                return Err(CommandError::Incomplete(format!("it is larger than {MAX_RESPONSE} bytes")));
            }
            bytes.extend_from_slice(data);
        }
    }
    Ok(bytes)
}
