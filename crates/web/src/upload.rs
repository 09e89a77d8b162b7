//! The request's direction of an exchange.

use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::backend::Upload;
use crate::body::{Broken, Piece, Sink, Source};
use crate::watch::{Progress, Watch};

/// How the request's direction ended.
pub(crate) enum UploadEnd {
    /// The backend accepts no more.
    Refused,
    /// The client's body is malformed, or the client is gone.
    Client(Broken),
}

/// How long a response is still awaited after the client has closed its side behind a whole request.
///
/// RFC 9112 section 9.6: closing does not imply that the client is no longer interested. But nearly every client that
/// closes is gone (a closed socket looks the same until something is written to it), and nginx, by default, treats it
/// as gone at once. This is long enough for the few clients that close only one side to get the usual response, and
/// short enough that nobody keeps backends busy by requesting and leaving. What is being written to the client is
/// waited for as with any other client: one that is gone answers it with a reset, and one that does not is slow.
const HALF_CLOSED: Duration = Duration::from_secs(5);

/// Sends the request, and resolves when the backend refuses it or the client is gone; otherwise never.
pub(crate) async fn upload<S: Source>(
    progress: &Progress,
    watch: &Watch<'_>,
    prefix: Vec<Piece>,
    source: &mut S,
    request: &mut Upload<'_>,
    is_upgrade: bool,
) -> UploadEnd {
    for piece in prefix {
        watch.moved(piece.len(), 0);
        if request.put(piece).await.is_err() {
            return UploadEnd::Refused;
        }
        progress.note();
    }
    loop {
        match source.piece().await {
            Ok(Some(piece)) => {
                progress.note();
                watch.moved(piece.len(), 0);
                if request.put(piece).await.is_err() {
                    return UploadEnd::Refused;
                }
                progress.note();
            }
            Ok(None) if is_upgrade => break,
            Ok(None) => match request.finish().await {
                Ok(()) => break,
                Err(Broken::Malformed(what)) => return UploadEnd::Client(Broken::Malformed(what)),
                Err(_) => return UploadEnd::Refused,
            },
            Err(broken) => return UploadEnd::Client(broken),
        }
    }
    progress.is_sent.store(true, Ordering::Release);
    progress.sent.notify_one();
    // The request is sent: from here on only the client is watched.
    if source.closed().await.is_ok() {
        progress.note();
        progress.unanswered(HALF_CLOSED).await;
    }
    UploadEnd::Client(Broken::Closed)
}
