//! The response's direction of an exchange.

use std::sync::atomic::Ordering;
use std::time::Duration;

use http_proto::{Framing, ResponseHead};

use crate::backend::{self, NextHead, ResponseBody};
use crate::body::{Broken, Piece, Source};
use crate::client::Client;
use crate::outcome::ExchangeFailure;
use crate::watch::{Progress, Watch};

/// The response's direction, towards one client.
pub(crate) struct Download<'d, C> {
    pub(crate) progress: &'d Progress,
    pub(crate) watch: &'d Watch<'d>,
    pub(crate) client: &'d mut C,
    /// Whether the request asks for an upgrade.
    pub(crate) is_upgrade: bool,
}

/// How the response's direction ended.
pub(crate) enum DownloadEnd<'a> {
    Whole { status: u16, keeps_alive: bool, idle_limit: Option<Duration> },
    Upgraded(ResponseHead, ResponseBody<'a>),
    Failed(ExchangeFailure),
    Cut(&'static str),
}

/// How many interim responses may come before the final one.
const MAX_INTERIM: usize = 16;

// === impl Download ===

impl<C: Client> Download<'_, C> {
    /// Forwards the response.
    pub(crate) async fn run(mut self, response: backend::Download<'_>) -> DownloadEnd<'_> {
        match self.relay(response).await {
            Ok(end) | Err(end) => end,
        }
    }

    /// The steps of [`Download::run`]; an end before the response is whole comes as `Err`.
    async fn relay<'a>(
        &mut self,
        response: backend::Download<'a>,
    ) -> Result<DownloadEnd<'a>, DownloadEnd<'a>> {
        let (head, mut body) = self.final_head(response).await?;
        self.progress.note();
        let is_opened = head.status == 101 || (head.status == 200 && matches!(body, ResponseBody::H2(_)));
        if self.is_upgrade && is_opened {
            return Ok(DownloadEnd::Upgraded(head, body));
        }
        if head.status == 101 {
            return Err(DownloadEnd::Failed(ExchangeFailure::BadAnswer("101 without an upgrade")));
        }
        self.delay_refusal(head.status).await?;
        let status = head.status;
        // A response that ends with its connection leaves none to be used again.
        let keeps_alive = head.keeps_alive && head.framing != Framing::UntilClose;
        let idle_limit = keep_alive_timeout(&head);
        let unsent = self.begin(head, &mut body).await?;
        self.pass_body(unsent, &mut body).await?;
        match self.progress.writing(self.client.finish()).await {
            Ok(()) => Ok(DownloadEnd::Whole { status, keeps_alive, idle_limit }),
            Err(Broken::Malformed(_)) => {
                Err(DownloadEnd::Cut("the backend's body is shorter than it announced"))
            }
            Err(_) => Err(client_left()),
        }
    }

    /// Reads the final response's head; interim responses are forwarded.
    async fn final_head<'a>(
        &mut self,
        mut response: backend::Download<'a>,
    ) -> Result<(ResponseHead, ResponseBody<'a>), DownloadEnd<'a>> {
        for _ in 0..=MAX_INTERIM {
            let head = tokio::select! {
                head = response.head() => head,
                // Otherwise a client could keep a backend busy with requests that it has cancelled.
                () = self.left() => return Err(client_left()),
            };
            match head {
                Err(broken) => {
                    return Err(DownloadEnd::Failed(ExchangeFailure::before_response(&broken)));
                }
                Ok((head, NextHead::Final(body))) => return Ok((head, body)),
                Ok((head, NextHead::Interim(again))) => {
                    self.progress.note();
                    let head = stripped(head);
                    if self.progress.writing(self.client.interim(&head)).await.is_err() {
                        return Err(client_left());
                    }
                    response = again;
                }
            }
        }
        Err(DownloadEnd::Failed(ExchangeFailure::BadAnswer("too many interim responses")))
    }

    /// Resolves when the client is gone, and no verdict on its credential is to come: a guess counts although its client
    /// does not wait.
    async fn left(&mut self) {
        self.client.left().await;
        if self.watch.awaits_verdict() {
            tokio::time::sleep(self.watch.verdict_timeout).await;
        }
    }

    /// Delays the response to refused credentials.
    async fn delay_refusal<'a>(&mut self, status: u16) -> Result<(), DownloadEnd<'a>> {
        let delay = (self.watch.record_status)(status);
        if delay.is_zero() {
            return Ok(());
        }
        tokio::select! {
            () = tokio::time::sleep(delay) => {
                self.progress.note();
                Ok(())
            }
            () = self.client.left() => Err(client_left()),
        }
    }

    /// Sends the head, with the part of the body that came with it: one write wakes the client once. Returns what was
    /// read of the body and not sent.
    async fn begin<'a>(
        &mut self,
        head: ResponseHead,
        body: &mut ResponseBody<'_>,
    ) -> Result<Option<Result<Option<Piece>, Broken>>, DownloadEnd<'a>> {
        let streams = is_event_stream(&head);
        // A refusal that does not wait for the request ends the connection, so the client is told.
        let last = head.status >= 400 && !self.progress.is_sent.load(Ordering::Acquire);
        let ready = tokio::select! {
            biased;
            piece = body.piece() => Some(piece),
            () = std::future::ready(()) => None,
        };
        let (first, unsent) = match ready {
            Some(Ok(Some(Piece::Data(data)))) => (Some(data), None),
            other => (None, other),
        };
        if let Some(data) = &first {
            self.watch.moved(0, data.len() as u64);
        }
        match self.progress.writing(self.client.begin(stripped(head), first, last)).await {
            Ok(()) => self.progress.note(),
            Err(Broken::Malformed(_)) => {
                return Err(DownloadEnd::Cut("the backend's body is longer than it announced"));
            }
            Err(_) => return Err(client_left()),
        }
        if streams {
            self.progress.event_stream.notify_one();
        }
        Ok(unsent)
    }

    /// Forwards the body to its end, beginning with `unsent`.
    async fn pass_body<'a>(
        &mut self,
        mut unsent: Option<Result<Option<Piece>, Broken>>,
        body: &mut ResponseBody<'_>,
    ) -> Result<(), DownloadEnd<'a>> {
        loop {
            let piece = match unsent.take() {
                Some(piece) => piece,
                None => tokio::select! {
                    piece = body.piece() => piece,
                    () = self.client.left() => return Err(client_left()),
                },
            };
            match piece {
                Ok(Some(piece)) => {
                    self.progress.note();
                    self.watch.moved(0, piece.len());
                    if self.progress.writing(self.client.put(piece)).await.is_err() {
                        return Err(client_left());
                    }
                    self.progress.note();
                }
                Ok(None) => return Ok(()),
                Err(_) => return Err(DownloadEnd::Cut("the backend closed within its response")),
            }
        }
    }
}

