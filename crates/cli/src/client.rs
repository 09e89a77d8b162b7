//! The client of the management API: one connection for each call, one answer, a bound on everything.
//!
//! What must never happen here: the token sent to a server whose certificate was not verified; an answer of
//! unbounded size; a wait without an end.

mod failure;
mod target;

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

pub(crate) use failure::Failure;
pub(crate) use target::{Target, reachable};

/// One call.
pub(crate) struct Call<'a> {
    method: Method,
    path: &'a str,
    query: String,
    accept: &'a str,
    body: Vec<u8>,
    media: Option<&'a str>,
    patience: Duration,
}

/// Asks one proxy.
pub(crate) struct Client {
    target: Target,
}

/// Until TCP and TLS stand.
const CONNECT_TIME: Duration = Duration::from_secs(10);
/// Until an ordinary answer is complete. A kick waits eight seconds for its sessions to end.
const ANSWER_TIME: Duration = Duration::from_secs(60);
/// Until an import or an export is: the API gives the body of an import five minutes.
pub(crate) const BULK_TIME: Duration = Duration::from_secs(600);
/// Bytes of an answer that is held in memory: the largest page, ten thousand of the longest accounts.
const MAX_ANSWER: usize = 32 << 20;

// === impl Call ===

impl<'a> Call<'a> {
    pub(crate) fn new(method: Method, path: &'a str) -> Self {
        Self {
            method,
            path,
            query: String::new(),
            accept: "application/json",
            body: Vec::new(),
            media: None,
            patience: ANSWER_TIME,
        }
    }

    /// Adds a parameter.
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

    /// Adds a parameter, where there is a value.
    pub(crate) fn with_some(self, name: &str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// A body, which may take its time.
    pub(crate) fn sending(mut self, media: &'a str, body: Vec<u8>) -> Self {
        (self.media, self.body, self.patience) = (Some(media), body, BULK_TIME);
        self
    }

    /// What is wanted in return, in place of JSON.
    pub(crate) fn accepting(mut self, media: &'a str) -> Self {
        self.accept = media;
        self
    }
}

// === impl Client ===

impl Client {
    pub(crate) const fn new(target: Target) -> Self {
        Self { target }
    }

    /// The answer to `call`, read.
    pub(crate) async fn ask<T: DeserializeOwned>(&self, call: Call<'_>) -> Result<T, Failure> {
        let body = self.body(call).await?;
        serde_json::from_slice(&body)
            .map_err(|error| self.strange(format!("its answer is not as expected: {error}")))
    }

    /// The answer to `call`, as it is.
    pub(crate) async fn body(&self, call: Call<'_>) -> Result<Vec<u8>, Failure> {
        let patience = call.patience;
        let asked = async {
            let answer = self.open(call).await?;
            whole(answer).await
        };
        timeout(patience, asked).await.map_err(|_| self.late(patience))?
    }

    /// Whom it asks, for people.
    pub(crate) fn authority(&self) -> String {
        self.target.authority()
    }

    /// The status of a call that may well be answered by a problem.
    pub(crate) async fn status(&self, call: Call<'_>) -> Result<StatusCode, Failure> {
        let patience = call.patience;
        let answered = timeout(patience, self.send(call)).await.map_err(|_| self.late(patience))?;
        Ok(answered?.status())
    }

    /// The answer to `call`, whose body is still to come.
    pub(crate) async fn open(&self, call: Call<'_>) -> Result<Response<Incoming>, Failure> {
        let answer = self.send(call).await?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let status = answer.status();
        let body = whole(answer).await?;
        Err(match serde_json::from_slice(&body) {
            Ok(problem) => Failure::Refused(problem),
            Err(_) => self.strange(format!("it answered {status} and no reason")),
        })
    }

    async fn send(&self, call: Call<'_>) -> Result<Response<Incoming>, Failure> {
        let stream =
            timeout(CONNECT_TIME, Box::pin(self.connect())).await.map_err(|_| self.late(CONNECT_TIME))??;
        let cut = |error: hyper::Error| self.strange(format!("the connection broke: {error}"));
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(cut)?;
        // Ends with the answer's body; its errors are the body's.
        tokio::spawn(connection);
        let mut request = Request::builder()
            .method(call.method)
            .uri(format!("{}{}", call.path, call.query))
            .header(HOST, self.target.authority())
            .header(AUTHORIZATION, self.target.authorization())
            .header(ACCEPT, call.accept)
            .header(CONNECTION, "close");
        // For the audit log: who sat at the keyboard. Nobody verifies it.
        let user = ["SUDO_USER", "USER"].iter().find_map(|name| std::env::var(name).ok());
        let is_plain = |user: &String| !user.is_empty() && user.bytes().all(|byte| byte.is_ascii_graphic());
        if let Some(user) = user.filter(is_plain) {
            request = request.header(FROM, user);
        }
        if let Some(media) = call.media {
            request = request.header(CONTENT_TYPE, media);
        }
        let request = request
            .body(Full::new(Bytes::from(call.body)))
            .map_err(|error| Failure::Usage(format!("this cannot be asked: {error}")))?;
        sender.send_request(request).await.map_err(cut)
    }

    async fn connect(&self) -> Result<Stream, Failure> {
        let (host, port) = self.target.address();
        let tcp = TcpStream::connect((host, port)).await.map_err(|error| {
            self.strange(format!("{error}; is the proxy running, and is this its [admin] address?"))
        })?;
        Stream::plain(tcp, Vec::new())
            .connect(self.target.connector(), host)
            .await
            .map_err(|error| Failure::Unreachable(self.target.authority(), self.target.explain(&error)))
    }

    fn strange(&self, why: String) -> Failure {
        Failure::Unreachable(self.target.authority(), why)
    }

    fn late(&self, patience: Duration) -> Failure {
        self.strange(format!("no answer within {} seconds", patience.as_secs()))
    }
}

/// Runs one command's questions to their end.
pub(crate) fn block_on<T>(asking: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Failure::Usage(format!("no runtime: {error}")))?.block_on(asking)
}

/// The whole body, if it is not too large.
async fn whole(answer: Response<Incoming>) -> Result<Vec<u8>, Failure> {
    let mut body = answer.into_body();
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Failure::Broken(error.to_string()))?;
        if let Some(data) = frame.data_ref() {
            if bytes.len() + data.len() > MAX_ANSWER {
                return Err(Failure::Broken(format!("it is larger than {MAX_ANSWER} bytes")));
            }
            bytes.extend_from_slice(data);
        }
    }
    Ok(bytes)
}
