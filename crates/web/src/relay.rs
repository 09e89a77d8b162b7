//! One exchange under way: the request's body up and the response down, at the same time.
//!
//! A response may come before the request is whole (a refusal, or a response that streams), so neither direction waits
//! for the other. What must never happen: a cut response that looks whole; a connection that is used again after
//! either side was left in the middle of a message.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;

use http_proto::RequestHead;
use sessions::EndReason;
use tokio::time::timeout;

use crate::backend::BackendConnection;
use crate::body::{Broken, Piece, Source};
use crate::client::Client;
use crate::download::{Download, DownloadEnd};
use crate::outcome::{ExchangeFailure, ExchangeOutcome};
use crate::upload::{UploadEnd, upload};
use crate::watch::{Progress, Watch};

/// Why an exchange is stopped before its response is whole.
enum Stop {
    Failure(ExchangeFailure),
    ClientLeft,
    Ended(EndReason),
}

/// How long ending an event stream may take.
const FINISH_TIMEOUT: Duration = Duration::from_secs(2);

/// Carries one exchange. `https`: whether the backend's connection is encrypted. `prefix`: what was read of the body
/// before.
pub(crate) async fn exchange<S: Source, C: Client>(
    connection: &mut BackendConnection,
    head: &RequestHead,
    https: bool,
    prefix: Vec<Piece>,
    source: &mut S,
    client: &mut C,
    watch: &Watch<'_>,
) -> ExchangeOutcome {
    let (mut request, response) = match connection.call(head, https).await {
        Ok(call) => call,
        Err(broken) => return ExchangeOutcome::Failed(ExchangeFailure::before_response(&broken)),
    };
    let progress = Progress::begin();
    // An upgrade has no body, and keeps its direction open.
    let is_upgrade = head.upgrade.is_some();
    let ended = {
        let upload = upload(&progress, watch, prefix, source, &mut request, is_upgrade);
        let download = Download { progress: &progress, watch, client: &mut *client, is_upgrade };
        both_ways(&progress, watch, pin!(upload), pin!(download.run(response))).await
    };
    match ended {
        Ok(DownloadEnd::Whole { status, keeps_alive, idle_limit }) => {
            let is_sent = progress.is_sent.load(Ordering::Acquire) && request.is_finished();
            drop(request);
            let reusable = is_sent && keeps_alive && connection.is_clear();
            ExchangeOutcome::Whole { status, reusable, unread: !source.is_finished(), idle_limit }
        }
        Ok(DownloadEnd::Upgraded(head, body)) => {
            let halves = body.into_stream().zip(request.into_stream());
            ExchangeOutcome::Upgraded(Box::new(head), halves)
        }
        Ok(DownloadEnd::Failed(failure)) => ExchangeOutcome::Failed(failure),
        Ok(DownloadEnd::Cut(why)) => {
            client.cut();
            ExchangeOutcome::Cut(why)
        }
        Err(stop) => stopped(client, stop).await,
    }
}

/// Runs both directions until the response has ended, or must not go on.
async fn both_ways<'d>(
    progress: &Progress,
    watch: &Watch<'_>,
    mut upload: Pin<&mut impl Future<Output = UploadEnd>>,
    mut download: Pin<&mut impl Future<Output = DownloadEnd<'d>>>,
) -> Result<DownloadEnd<'d>, Stop> {
    let mut is_refused = false;
    // A response that came before the end of the request.
    let mut early = None;
    let stop = loop {
        tokio::select! {
            // The request first: a response that comes with the end of the request finds it sent.
            biased;
            end = &mut upload, if !is_refused => match end {
                UploadEnd::Refused => match early.take() {
                    Some(end) => return Ok(end),
                    None => is_refused = true,
                },
                UploadEnd::Client(Broken::Malformed(what)) => {
                    break Stop::Failure(ExchangeFailure::BadBody(what));
                }
                UploadEnd::Client(_) => break Stop::ClientLeft,
            },
            end = &mut download, if early.is_none() => {
                let is_sent = progress.is_sent.load(Ordering::Acquire);
                if is_refused || is_sent || !takes_rest(&end) {
                    return Ok(end);
                }
                early = Some(end);
            }
            () = progress.sent.notified(), if early.is_some() => {
                if let Some(end) = early.take() {
                    return Ok(end);
                }
            }
            () = progress.silence(watch.idle) => return Err(Stop::Failure(ExchangeFailure::Silent)),
            reason = progress.ended(watch.ticket) => return Err(Stop::Ended(reason)),
        }
    };
    await_verdict(watch, download).await;
    Err(stop)
}

/// Waits for the backend's verdict on a credential whose client has ended the exchange before it: a guess counts although
/// its client does not wait.
async fn await_verdict<'d>(watch: &Watch<'_>, mut download: Pin<&mut impl Future<Output = DownloadEnd<'d>>>) {
    // A download that has ended was answered, so it is not polled again.
    let verdict = poll_fn(|context| match watch.awaits_verdict() {
        true if download.as_mut().poll(context).is_pending() && watch.awaits_verdict() => Poll::Pending,
        _ => Poll::Ready(()),
    });
    let _ = timeout(watch.verdict_timeout, verdict).await;
}

/// Returns whether the backend still reads the request after its response: a success on a connection that stays open. Then
/// the upload is not cut off.
const fn takes_rest(end: &DownloadEnd<'_>) -> bool {
    matches!(end, DownloadEnd::Whole { status: 200..=299, keeps_alive: true, .. })
}

async fn stopped<C: Client>(client: &mut C, stop: Stop) -> ExchangeOutcome {
    match stop {
        Stop::Failure(failure) if client.has_begun() => {
            client.cut();
            ExchangeOutcome::Cut(failure.label())
        }
        Stop::Failure(failure) => ExchangeOutcome::Failed(failure),
        Stop::ClientLeft => {
            client.cut();
            ExchangeOutcome::Cut("the client left")
        }
        // The event stream ends as if the backend had ended it, so that its client connects again.
        Stop::Ended(reason) => {
            if !matches!(timeout(FINISH_TIMEOUT, client.finish()).await, Ok(Ok(()))) {
                client.cut();
            }
            ExchangeOutcome::Ended(reason)
        }
    }
}