const fn client_left<'a>() -> DownloadEnd<'a> {
    DownloadEnd::Cut("the client left")
}

/// Removes the fields that are meant for the backend's connection only.
fn stripped(mut head: ResponseHead) -> ResponseHead {
    head.fields.strip_hop_by_hop();
    // RFC 9110 section 8.6: a length where there is never a body, which some clients would wait for.
    if head.status < 200 || head.status == 204 {
        head.fields.remove("content-length");
    }
    head
}

/// Returns the `timeout` parameter of `Keep-Alive` (RFC 2068 section 19.7.1.1), as Apache and Node send it.
fn keep_alive_timeout(head: &ResponseHead) -> Option<Duration> {
    head.fields.members("keep-alive").find_map(|member| {
        let (name, value) = std::str::from_utf8(member).ok()?.split_once('=')?;
        let is_timeout = name.trim().eq_ignore_ascii_case("timeout");
        let seconds = value.trim().trim_matches('"').parse().ok().filter(|_| is_timeout)?;
        Some(Duration::from_secs(seconds))
    })
}

/// Returns whether the response is a stream of server-sent events, which does not end by itself.
fn is_event_stream(head: &ResponseHead) -> bool {
    head.fields.get("content-type").is_some_and(|value| {
        let kind = value.split(|&byte| byte == b';').next().unwrap_or_default();
        kind.trim_ascii().eq_ignore_ascii_case(b"text/event-stream")
    })
}
